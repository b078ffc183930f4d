using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Datasets.Generators;

namespace Tessera.LoadTests.Commands;

/// <summary>Which prompts of a dataset are measured and which warm the server up.</summary>
/// <param name="Dataset">The dataset.</param>
/// <param name="Asked">How many were asked for.</param>
/// <param name="Measured">Prompts to measure, in run order.</param>
/// <param name="WarmUp">Prompts that run first and do not count.</param>
/// <param name="Notes">What a reader should know of the choice.</param>
internal sealed record ChosenPrompts(
    PromptDataset Dataset, int Asked, IReadOnlyList<PromptCase> Measured, IReadOnlyList<PromptCase> WarmUp, IReadOnlyList<string> Notes)
{
    public static ChosenPrompts Choose(LoadOptions options, PromptDataset dataset)
    {
        var warmup = options.WarmupCount;
        var asked = options.Requests ?? (ProblemGenerator.IsBuiltIn(options.Dataset) ? dataset.Cases.Count - warmup : dataset.Cases.Count);
        var notes = new List<string>();
        if (asked > dataset.Cases.Count)
        {
            notes.Add(
                $"--requests {asked}: the dataset has {dataset.Cases.Count} prompts; all of them run once. "
                + "Prompts are not repeated: that would measure caches and narrow the intervals");
        }

        var measured = dataset.Choose(asked, options.Seed, out var rest);
        if (warmup > rest.Count)
        {
            notes.Add(
                $"warm-up: {Math.Min(warmup - rest.Count, measured.Count)} of the measured prompts were warmed up too, "
                + $"because the dataset has only {rest.Count} others");
        }

        // Prompts that are not measured come first: a measured prompt that was warmed up would find itself in the prefix cache.
        return new ChosenPrompts(dataset, asked, measured, [.. rest.Concat(measured).Take(warmup)], notes);
    }
}
