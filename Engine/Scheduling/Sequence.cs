using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using Tessera.Engine.Sampling;

namespace Tessera.Engine.Scheduling;

/// <summary>Life of a sequence; each member says what the sequence owns.</summary>
internal enum SequenceStatus
{
    /// <summary>Owns a place in the queue; the followers of a request's first sequence share its place.</summary>
    Waiting,

    /// <summary>Owns a slot above the decoding ones, and promises of slots for its followers; its ids are being run.</summary>
    Prefilling,

    /// <summary>Owns a slot of the dense prefix; a token per step.</summary>
    Decoding,

    /// <summary>Owns nothing; its last event is written or waits for hints.</summary>
    Finished,
}

/// <summary>One response of a request inside the engine. Used by the engine's thread alone; transitions check themselves.</summary>
internal sealed class Sequence
{
    private readonly Queue<(int Id, TracePhase Phase)> _forced = new();
    private readonly List<Sequence> _followers = [];
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

    /// <summary>Which of the request's responses it is.</summary>
    public int Choice { get; init; }

    /// <summary>Seed of its random numbers.</summary>
    public ulong Seed => unchecked(Request.Sampling.Seed + (ulong)Choice);

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

    /// <summary>Order of arrival; a lower one goes first, and loses its positions last.</summary>
    public long Order { get; set; }

    /// <summary>What the sequence owns.</summary>
    public SequenceStatus Status { get; private set; }

    /// <summary>Slot; -1 when it owns none.</summary>
    public int Slot { get; private set; } = -1;

    /// <summary>Prompt and generated ids so far; empty until it is first considered for a slot.</summary>
    public ReadOnlyMemory<int> Ids => _ids.AsMemory(0, _idCount);

    /// <summary>Positions in the slot.</summary>
    public int ComputedCount { get; private set; }

    /// <summary>Prompt positions that were copied instead of computed when it first got a slot.</summary>
    public int CachedCount { get; private set; }

    /// <summary>Positions that were copied instead of computed when it last got a slot.</summary>
    public int CopiedCount { get; private set; }

    /// <summary>
    /// Positions that are run as a prompt: prompt, <c>&lt;think&gt;</c> and what was forced after it. All later ones are run one at a time, also when the sequence is
    /// run again: the runtime computes single positions with another kernel, whose last bits differ, and a sequence must get the same tokens whatever happened to it.
    /// </summary>
    public int PromptCount { get; private set; }

    /// <summary>Ids whose positions are not in the slot: one for a sequence that decodes, more when ids were forced or the sequence is run again.</summary>
    public int PendingCount => _idCount - ComputedCount;

    /// <summary>Tokens generated so far.</summary>
    public int GeneratedCount => _idCount == 0 ? 0 : _idCount - Request.PromptPositions;

    /// <summary>Sequences of the same request that wait for this one to run their prompt.</summary>
    public IReadOnlyList<Sequence> Followers => _followers;

    /// <summary>Slots that it needs, its followers included.</summary>
    public int SlotDemand => 1 + _followers.Count;

    /// <summary>Positions that it and its followers need for what they have.</summary>
    public long CommittedPositions => (long)_idCount * SlotDemand;

    /// <summary>Positions that they need soon beyond those.</summary>
    public long HeadroomPositions => (long)Math.Min(AdmissionPolicy.Headroom, Request.WorstCasePositions - _idCount) * SlotDemand;

    /// <summary>Whether its time limit was reached.</summary>
    public bool IsPastDeadline => Request.Timeout is { } timeout && Clock.SinceSubmission >= timeout;

    /// <summary>Has another sequence of the request wait for this one's prompt.</summary>
    public void Follow(Sequence follower) => _followers.Add(follower);

    /// <summary>Takes the followers away, who go on by themselves or end.</summary>
    public Sequence[] TakeFollowers()
    {
        Sequence[] followers = [.. _followers];
        _followers.Clear();
        return followers;
    }

    /// <summary>
    /// Writes the ids down, once: the prompt, <c>&lt;think&gt;</c>, and what the grammar forces after it, which then runs together with the prompt.
    /// </summary>
    public void PrepareIds(int thinkId)
    {
        if (_idCount > 0)
        {
            return;
        }

        _ids = new int[Request.WorstCasePositions];
        for (var i = 0; i < Request.PromptIds.Count; i++)
        {
            _ids[i] = Request.PromptIds[i];
        }

        _ids[Request.PromptIds.Count] = thinkId;
        _idCount = Request.PromptPositions;
        while (GeneratedCount < Request.MaxTokens && ForcedNext is { } id)
        {
            _forced.Enqueue((id, Grammar.Phase));
            Append(id);
        }

        PromptCount = _idCount;
    }

    /// <summary>Takes a slot.</summary>
    /// <param name="slot">The slot.</param>
    /// <param name="computed">Positions that are copied into it.</param>
    /// <param name="cached">How many of them another request had; a follower's come from its own.</param>
    public void Admit(int slot, int computed, int cached)
    {
        Require(SequenceStatus.Waiting);
        CachedCount = Clock.IsAdmitted ? CachedCount : Math.Min(cached, Request.PromptPositions);
        Slot = slot;
        ComputedCount = computed;
        CopiedCount = computed;
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

    /// <summary>All but what decoding runs was run: joins the decoding sequences.</summary>
    /// <param name="slot">Its slot in the dense prefix.</param>
    public void BeginDecoding(int slot)
    {
        Require(SequenceStatus.Prefilling);
        Slot = slot;
        Status = SequenceStatus.Decoding;
    }

    /// <summary>Moves to another slot.</summary>
    public void MoveTo(int slot)
    {
        if (Slot < 0)
        {
            throw new InvalidOperationException($"a sequence without a slot was moved to slot {slot}");
        }

        Slot = slot;
    }

    /// <summary>Loses its slot to an older sequence; it will be run again from the start and go on where it was.</summary>
    public void Preempt()
    {
        if (Status is not (SequenceStatus.Prefilling or SequenceStatus.Decoding))
        {
            throw new InvalidOperationException($"a sequence that is {Status} cannot be preempted");
        }

        Slot = -1;
        ComputedCount = 0;
        Status = SequenceStatus.Waiting;
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

    /// <summary>
    /// Takes the token that was sampled for the next position, and those that the grammar forces after it, and publishes what they mean. Tokens that were forced
    /// before the prompt was run come first.
    /// </summary>
    /// <param name="id">The token.</param>
    /// <param name="logprob">Its log probability; null when the request wants none.</param>
    /// <returns>Why the sequence ends; null when it goes on.</returns>
    public FinishReason? Accept(int id, TokenLogprob? logprob)
    {
        var reason = PublishForced() ?? AcceptNext(id, logprob);
        while (reason is null && ForcedNext is { } forced)
        {
            reason = AcceptNext(forced, null);
        }

        return reason;
    }

    /// <summary>Publishes the tokens that were forced before the prompt was run, now that it was.</summary>
    /// <returns>Why the sequence ends with them; null when it goes on.</returns>
    public FinishReason? PublishForced()
    {
        FinishReason? reason = null;
        while (_forced.TryDequeue(out var forced))
        {
            reason = Publish(forced.Id, forced.Phase, null, generatedCount: GeneratedCount - _forced.Count);
        }

        return reason;
    }

    /// <summary>The ending of this sequence as things stand.</summary>
    public Ending EndingFor(FinishReason reason, string? error) =>
        new(
            reason, Recorder.Counts.ToUsage(Request.PromptPositions) with { CachedTokens = CachedCount }, Recorder.Counts.LatentDelimiter, Clock.ToTimings(), error);

    // A forced token costs no model call of its own. Its log probability would: a request that wants those gets every token from a step.
    private int? ForcedNext => Request.Logprobs is null && Grammar.Phase != TracePhase.Done ? Grammar.Allowed.Single : null;

    private FinishReason? AcceptNext(int id, TokenLogprob? logprob)
    {
        var phase = Grammar.Phase;
        Append(id);
        return Publish(id, phase, logprob, GeneratedCount);
    }

    private void Append(int id)
    {
        Grammar.Advance(id);
        _ids[_idCount++] = id;
        History?.Add(id);
    }

    private FinishReason? Publish(int id, TracePhase phase, TokenLogprob? logprob, int generatedCount)
    {
        Clock.MarkToken();
        Recorder.Append(id, phase, isEnd: Grammar.Phase == TracePhase.Done, logprob);
        return Recorder.IsStopped || Grammar.Phase == TracePhase.Done ? FinishReason.Stop
            : generatedCount == Request.MaxTokens ? FinishReason.Length
            : null;
    }

    private void Require(SequenceStatus expected)
    {
        if (Status != expected)
        {
            throw new InvalidOperationException($"a sequence is {Status}, expected {expected}");
        }
    }
}
