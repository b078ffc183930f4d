using Tessera.Engine.Requests;

namespace Tessera.Engine.Scheduling;

/// <summary>All requests that were accepted and have no last event yet. Thread-safe.</summary>
internal sealed class LiveSequences
{
    private const string FailedMessage = "the model runtime has failed; the server must be restarted";

    private readonly Lock _lock = new();
    private readonly Dictionary<ResponseStream, IReadOnlyList<Sequence>> _sequences = [];
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isClosed;

    /// <summary>Completes when it is closed and the last request has ended.</summary>
    public Task WhenClosedAndEmpty => _empty.Task;

    /// <summary>Adds the sequences of a request; false once closed.</summary>
    public bool TryAdd(IReadOnlyList<Sequence> sequences)
    {
        lock (_lock)
        {
            return !_isClosed && _sequences.TryAdd(sequences[0].Response, sequences);
        }
    }

    /// <summary>Takes a request out.</summary>
    public void Remove(ResponseStream response)
    {
        lock (_lock)
        {
            _sequences.Remove(response);
            SignalWhenDone();
        }
    }

    /// <summary>Takes no more requests.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            SignalWhenDone();
        }
    }

    /// <summary>
    /// Writes the last event of every request that has none: those whose hints are still awaited and, when the loop's thread hangs in a step, all of them.
    /// </summary>
    public void FinishAll(FinishReason reason)
    {
        foreach (var sequence in Snapshot())
        {
            sequence.Response.Finish(sequence.EndingFor(reason, reason == FinishReason.Error ? FailedMessage : null), sequence.Choice);
        }
    }

    private Sequence[] Snapshot()
    {
        lock (_lock)
        {
            return [.. _sequences.Values.SelectMany(sequences => sequences)];
        }
    }

    private void SignalWhenDone()
    {
        if (_isClosed && _sequences.Count == 0)
        {
            _empty.TrySetResult();
        }
    }
}
