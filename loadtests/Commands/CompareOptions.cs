namespace Tessera.LoadTests.Commands;

/// <summary>Arguments of <c>tessera-load compare</c>, each in range.</summary>
public sealed record CompareOptions
{
    /// <summary>Dataset file.</summary>
    public required string Dataset { get; init; }

    /// <summary>Prompts to run; null for all.</summary>
    public int? Requests { get; init; }

    /// <summary>Requests at once.</summary>
    public required int Concurrency { get; init; }

    /// <summary>Folder of the report.</summary>
    public required string Out { get; init; }

    /// <summary>REST address of the server.</summary>
    public required Uri Url { get; init; }

    /// <summary>Most latents; null for no limit.</summary>
    public int? LatentBudget { get; init; }

    /// <summary>Most tokens; null for the server's default.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Prompts run in each mode before the measurement; null for as many as the concurrency.</summary>
    public int? Warmup { get; init; }

    /// <summary>Time limit of one request.</summary>
    public required TimeSpan Timeout { get; init; }

    /// <summary>Seed of the choice of prompts, their order and the resampling.</summary>
    public required int Seed { get; init; }

    /// <summary>Model id; null for the server's only one.</summary>
    public string? Model { get; init; }
}
