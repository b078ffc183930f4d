using System.Diagnostics;
using System.Threading.Channels;
using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Engine.Runtime;
using Tessera.Engine.Telemetry;

namespace Tessera.Engine.Reasoning;

/// <summary>Reads latent spans with the codebook, beside the step loop and never in its way. A span without hints is no failed request.</summary>
internal sealed class HintWorker
{
    // Spans that may wait to be read; more get no hints. 256: above what all slots of a large engine finish while one span is read.
    private const int MaxQueuedSpans = 256;

    // Spans that are read together. 32: a run of so many of the shipped model takes a few milliseconds, which is what the first of them waits for the last.
    private const int MaxSpansPerRun = 32;

    private readonly ICodebook _codebook;
    private readonly Action<Exception> _failed;
    private readonly Channel<Job> _jobs = Channel.CreateBounded<Job>(new BoundedChannelOptions(MaxQueuedSpans) { SingleReader = true, SingleWriter = true });
    private readonly QuietThread _thread = new("tessera-hints");
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
        var jobs = new List<Job>(MaxSpansPerRun);
        while (await _jobs.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            // What has come while the last ones were read.
            while (jobs.Count < MaxSpansPerRun && _jobs.Reader.TryRead(out var job))
            {
                jobs.Add(job);
            }

            // Nobody reads the hints of a response that has ended.
            var wanted = jobs.FindAll(job => !job.Response.IsCompleted);
            Deliver(jobs, wanted, wanted.Count > 0 ? await _thread.RunAsync(() => Read(wanted)).ConfigureAwait(false) : []);
            jobs.Clear();
        }

        _thread.End();
    }

    // Not on the quiet thread: the step loop waits for whoever holds a response's lock.
    private static void Deliver(List<Job> jobs, List<Job> wanted, IReadOnlyList<IReadOnlyList<LatentHint>> hints)
    {
        var next = 0;
        foreach (var job in jobs)
        {
            var isWanted = next < wanted.Count && ReferenceEquals(wanted[next], job);
            job.Response.DeliverHints(job.Span.Index, job.Span.Codes, isWanted ? hints[next] : [], job.Choice);
            next += isWanted ? 1 : 0;
        }
    }

    // One span that cannot be read must not cost the others their hints: then each is read alone.
    private IReadOnlyList<IReadOnlyList<LatentHint>> Read(List<Job> jobs)
    {
        if (jobs.Count > 1)
        {
            try
            {
                return ReadTogether(jobs);
            }
            catch (Exception)
            {
                // Reported below, for the span that it is about.
            }
        }

        return jobs.ConvertAll(ReadAlone);
    }

    private IReadOnlyList<LatentHint> ReadAlone(Job job)
    {
        try
        {
            return ReadTogether([job])[0];
        }
        catch (Exception exception)
        {
            _failed(exception);
            return [];
        }
    }

    private IReadOnlyList<IReadOnlyList<LatentHint>> ReadTogether(List<Job> jobs)
    {
        var activities = jobs.ConvertAll(job => EngineActivities.StartCodebookDecode(job.Trace, job.Span.Codes.Count));
        try
        {
            return _codebook.DecodeSpans(jobs.ConvertAll(job => new CodedSpan(job.Span.Codes, job.PromptIds)));
        }
        catch (Exception)
        {
            activities.ForEach(activity => activity?.SetStatus(ActivityStatusCode.Error));
            throw;
        }
        finally
        {
            activities.ForEach(activity => activity?.Dispose());
        }
    }

    private sealed record Job(ResponseStream Response, int Choice, LatentSpan Span, IReadOnlyList<int> PromptIds, ActivityContext Trace);
}
