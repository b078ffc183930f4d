using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Comparison;

/// <summary>One way to ask: what a comparison compares.</summary>
/// <param name="Name">Name in tables and reports, for example <c>latent:2</c>.</param>
/// <param name="Mode">How to reason.</param>
/// <param name="LatentBudget">Most latents; null for no limit.</param>
public sealed record Arm(string Name, ReasoningMode Mode, int? LatentBudget)
{
    /// <summary>An arm with its usual name.</summary>
    public static Arm Of(ReasoningMode mode, int? latentBudget = null) =>
        new(latentBudget is { } budget ? $"{mode.Name()}:{budget}" : mode.Name(), mode, latentBudget);

    /// <summary>The arms of a comparison: text first, as the baseline, then latent with each budget.</summary>
    /// <param name="latentBudgets">Budgets along the dial; null for no limit.</param>
    public static IReadOnlyList<Arm> Dial(IReadOnlyList<int?> latentBudgets) =>
        [Of(ReasoningMode.Text), .. latentBudgets.Select(budget => Of(ReasoningMode.Latent, budget))];
}
