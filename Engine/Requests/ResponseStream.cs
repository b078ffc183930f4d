using System.Threading.Channels;
using Tessera.Engine.Execution;
using Tessera.Engine.Reasoning;

namespace Tessera.Engine.Requests;

/// <summary>How a request ended, before its savings are known.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Usage">Tokens by kind.</param>
/// <param name="LatentDelimiterCount">Delimiters of latent spans that were generated.</param>
/// <param name="Timings">Where the time went.</param>
/// <param name="Error">A sentence for the client.</param>
internal sealed record Ending(FinishReason Reason, Usage Usage, int LatentDelimiterCount, Timings Timings, string? Error = null);

/// <summary>
/// The event channel of one request. Makes sure that exactly one <see cref="FinishedEvent"/> is written, last, whoever ends the request: the step loop, the
/// hint worker, or a stopping engine. Thread-safe; never blocks.
/// </summary>
internal sealed class ResponseStream
{
    private readonly Lock _lock = new();
    private readonly Channel<GenerationEvent> _events;
    private readonly SavingsCalculator _savings;
    private readonly Action<ResponseStream> _completed;
    private readonly TaskCompletionSource<FinishedEvent> _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Ending? _ending;
    private int _pendingHints;
    private int _hintedLatents;
    private int _hintTokens;
    private bool _isCancelRequested;

    /// <summary>Creates the stream.</summary>
    /// <param name="maxTokens">Tokens that the request may generate: bounds the events.</param>
    /// <param name="savings">Calculates the savings of the last event.</param>
    /// <param name="completed">Called once, after the last event.</param>
    public ResponseStream(int maxTokens, SavingsCalculator savings, Action<ResponseStream> completed)
    {
        // Accepted, one delta and at most one hint per token, what is flushed after reasoning and answer, Finished.
        Capacity = (2 * maxTokens) + 4;
        _events = Channel.CreateBounded<GenerationEvent>(new BoundedChannelOptions(Capacity) { SingleReader = true });
        _savings = savings;
        _completed = completed;
    }

    /// <summary>Events that the channel has room for: all that the request can have.</summary>
    public int Capacity { get; }

    /// <summary>What the client reads.</summary>
    public ChannelReader<GenerationEvent> Reader => _events.Reader;

    /// <summary>The last event, whether or not the client reads it.</summary>
    public Task<FinishedEvent> WhenFinished => _finished.Task;

    /// <summary>Whether the last event was written.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>Writes an event; nothing is written once the request has ended.</summary>
    public void Publish(GenerationEvent generationEvent)
    {
        lock (_lock)
        {
            if (!IsCompleted && _ending is null)
            {
                Write(generationEvent);
            }
        }
    }

    /// <summary>Hints of a span are on their way: the last event waits for them.</summary>
    public void ExpectHints()
    {
        lock (_lock)
        {
            _pendingHints++;
        }
    }

    /// <summary>The hints of a span are there.</summary>
    /// <param name="span">Which latent span.</param>
    /// <param name="codes">Its codes.</param>
    /// <param name="hints">One hint per code from the first on; fewer or none where the codebook gave none.</param>
    public void DeliverHints(int span, IReadOnlyList<int> codes, IReadOnlyList<LatentHint> hints)
    {
        lock (_lock)
        {
            _pendingHints--;
            if (IsCompleted)
            {
                return;
            }

            var count = Math.Min(codes.Count, hints.Count);
            for (var i = 0; i < count; i++)
            {
                Write(new LatentHintEvent(span, i, codes[i], hints[i].Text, hints[i].Confidence));
                _hintTokens += hints[i].TokenCount;
            }

            _hintedLatents += count;
            if (_ending is not null && _pendingHints == 0)
            {
                Complete(_ending);
            }
        }
    }

    /// <summary>Ends the request; the first call counts. The last event waits for hints that are on their way after a stop or a limit.</summary>
    public void Finish(Ending ending)
    {
        lock (_lock)
        {
            if (IsCompleted)
            {
                return;
            }

            var first = _ending is null;
            _ending ??= ending;
            var waits = first && _pendingHints > 0 && ending.Reason is FinishReason.Stop or FinishReason.Length;
            if (!waits)
            {
                Complete(_ending);
            }
        }
    }

    /// <summary>Notes that the client wants no more. A response that only waits for hints ends at once.</summary>
    /// <returns>Whether the step loop must be told; true at most once.</returns>
    public bool RequestCancel()
    {
        lock (_lock)
        {
            if (IsCompleted || _isCancelRequested)
            {
                return false;
            }

            _isCancelRequested = true;
            if (_ending is null)
            {
                return true;
            }

            Complete(_ending);
            return false;
        }
    }

    private void Complete(Ending ending)
    {
        int? hintTokens = _hintedLatents == ending.Usage.LatentTokens ? _hintTokens : null;
        var savings = _savings.Estimate(ending.Usage, ending.LatentDelimiterCount, hintTokens, ending.Timings.InterTokenTime);
        // A span has two delimiters; the last one may have been cut before its second.
        var spanCount = (ending.LatentDelimiterCount + 1) / 2;
        var finished = new FinishedEvent(ending.Reason, ending.Usage, savings, ending.Timings, ending.Error) { LatentSpanCount = spanCount };
        // Set first: whoever has read the last event finds it here too.
        _finished.TrySetResult(finished);
        Write(finished);
        IsCompleted = true;
        _events.Writer.Complete();
        _completed(this);
    }

    private void Write(GenerationEvent generationEvent)
    {
        if (!_events.Writer.TryWrite(generationEvent))
        {
            throw new InvalidOperationException($"the event channel of a request is full at {Capacity} events");
        }
    }
}
