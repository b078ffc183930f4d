using System.Threading.Channels;
using Tessera.Engine.Execution;
using Tessera.Engine.Reasoning;

namespace Tessera.Engine.Requests;

/// <summary>How long last events wait for hints.</summary>
/// <param name="Patience">After this time they come without.</param>
/// <param name="TimeProvider">Clock.</param>
/// <param name="GaveUp">Told when the time was not enough.</param>
internal sealed record HintWait(TimeSpan Patience, TimeProvider TimeProvider, Action<Exception> GaveUp);

/// <summary>
/// The events of one request. Makes sure that exactly one <see cref="FinishedEvent"/> is written, last, whoever ends the request: the step loop, the
/// hint worker, or a stopping engine. Thread-safe; never blocks.
/// </summary>
internal sealed class ResponseStream
{
    private readonly Lock _lock = new();
    private readonly EventQueue _events;
    private readonly EventDelivery? _delivery;
    private readonly SavingsCalculator _savings;
    private readonly Action<ResponseStream> _completed;
    private readonly TaskCompletionSource<FinishedEvent> _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ChoiceState[] _choices;
    private readonly HintWait? _hintWait;
    private ITimer? _patience;
    private bool _areHintsDropped;
    private bool _isCancelRequested;

    /// <summary>Creates the stream.</summary>
    /// <param name="maxTokens">Tokens that one response may generate: bounds the events.</param>
    /// <param name="savings">Calculates the savings of the last event.</param>
    /// <param name="completed">Called once, after the last event.</param>
    /// <param name="choiceCount">Responses of the request.</param>
    /// <param name="hintWait">How long last events wait for hints; null = without limit.</param>
    /// <param name="delivery">Wakes the readers of a step together; null = each event wakes its reader.</param>
    public ResponseStream(
        int maxTokens, SavingsCalculator savings, Action<ResponseStream> completed, int choiceCount = 1, HintWait? hintWait = null, EventDelivery? delivery = null)
    {
        // Per response one delta and at most one hint per token, what is flushed after reasoning and answer, its end; and Accepted and Finished.
        Capacity = (choiceCount * ((2 * maxTokens) + 3)) + 2;
        _events = new EventQueue(Capacity);
        _delivery = delivery;
        _savings = savings;
        _completed = completed;
        _choices = [.. Enumerable.Range(0, choiceCount).Select(_ => new ChoiceState())];
        _hintWait = hintWait;
    }

    /// <summary>Events that the channel has room for: all that the request can have.</summary>
    public int Capacity { get; }

    /// <summary>What the client reads.</summary>
    public ChannelReader<GenerationEvent> Reader => _events;

    /// <summary>The last event, whether or not the client reads it.</summary>
    public Task<FinishedEvent> WhenFinished => _finished.Task;

    /// <summary>Whether the last event was written.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>
    /// Writes an event of the step that is committed; nothing is written once its response has ended. The step loop alone: the reader is woken when the loop sends
    /// its <see cref="EventDelivery"/>.
    /// </summary>
    public void Publish(GenerationEvent generationEvent)
    {
        lock (_lock)
        {
            if (!IsCompleted && _choices[generationEvent.Choice].Ending is null && _events.Write(generationEvent))
            {
                WakeWithStep();
            }
        }
    }

    /// <summary>Hints of a span are on their way: the last event waits for them.</summary>
    public void ExpectHints(int choice = 0)
    {
        lock (_lock)
        {
            _choices[choice].PendingHints++;
        }
    }

    /// <summary>The hints of a span are there.</summary>
    /// <param name="span">Which latent span.</param>
    /// <param name="codes">Its codes.</param>
    /// <param name="hints">One hint per code from the first on; fewer or none where the codebook gave none.</param>
    /// <param name="choice">Which response.</param>
    public void DeliverHints(int span, IReadOnlyList<int> codes, IReadOnlyList<LatentHint> hints, int choice = 0)
    {
        lock (_lock)
        {
            var state = _choices[choice];
            state.PendingHints--;
            if (state.IsComplete)
            {
                return;
            }

            var count = Math.Min(codes.Count, hints.Count);
            for (var i = 0; i < count; i++)
            {
                Write(new LatentHintEvent(span, i, codes[i], hints[i].Text, hints[i].Confidence) { Choice = choice });
            }

            state.AddHints(count, hints.Take(count).Sum(hint => hint.TokenCount));
            if (state.Ending is not null && state.PendingHints == 0)
            {
                Complete(choice);
            }
        }
    }

    /// <summary>Ends a response; the first call counts. Its last event waits for hints that are on their way after a stop or a limit, but not for ever.</summary>
    public void Finish(Ending ending, int choice = 0)
    {
        lock (_lock)
        {
            var state = _choices[choice];
            if (state.IsComplete)
            {
                return;
            }

            var first = state.Ending is null;
            state.Ending ??= ending;
            if (first && state.PendingHints > 0 && ending.Reason is FinishReason.Stop or FinishReason.Length)
            {
                _patience ??= _hintWait?.TimeProvider.CreateTimer(_ => GiveUpOnHints(), null, _hintWait.Patience, System.Threading.Timeout.InfiniteTimeSpan);
            }
            else
            {
                Complete(choice);
            }
        }
    }

    /// <summary>Notes that the client wants no more. Responses that only wait for hints end at once.</summary>
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
            CompleteEnded();
            return !IsCompleted;
        }
    }

    private void GiveUpOnHints()
    {
        lock (_lock)
        {
            if (IsCompleted)
            {
                return;
            }
        }

        // Said first: whoever sees the last event can find out why it has no hints.
        _hintWait!.GaveUp(new TimeoutException($"the codebook decoder gave no hints within {_hintWait.Patience.TotalSeconds} s; a response ends without them"));
        lock (_lock)
        {
            _areHintsDropped = !IsCompleted;
            _patience?.Dispose();
            _patience = null;
            CompleteEnded();
        }
    }

    // Ends the responses that only wait for hints.
    private void CompleteEnded()
    {
        for (var choice = 0; choice < _choices.Length; choice++)
        {
            if (_choices[choice] is { Ending: not null, IsComplete: false })
            {
                Complete(choice);
            }
        }
    }

    private void Complete(int choice)
    {
        var state = _choices[choice];
        state.IsComplete = true;
        var savings = state.Estimate(_savings, state.Ending!);
        if (_choices.Length > 1)
        {
            Write(new ChoiceFinishedEvent(state.Ending!.Reason, state.Ending.Usage, savings) { Choice = choice });
        }

        if (_choices.All(other => other.IsComplete))
        {
            End();
        }
    }

    private void End()
    {
        var ending = _choices.Length == 1 ? _choices[0].Ending! : Ending.Sum([.. _choices.Select(choice => choice.Ending!)]);
        var savings = _choices.Length == 1 ? _choices[0].Savings! : SavingsCalculator.Sum(ending.Usage, [.. _choices.Select(choice => choice.Savings!)]);
        var finished = new FinishedEvent(ending.Reason, ending.Usage, savings, ending.Timings, ending.Error)
        {
            LatentSpanCount = _choices.Sum(choice => choice.Ending!.LatentSpanCount),
            AreHintsDropped = _areHintsDropped,
        };
        Write(finished, isLast: true);
        IsCompleted = true;
        _patience?.Dispose();
        _completed(this);
        _finished.TrySetResult(finished);
    }

    private void Write(GenerationEvent generationEvent, bool isLast = false)
    {
        if (_events.Write(generationEvent, isLast))
        {
            WakeNow();
        }
    }

    private void WakeWithStep()
    {
        if (_delivery is null)
        {
            WakeNow();
        }
        else
        {
            _delivery.Add(_events);
        }
    }

    // By itself: what a reader does with a last event may take long.
    private void WakeNow() => ThreadPool.UnsafeQueueUserWorkItem(_events, preferLocal: false);
}
