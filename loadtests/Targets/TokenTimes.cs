namespace Tessera.LoadTests.Targets;

/// <summary>When the tokens of one response came, and how many of each kind the client saw. Times count from the intended send time.</summary>
public sealed class TokenTimes
{
    private readonly List<TimeSpan> _interTokenTimes = [];
    private TimeSpan _lastToken;

    /// <summary>The first token of any kind; null when none came.</summary>
    public TimeSpan? First { get; private set; }

    /// <summary>The first token of the answer; null when none came.</summary>
    public TimeSpan? FirstAnswer { get; private set; }

    /// <summary>Time between tokens that follow each other.</summary>
    public IReadOnlyList<TimeSpan> InterTokenTimes => _interTokenTimes;

    /// <summary>Latents that came.</summary>
    public int Latents { get; private set; }

    /// <summary>Tokens of spelled-out reasoning that came; over REST one piece counts as one, so this is a lower bound.</summary>
    public int ReasoningText { get; private set; }

    /// <summary>Tokens of the answer that came; a lower bound over REST.</summary>
    public int Answer { get; private set; }

    /// <summary>Takes latents.</summary>
    public void TakeLatents(int count, TimeSpan elapsed)
    {
        Latents += count;
        Take(count, elapsed);
    }

    /// <summary>Takes spelled-out reasoning.</summary>
    public void TakeReasoningText(int count, TimeSpan elapsed)
    {
        ReasoningText += count;
        Take(count, elapsed);
    }

    /// <summary>Takes a part of the answer.</summary>
    public void TakeAnswer(int count, TimeSpan elapsed)
    {
        Answer += count;
        FirstAnswer ??= elapsed;
        Take(count, elapsed);
    }

    // Several tokens in one chunk share the time since the token before them: times are per token, not per chunk.
    private void Take(int count, TimeSpan elapsed)
    {
        if (count == 0)
        {
            return;
        }

        if (First is null)
        {
            First = elapsed;
            _interTokenTimes.AddRange(Enumerable.Repeat(TimeSpan.Zero, count - 1));
        }
        else if (count == 1)
        {
            _interTokenTimes.Add(elapsed - _lastToken);
        }
        else
        {
            _interTokenTimes.AddRange(Enumerable.Repeat((elapsed - _lastToken) / count, count));
        }

        _lastToken = elapsed;
    }
}
