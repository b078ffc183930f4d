using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using Tessera.Engine.Sampling;

namespace Tessera.Engine.Scheduling;

/// <summary>Life of a sequence; each member says what the sequence owns.</summary>
internal enum SequenceStatus
{
    /// <summary>Owns a place in the queue.</summary>
    Waiting,

    /// <summary>Owns a slot above the decoding ones and a reservation of KV positions; its prompt is being run in chunks.</summary>
    Prefilling,

    /// <summary>Owns a slot of the dense prefix and a reservation of KV positions; one token per step.</summary>
    Decoding,

    /// <summary>Owns nothing; its last event is written or waits for hints.</summary>
    Finished,
}

/// <summary>One request inside the engine. Used by the engine's thread alone; transitions check themselves.</summary>
internal sealed class Sequence
{
    private int[] _ids = [];
    private int _idCount;

    /// <summary>Creates a waiting sequence.</summary>
    public Sequence(GenerationRequest request, ResponseStream response, TraceGrammar grammar, TraceRecorder recorder, SequenceClock clock)
    {
        Request = request;
        Response = response;
        Grammar = grammar;
        Recorder = recorder;
        Clock = clock;
    }

    /// <summary>What it has said, for the penalties; null without penalties.</summary>
    public TokenHistory? History { get; init; }

    /// <summary>Whether its time limit was reached.</summary>
    public bool IsPastDeadline => Request.Timeout is { } timeout && Clock.SinceSubmission >= timeout;

    /// <summary>The request.</summary>
    public GenerationRequest Request { get; }

    /// <summary>Where its events go.</summary>
    public ResponseStream Response { get; }

    /// <summary>What may come next.</summary>
    public TraceGrammar Grammar { get; }

    /// <summary>What was generated.</summary>
    public TraceRecorder Recorder { get; }

    /// <summary>When things happened.</summary>
    public SequenceClock Clock { get; }

    /// <summary>What the sequence owns.</summary>
    public SequenceStatus Status { get; private set; }

    /// <summary>Slot; -1 when it owns none.</summary>
    public int Slot { get; private set; } = -1;

    /// <summary>Prompt and generated ids so far; empty while waiting.</summary>
    public ReadOnlyMemory<int> Ids => _ids.AsMemory(0, _idCount);

    /// <summary>Positions in the slot.</summary>
    public int ComputedCount { get; private set; }

    /// <summary>Tokens generated so far.</summary>
    public int GeneratedCount => _idCount == 0 ? 0 : _idCount - Request.PromptPositions;

    /// <summary>Takes a slot.</summary>
    /// <param name="slot">The slot.</param>
    /// <param name="thinkId">Comes after the prompt.</param>
    public void Admit(int slot, int thinkId)
    {
        Require(SequenceStatus.Waiting);
        _ids = new int[Request.WorstCasePositions];
        for (var i = 0; i < Request.PromptIds.Count; i++)
        {
            _ids[i] = Request.PromptIds[i];
        }

        _ids[Request.PromptIds.Count] = thinkId;
        _idCount = Request.PromptPositions;
        Slot = slot;
        Status = SequenceStatus.Prefilling;
        Clock.MarkAdmitted();
    }

    /// <summary>A step has run positions of this sequence.</summary>
    public void Advance(int positionCount)
    {
        ComputedCount += positionCount;
        if (ComputedCount > _idCount)
        {
            throw new InvalidOperationException($"{ComputedCount} positions were run of a sequence of {_idCount} ids");
        }
    }

    /// <summary>The whole prompt was run: joins the decoding sequences.</summary>
    /// <param name="slot">Its slot in the dense prefix.</param>
    public void BeginDecoding(int slot)
    {
        Require(SequenceStatus.Prefilling);
        Slot = slot;
        Status = SequenceStatus.Decoding;
    }

    /// <summary>Moves to the slot of a sequence that finished.</summary>
    public void MoveTo(int slot)
    {
        Require(SequenceStatus.Decoding);
        Slot = slot;
    }

    /// <summary>Gives back what it owns.</summary>
    public void Release()
    {
        if (Status == SequenceStatus.Finished)
        {
            throw new InvalidOperationException("a sequence was finished twice");
        }

        Slot = -1;
        Status = SequenceStatus.Finished;
    }

    /// <summary>Takes the token that was sampled for the next position and publishes what it means.</summary>
    /// <returns>Why the sequence ends with it; null when it goes on.</returns>
    public FinishReason? Accept(int id, TokenLogprob? logprob)
    {
        var phase = Grammar.Phase;
        Grammar.Advance(id);
        _ids[_idCount++] = id;
        History?.Add(id);
        Clock.MarkToken();
        Recorder.Append(id, phase, isEnd: Grammar.Phase == TracePhase.Done, logprob);
        return Recorder.IsStopped || Grammar.Phase == TracePhase.Done ? FinishReason.Stop
            : GeneratedCount == Request.MaxTokens ? FinishReason.Length
            : null;
    }

    /// <summary>The ending of this sequence as things stand.</summary>
    public Ending EndingFor(FinishReason reason, string? error) =>
        new(reason, Recorder.Counts.ToUsage(Request.PromptPositions), Recorder.Counts.LatentDelimiter, Clock.ToTimings(), error);

    private void Require(SequenceStatus expected)
    {
        if (Status != expected)
        {
            throw new InvalidOperationException($"a sequence is {Status}, expected {expected}");
        }
    }
}
