using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Comparison;

/// <summary>How to run a comparison.</summary>
/// <param name="Concurrency">Requests at once: each worker sends its next request when its last one ended (closed loop).</param>
/// <param name="Model">Model id.</param>
/// <param name="LatentBudget">Most latents; null for no limit.</param>
/// <param name="MaxTokens">Most tokens; null for the server's default.</param>
public sealed record CompareSettings(int Concurrency, string Model, int? LatentBudget, int? MaxTokens)
{
    /// <summary>Time between two readings of the KV cache's fill. 250 ms: often enough for traces of seconds, no load for the server.</summary>
    public TimeSpan KvSampleInterval { get; init; } = TimeSpan.FromMilliseconds(250);
}

/// <summary>Runs the same prompts in text and latent mode.</summary>
public sealed class CompareRunner
{
    private readonly IGenerationTarget _target;
    private readonly CompareSettings _settings;
    private readonly TimeProvider _clock;
    private readonly Action<ReasoningMode> _requestEnded;

    /// <summary>Creates a runner.</summary>
    /// <param name="target">The server.</param>
    /// <param name="settings">How to run.</param>
    /// <param name="clock">Clock of the phases.</param>
    /// <param name="requestEnded">Called after each measured request, from any thread.</param>
    public CompareRunner(IGenerationTarget target, CompareSettings settings, TimeProvider clock, Action<ReasoningMode> requestEnded)
    {
        _target = target;
        _settings = settings;
        _clock = clock;
        _requestEnded = requestEnded;
    }

    /// <summary>Runs prompts once in each mode without counting them.</summary>
    /// <exception cref="LoadTestException">A request failed: measuring would only repeat it.</exception>
    public async Task WarmUpAsync(IReadOnlyList<PromptCase> cases, CancellationToken cancellationToken)
    {
        foreach (var mode in new[] { ReasoningMode.Text, ReasoningMode.Latent })
        {
            var outcomes = await RunClosedLoopAsync(cases, mode, _ => { }, cancellationToken).ConfigureAwait(false);
            if (outcomes.FirstOrDefault(outcome => outcome?.Kind is OutcomeKind.Failed or OutcomeKind.TimedOut) is { } failure)
            {
                throw new LoadTestException($"warm-up in {Name(mode)} mode failed: {failure.Error}");
            }
        }
    }

    /// <summary>Measures; an interruption or a server that goes away ends it early, with what ran.</summary>
    public async Task<CompareResult> RunAsync(PromptDataset dataset, IReadOnlyList<PromptCase> cases, CancellationToken interruption)
    {
        ArgumentNullException.ThrowIfNull(dataset);
        ArgumentNullException.ThrowIfNull(cases);
        var phases = new List<PhaseResult>();
        var end = CompareEnd.Completed;
        foreach (var phase in ComparePlan.Phases(cases.Count, ComparePlan.BlockSize(cases.Count, _settings.Concurrency)))
        {
            var result = await RunPhaseAsync(phase, cases, interruption).ConfigureAwait(false);
            phases.Add(result);
            end = await FindEndAsync(result, interruption).ConfigureAwait(false);
            if (end != CompareEnd.Completed)
            {
                break;
            }
        }

        var peak = end == CompareEnd.ServerUnreachable ? null : await _target.ReadKvCacheAsync(CancellationToken.None).ConfigureAwait(false);
        return new CompareResult(end, Pair(dataset.AnswerRule, cases, phases), phases, peak?.BytesPeak);
    }

    /// <summary>Name of a mode on the wire and in reports.</summary>
    public static string Name(ReasoningMode mode) => mode == ReasoningMode.Text ? "text" : "latent";

    private async Task<PhaseResult> RunPhaseAsync(Phase phase, IReadOnlyList<PromptCase> cases, CancellationToken interruption)
    {
        using var phaseEnded = CancellationTokenSource.CreateLinkedTokenSource(interruption);
        var start = _clock.GetTimestamp();
        var sampling = SampleKvCacheAsync(phaseEnded.Token);
        var block = cases.Skip(phase.First).Take(phase.Count).ToArray();
        var outcomes = await RunClosedLoopAsync(block, phase.Mode, _requestEnded, interruption).ConfigureAwait(false);
        var duration = _clock.GetElapsedTime(start);
        await phaseEnded.CancelAsync().ConfigureAwait(false);
        return new PhaseResult(phase, duration, await sampling.ConfigureAwait(false), outcomes);
    }

    // Each worker takes the next prompt when its last request ended; what the interruption left untouched stays null.
    private async Task<RequestOutcome?[]> RunClosedLoopAsync(
        IReadOnlyList<PromptCase> cases, ReasoningMode mode, Action<ReasoningMode> requestEnded, CancellationToken interruption)
    {
        var outcomes = new RequestOutcome?[cases.Count];
        var taken = -1;
        async Task WorkAsync()
        {
            while (!interruption.IsCancellationRequested && Interlocked.Increment(ref taken) is var next && next < cases.Count)
            {
                var request = new TargetRequest(_settings.Model, cases[next].Prompt, mode, _settings.LatentBudget, _settings.MaxTokens);
                outcomes[next] = await _target.GenerateAsync(request, interruption).ConfigureAwait(false);
                requestEnded(mode);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Math.Min(_settings.Concurrency, cases.Count)).Select(_ => WorkAsync())).ConfigureAwait(false);
        return outcomes;
    }

    private async Task<List<long>> SampleKvCacheAsync(CancellationToken phaseEnded)
    {
        var samples = new List<long>();
        using var timer = new PeriodicTimer(_settings.KvSampleInterval, _clock);
        try
        {
            while (await timer.WaitForNextTickAsync(phaseEnded).ConfigureAwait(false))
            {
                if (await _target.ReadKvCacheAsync(phaseEnded).ConfigureAwait(false) is { } state)
                {
                    samples.Add(state.BytesInUse);
                }
            }
        }
        catch (OperationCanceledException) when (phaseEnded.IsCancellationRequested)
        {
            // The phase is over: what was sampled stands.
        }

        return samples;
    }

    // After a phase with a failure: is the server still there? If not, the prompts that are left would only fail one by one.
    private async Task<CompareEnd> FindEndAsync(PhaseResult result, CancellationToken interruption)
    {
        if (interruption.IsCancellationRequested)
        {
            return CompareEnd.Interrupted;
        }

        if (result.Outcomes.All(outcome => outcome?.Kind == OutcomeKind.Succeeded))
        {
            return CompareEnd.Completed;
        }

        try
        {
            await _target.GetFactsAsync(_settings.Model, interruption).ConfigureAwait(false);
            return CompareEnd.Completed;
        }
        catch (OperationCanceledException) when (interruption.IsCancellationRequested)
        {
            return CompareEnd.Interrupted;
        }
        catch (LoadTestException)
        {
            return CompareEnd.ServerUnreachable;
        }
    }

    private static List<PromptPair> Pair(AnswerRule rule, IReadOnlyList<PromptCase> cases, List<PhaseResult> phases)
    {
        var measured = new Dictionary<(int Prompt, ReasoningMode Mode), MeasuredRequest>();
        foreach (var phase in phases)
        {
            for (var i = 0; i < phase.Outcomes.Count; i++)
            {
                if (phase.Outcomes[i] is { Kind: not OutcomeKind.Interrupted } outcome)
                {
                    var prompt = phase.Phase.First + i;
                    var isCorrect = outcome.Kind == OutcomeKind.Succeeded && AnswerChecker.IsCorrect(rule, cases[prompt].Answer, outcome.Answer);
                    measured[(prompt, phase.Phase.Mode)] = new MeasuredRequest(outcome, isCorrect);
                }
            }
        }

        return [.. cases.Select((problem, i) => new PromptPair(
            problem, measured.GetValueOrDefault((i, ReasoningMode.Text)), measured.GetValueOrDefault((i, ReasoningMode.Latent))))];
    }
}
