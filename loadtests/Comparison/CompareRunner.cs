using Tessera.LoadTests.Arrivals;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Comparison;

/// <summary>How to measure.</summary>
/// <param name="Arms">What to compare; one arm alone is a plain load test.</param>
/// <param name="Arrivals">When to send.</param>
/// <param name="Model">Model id.</param>
/// <param name="MaxTokens">Most tokens; null for the server's default.</param>
/// <param name="Seed">Seed of the arrivals.</param>
public sealed record CompareSettings(IReadOnlyList<Arm> Arms, ArrivalSettings Arrivals, string Model, int? MaxTokens, int Seed)
{
    /// <summary>
    /// Start of the salts that keep the arms' cached prompt prefixes apart: otherwise the arm that comes second finds a prompt that the first one left. Null: they share.
    /// </summary>
    public string? SaltPrefix { get; init; }

    /// <summary>Time between two readings of the server's memory. 20 ms: on a fast server a block of requests can be over within 100.</summary>
    public TimeSpan MemorySampleInterval { get; init; } = TimeSpan.FromMilliseconds(20);
}

/// <summary>Runs the same prompts in every arm, block by block.</summary>
public sealed class CompareRunner
{
    private readonly IGenerationTarget _target;
    private readonly CompareSettings _settings;
    private readonly TimeProvider _clock;
    private readonly Action<int, RequestOutcome> _requestEnded;
    private long _epoch;

    /// <summary>Creates a runner.</summary>
    /// <param name="target">The server.</param>
    /// <param name="settings">How to run.</param>
    /// <param name="clock">Clock of the phases.</param>
    /// <param name="requestEnded">Called with the arm's index after each measured request, from any thread.</param>
    public CompareRunner(IGenerationTarget target, CompareSettings settings, TimeProvider clock, Action<int, RequestOutcome> requestEnded)
    {
        _target = target;
        _settings = settings;
        _clock = clock;
        _requestEnded = requestEnded;
    }

    /// <summary>Runs prompts once in each arm, in closed loop, without counting them.</summary>
    /// <exception cref="LoadTestException">A request failed: measuring would only repeat it.</exception>
    public async Task WarmUpAsync(IReadOnlyList<PromptCase> cases, CancellationToken cancellationToken)
    {
        var generator = new LoadGenerator(_target, _settings.Arrivals with { Rate = null }, _clock);
        foreach (var arm in _settings.Arms)
        {
            var outcomes = await generator.RunAsync(Requests(cases, arm), _settings.Seed, _ => { }, cancellationToken).ConfigureAwait(false);
            if (outcomes.FirstOrDefault(outcome => outcome?.Kind is OutcomeKind.Failed or OutcomeKind.TimedOut) is { } failure)
            {
                throw new LoadTestException($"warm-up in {arm.Name} mode failed: {failure.Error}");
            }
        }
    }

    /// <summary>Measures; an interruption or a server that goes away ends it early, with what ran.</summary>
    public async Task<CompareResult> RunAsync(PromptDataset dataset, IReadOnlyList<PromptCase> cases, CancellationToken interruption)
    {
        ArgumentNullException.ThrowIfNull(dataset);
        ArgumentNullException.ThrowIfNull(cases);
        _epoch = _clock.GetTimestamp();
        var phases = new List<PhaseResult>();
        var end = CompareEnd.Completed;
        foreach (var phase in ComparePlan.Phases(cases.Count, BlockSize(cases.Count), _settings.Arms.Count))
        {
            var result = await RunPhaseAsync(phase, cases, interruption).ConfigureAwait(false);
            phases.Add(result);
            end = await FindEndAsync(result, interruption).ConfigureAwait(false);
            if (end != CompareEnd.Completed)
            {
                break;
            }
        }

        var last = end == CompareEnd.ServerUnreachable ? null : await _target.ReadMemoryAsync(CancellationToken.None).ConfigureAwait(false);
        return new CompareResult(end, _settings.Arms, Join(dataset.AnswerRule, cases, phases), phases, last?.KvBytesPeak);
    }

    /// <summary>Prompts per block.</summary>
    public int BlockSize(int promptCount) =>
        ComparePlan.BlockSize(promptCount, _settings.Arrivals.Concurrency, _settings.Arms.Count, _settings.Arrivals.IsOpen);

    private TargetRequest[] Requests(IEnumerable<PromptCase> cases, Arm arm) =>
        [.. cases.Select(problem => new TargetRequest(_settings.Model, problem.Prompt, arm.Mode, arm.LatentBudget, _settings.MaxTokens)
        {
            // Other servers may refuse a field that they do not know.
            CacheSalt = _settings.SaltPrefix is { } prefix && arm.Mode != ReasoningMode.Plain ? $"{prefix}-{arm.Name}" : null,
        })];

    // The arms of a block share the seed: they meet the same arrival times.
    private async Task<PhaseResult> RunPhaseAsync(Phase phase, IReadOnlyList<PromptCase> cases, CancellationToken interruption)
    {
        using var phaseEnded = CancellationTokenSource.CreateLinkedTokenSource(interruption);
        var generator = new LoadGenerator(_target, _settings.Arrivals, _clock);
        var requests = Requests(cases.Skip(phase.First).Take(phase.Count), _settings.Arms[phase.Arm]);
        var start = _clock.GetTimestamp();
        var running = generator.RunAsync(requests, _settings.Seed + phase.Block, outcome => _requestEnded(phase.Arm, outcome), interruption);
        var sampling = SampleMemoryAsync(phaseEnded.Token);
        var outcomes = await running.ConfigureAwait(false);
        var duration = _clock.GetElapsedTime(start);
        await phaseEnded.CancelAsync().ConfigureAwait(false);
        return new PhaseResult(phase, start, _clock.GetElapsedTime(_epoch, start), duration, await sampling.ConfigureAwait(false), outcomes);
    }

    // At once and then at every tick: a block may be over before the first one.
    private async Task<List<MemorySample>> SampleMemoryAsync(CancellationToken phaseEnded)
    {
        var samples = new List<MemorySample>();
        using var timer = new PeriodicTimer(_settings.MemorySampleInterval, _clock);
        try
        {
            do
            {
                if (await _target.ReadMemoryAsync(phaseEnded).ConfigureAwait(false) is { } memory)
                {
                    samples.Add(new MemorySample(_clock.GetElapsedTime(_epoch), memory));
                }
            }
            while (await timer.WaitForNextTickAsync(phaseEnded).ConfigureAwait(false));
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

    private List<PromptRuns> Join(AnswerRule rule, IReadOnlyList<PromptCase> cases, List<PhaseResult> phases)
    {
        var runs = cases.Select(_ => new MeasuredRequest?[_settings.Arms.Count]).ToArray();
        foreach (var phase in phases)
        {
            for (var i = 0; i < phase.Outcomes.Count; i++)
            {
                if (phase.Outcomes[i] is { Kind: not OutcomeKind.Interrupted } outcome)
                {
                    var prompt = phase.Phase.First + i;
                    var isCorrect = outcome.Kind == OutcomeKind.Succeeded && AnswerChecker.IsCorrect(rule, cases[prompt].Answer, outcome.Answer);
                    runs[prompt][phase.Phase.Arm] = new MeasuredRequest(outcome, isCorrect);
                }
            }
        }

        return [.. cases.Select((problem, i) => new PromptRuns(problem, runs[i]))];
    }
}
