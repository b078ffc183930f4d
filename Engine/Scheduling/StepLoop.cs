using System.Threading.Channels;
using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Engine.Sampling;
using Tessera.Engine.Telemetry;

namespace Tessera.Engine.Scheduling;

/// <summary>A message to the step loop, handled between steps.</summary>
/// <param name="Sequences">Whom it is about: the sequences of one request.</param>
/// <param name="IsCancel">Whether the request is cancelled; otherwise it is new.</param>
internal readonly record struct LoopCommand(IReadOnlyList<Sequence> Sequences, bool IsCancel);

/// <summary>What the loop last published about itself.</summary>
internal readonly record struct LoopProgress(
    int RunningCount, long PositionsInUse, long PositionsPeak, long PositionsKept, long StepCount, long Timestamp, bool IsIdle)
{
    /// <summary>Prompt tokens for which a prefix was looked for, and those that were copied.</summary>
    public (long Queried, long Hit) PrefixTokens { get; init; }

    /// <summary>Times a sequence lost its slot to an older one.</summary>
    public long PreemptionCount { get; init; }
}

/// <summary>The engine's loop: take messages, admit, plan, run, sample, commit. Runs on one dedicated thread, which owns everything it touches.</summary>
internal sealed class StepLoop(
    ChannelReader<LoopCommand> commands,
    Scheduler scheduler,
    IModelRunner runner,
    EventDelivery delivery,
    Action<Exception> stepFailed,
    bool checksEveryStep,
    EngineMeter meter,
    TimeProvider timeProvider)
{
    /// <summary>Failed steps in a row after which the runtime counts as broken. 2: one may be the fault of a request.</summary>
    public const int MaxFailedSteps = 2;

    private const string StepFailedMessage = "the model failed while it ran this request";
    private const string NoLogitsMessage = "the model gave no usable probabilities for the next token";
    private const string RuntimeFailedMessage = "the model runtime has failed; the server must be restarted";

    private readonly Sampler _sampler = new(runner.VocabularySize);
    private readonly LogprobReader _logprobs = new(runner.VocabularySize);
    private SamplingRow[] _rows = [];
    private int[] _sampled = [];
    private TokenLogprob?[] _sampledLogprobs = [];
    private int _failedSteps;
    private long _stepCount;
    private long _positionsPeak;
    private readonly Lock _progressLock = new();
    private LoopProgress _progress = new(0, 0, 0, 0, 0, timeProvider.GetTimestamp(), IsIdle: false);

    /// <summary>The last published progress; for any thread.</summary>
    public LoopProgress Progress
    {
        get
        {
            lock (_progressLock)
            {
                return _progress;
            }
        }
    }

    /// <summary>Runs a short prompt and one decode step, so that nothing is done for the first time while a client waits.</summary>
    /// <param name="id">Any id that the model knows.</param>
    public void WarmUp(int id)
    {
        runner.Prepare();
        int[] ids = [id, id, id, id];
        Check(runner.Run(new StepPlan([], new SequenceSlice(0, ids, 0, ids.Length - 1, WantsLogits: true))));
        Check(runner.Run(new StepPlan([new SequenceSlice(0, ids, ids.Length - 1, 1, WantsLogits: true)], null)));
        runner.ReleaseSlot(0);

        void Check(ReadOnlySpan<float> logits)
        {
            if (logits.Length != runner.VocabularySize)
            {
                throw new InvalidOperationException($"warm-up: a step gave {logits.Length} logits, expected {runner.VocabularySize}");
            }
        }
    }

    /// <summary>Runs until the commands are closed, or the runtime is broken.</summary>
    /// <returns>Whether the loop ended because it was asked to; false when the runtime is broken.</returns>
    public bool Run()
    {
        while (TakeCommands())
        {
            if (!TryStep())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Ends every sequence that is not finished, when the loop has ended.</summary>
    public void FinishAll(FinishReason reason)
    {
        while (commands.TryRead(out var command))
        {
            Handle(command);
        }

        foreach (var sequence in scheduler.ReleaseRunning().Concat(scheduler.ReleaseWaiting()))
        {
            sequence.Response.Finish(sequence.EndingFor(reason, reason == FinishReason.Error ? RuntimeFailedMessage : null), sequence.Choice);
        }

        Publish(isIdle: true);
        delivery.SendApart();
    }

    // Handles all messages; waits for one when there is nothing to run. False when the commands are closed.
    private bool TakeCommands()
    {
        while (true)
        {
            while (commands.TryRead(out var command))
            {
                Handle(command);
            }

            if (commands.Completion.IsCompleted)
            {
                return false;
            }

            foreach (var sequence in scheduler.PastDeadline())
            {
                Finish(sequence, FinishReason.Deadline);
            }

            if (scheduler.HasWork)
            {
                return true;
            }

            scheduler.AssertInvariants();
            Publish(isIdle: true);
            delivery.SendApart();
            commands.WaitToReadAsync().AsTask().GetAwaiter().GetResult();
            Publish(isIdle: false);
        }
    }

    private void Handle(LoopCommand command)
    {
        if (!command.IsCancel)
        {
            scheduler.Add(command.Sequences[0]);
            return;
        }

        foreach (var sequence in command.Sequences)
        {
            if (sequence.Status != SequenceStatus.Finished)
            {
                Finish(sequence, FinishReason.Cancelled);
            }
        }
    }

    /// <summary>Makes one step. A failed one fails its sequences, not the engine; false when steps fail again and again.</summary>
    public bool TryStep()
    {
        try
        {
            Step();
            _failedSteps = 0;
            return true;
        }
        catch (Exception exception)
        {
            var sequences = scheduler.ReleaseRunning();
            Publish(isIdle: false);
            stepFailed(exception);
            foreach (var sequence in sequences)
            {
                sequence.Response.Finish(sequence.EndingFor(FinishReason.Error, StepFailedMessage), sequence.Choice);
            }

            return ++_failedSteps < MaxFailedSteps;
        }
        finally
        {
            delivery.Send();
        }
    }

    private void Step()
    {
        scheduler.FreePositions();
        Admit();
        var started = timeProvider.GetTimestamp();
        var step = scheduler.PlanStep();
        var logits = runner.Run(step.Plan);
        Sample(step.Rows, logits);
        scheduler.Advance(step);
        Commit(step.Rows);
        _stepCount++;
        var time = timeProvider.GetElapsedTime(started);
        scheduler.NoteTime(step, time);
        meter.RecordStep(time);
        Publish(isIdle: false);
        if (checksEveryStep)
        {
            scheduler.AssertInvariants();
        }
    }

    private void Admit()
    {
        var admitted = scheduler.Admit();
        if (admitted.Count == 0)
        {
            return;
        }

        Publish(isIdle: false);
        foreach (var sequence in admitted)
        {
            sequence.Response.Publish(new AcceptedEvent(sequence.Request.PromptPositions));
        }

        delivery.Send();
    }

    private void Sample(IReadOnlyList<ScheduledRow> rows, ReadOnlySpan<float> logits)
    {
        if (_sampled.Length < rows.Count)
        {
            (_rows, _sampled, _sampledLogprobs) = (new SamplingRow[rows.Count], new int[rows.Count], new TokenLogprob?[rows.Count]);
        }

        for (var row = 0; row < rows.Count; row++)
        {
            var sequence = rows[row].Sequence;
            _rows[row] = new SamplingRow(
                rows[row].LogitsRow, sequence.Grammar.Allowed, sequence.Request.Sampling, sequence.Seed, sequence.GeneratedCount, sequence.History);
        }

        _sampler.Sample(logits, _rows.AsSpan(0, rows.Count), _sampled);
        var width = runner.VocabularySize;
        for (var row = 0; row < rows.Count; row++)
        {
            _sampledLogprobs[row] = rows[row].Sequence.Request.Logprobs is { } topCount && _sampled[row] != Sampler.None
                ? _logprobs.Read(logits.Slice(rows[row].LogitsRow * width, width), _sampled[row], topCount)
                : null;
        }
    }

    private void Commit(IReadOnlyList<ScheduledRow> rows)
    {
        _positionsPeak = Math.Max(_positionsPeak, scheduler.PositionsInUse);
        for (var row = 0; row < rows.Count; row++)
        {
            var sequence = rows[row].Sequence;
            var reason = _sampled[row] == Sampler.None ? sequence.PublishForced() : sequence.Accept(_sampled[row], _sampledLogprobs[row]);
            if (reason is { } known)
            {
                sequence.Recorder.Flush(sequence.Grammar.Phase);
                Finish(sequence, known);
            }
            else if (_sampled[row] == Sampler.None)
            {
                Finish(sequence, FinishReason.Error, NoLogitsMessage);
            }
        }
    }

    // Followers that still wait for the prompt end with the sequence that would have run it.
    private void Finish(Sequence sequence, FinishReason reason, string? error = null)
    {
        var followers = sequence.TakeFollowers();
        try
        {
            scheduler.Release(sequence, keepsPrefix: reason != FinishReason.Error);
        }
        finally
        {
            // Published first: whoever sees the last event sees its positions free.
            Publish(isIdle: false);
            sequence.Response.Finish(sequence.EndingFor(reason, error), sequence.Choice);
            foreach (var follower in followers)
            {
                follower.Release();
                follower.Response.Finish(follower.EndingFor(reason, error), follower.Choice);
            }
        }
    }

    private void Publish(bool isIdle)
    {
        var progress = new LoopProgress(
            scheduler.RunningCount, scheduler.PositionsInUse, _positionsPeak, scheduler.PositionsKept, _stepCount, timeProvider.GetTimestamp(), isIdle)
        {
            PrefixTokens = scheduler.PrefixTokens,
            PreemptionCount = scheduler.PreemptionCount,
        };
        lock (_progressLock)
        {
            _progress = progress;
        }
    }
}
