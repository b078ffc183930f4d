using Tessera.LoadTests.Arrivals;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Commands;

/// <summary>Arguments of <c>tessera-load run</c> and <c>compare</c>, each in range.</summary>
public sealed record LoadOptions
{
    // Beyond this many open connections it is the client's machine that is measured.
    private const int OpenLoopConnections = 1024;

    /// <summary>Whether to compare; otherwise one mode runs.</summary>
    public required bool IsComparison { get; init; }

    /// <summary>Dataset file or <c>builtin:task</c>.</summary>
    public required string Dataset { get; init; }

    /// <summary>How answers are compared; null for the dataset's own rule.</summary>
    public AnswerRule? AnswerRule { get; init; }

    /// <summary>Prompts to run; null for all, 200 of a generator.</summary>
    public int? Requests { get; init; }

    /// <summary>Requests at once, one point each; empty for 1 (open loop: 1024 at most).</summary>
    public IReadOnlyList<int> Concurrency { get; init; } = [];

    /// <summary>Open loop: arrivals per second, one point each; empty for a closed loop.</summary>
    public IReadOnlyList<double> Rates { get; init; } = [];

    /// <summary>Shape of the gaps between arrivals.</summary>
    public double Burstiness { get; init; } = 1;

    /// <summary>A rate that climbs; null for a constant one.</summary>
    public Ramp? Ramp { get; init; }

    /// <summary>Folder of the report.</summary>
    public required string Out { get; init; }

    /// <summary>REST address of the server.</summary>
    public required Uri Url { get; init; }

    /// <summary>gRPC address; null for requests over REST.</summary>
    public Uri? Grpc { get; init; }

    /// <summary>Bearer key; null for none.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Mode of a plain run; null for auto (plain on a server without Tessera's extension).</summary>
    public ReasoningMode? Mode { get; init; }

    /// <summary>Budgets along the dial; null for no limit. A plain run has one.</summary>
    public IReadOnlyList<int?> LatentBudgets { get; init; } = [null];

    /// <summary>Most tokens; null for the server's default.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Prompts run in each arm before the measurement; null for as many as the concurrency.</summary>
    public int? Warmup { get; init; }

    /// <summary>Time limit of one request.</summary>
    public required TimeSpan Timeout { get; init; }

    /// <summary>Seed of the prompts, their order, the arrivals and the resampling.</summary>
    public required int Seed { get; init; }

    /// <summary>Model id; null for the server's only one.</summary>
    public string? Model { get; init; }

    /// <summary>Whether modes and loads share cached prompt prefixes on the server.</summary>
    public bool SharesPrefixCache { get; init; }

    /// <summary>Objectives of goodput; null for none.</summary>
    public Objectives? Objectives { get; init; }

    /// <summary>Report to compare with; null for none.</summary>
    public string? Baseline { get; init; }

    /// <summary>What may not get worse than the baseline, and by how much.</summary>
    public IReadOnlyList<FailRule> FailOn { get; init; } = [];

    /// <summary>Whether charts are written as PNG, when there is a Chromium.</summary>
    public bool WritesPng { get; init; } = true;

    /// <summary>The loads, one point each.</summary>
    public IReadOnlyList<ArrivalSettings> Points => Rates.Count > 0
        ? [.. Rates.Select(rate => new ArrivalSettings(Concurrency.Count > 0 ? Concurrency[0] : OpenLoopConnections, rate, Burstiness, Ramp))]
        : [.. Concurrency.DefaultIfEmpty(1).Select(concurrency => new ArrivalSettings(concurrency))];

    /// <summary>Prompts run first in each arm: enough to open the connections, but no more than a closed loop of ordinary size has.</summary>
    public int WarmupCount => Warmup ?? (Rates.Count > 0 ? 8 : Points.Max(point => point.Concurrency));

    /// <summary>Where the server is.</summary>
    public TargetOptions Target => new(Url, Grpc, ApiKey, Points.Max(point => point.Concurrency), Timeout);
}
