using System.Diagnostics;
using System.Threading.Channels;
using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Engine.Telemetry;

namespace Tessera.Engine.Reasoning;

/// <summary>Reads latent spans with the codebook, beside the step loop and never in its way. A span without hints is no failed request.</summary>
internal sealed class HintWorker
{
    // Spans that may wait to be read; more get no hints. 256: above what all slots of a large engine finish while one span is read.
    private const int MaxQueuedSpans = 256;

    private readonly ICodebook _codebook;
    private readonly Action<Exception> _failed;
    private readonly Channel<Job> _jobs = Channel.CreateBounded<Job>(new BoundedChannelOptions(MaxQueuedSpans) { SingleReader = true, SingleWriter = true });
    private readonly Task _worker;

    /// <summary>Starts the worker.</summary>
    /// <param name="codebook">Reads codes; not owned.</param>
    /// <param name="failed">Told when the codebook fails.</param>
    public HintWorker(ICodebook codebook, Action<Exception> failed)
    {
        _codebook = codebook;
        _failed = failed;
        _worker = Task.Run(WorkAsync);
    }

    /// <summary>Has a span read; never blocks.</summary>
    public void Enqueue(ResponseStream response, LatentSpan span, IReadOnlyList<int> promptIds, ActivityContext trace, int choice = 0)
    {
        response.ExpectHints(choice);
        if (!_jobs.Writer.TryWrite(new Job(response, choice, span, promptIds, trace)))
        {
            response.DeliverHints(span.Index, span.Codes, [], choice);
        }
    }

    /// <summary>Stops the worker when it has done what it has; responses that have ended are passed over.</summary>
    /// <returns>Whether it has stopped; false when the codebook hangs, and must not be disposed.</returns>
    public async Task<bool> StopAsync(TimeSpan patience)
    {
        _jobs.Writer.TryComplete();
        try
        {
            await _worker.WaitAsync(patience).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private async Task WorkAsync()
    {
        await foreach (var job in _jobs.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            job.Response.DeliverHints(job.Span.Index, job.Span.Codes, Read(job), job.Choice);
        }
    }

    private IReadOnlyList<LatentHint> Read(Job job)
    {
        if (job.Response.IsCompleted)
        {
            return [];
        }

        using var activity = EngineActivities.StartCodebookDecode(job.Trace, job.Span.Codes.Count);
        try
        {
            return _codebook.Decode(job.Span.Codes, job.PromptIds);
        }
        catch (Exception exception)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            _failed(exception);
            return [];
        }
    }

    private sealed record Job(ResponseStream Response, int Choice, LatentSpan Span, IReadOnlyList<int> PromptIds, ActivityContext Trace);
}
