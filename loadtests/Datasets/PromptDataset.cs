namespace Tessera.LoadTests.Datasets;

/// <summary>One problem.</summary>
/// <param name="Number">Line (JSONL) or entry (JSON array) of the file, from 1.</param>
/// <param name="Prompt">Text of the single user message.</param>
/// <param name="Answer">The expected answer.</param>
public sealed record PromptCase(int Number, string Prompt, string Answer);

/// <summary>Layout of a dataset file.</summary>
public enum DatasetLayout
{
    /// <summary>One JSON object with prompt and answer per line.</summary>
    Jsonl,

    /// <summary>The released ProsQA layout: a JSON array of objects with question, answer and more.</summary>
    ProsQa,

    /// <summary>No file: made by a built-in generator.</summary>
    Generated,
}

/// <summary>The problems of a file, in file order, or of a generator.</summary>
/// <param name="Name">File name without folder, or the generator's name.</param>
/// <param name="Sha256">Hash of the file's bytes (of the generated problems), hexadecimal, lower case.</param>
/// <param name="Layout">Layout of the file.</param>
/// <param name="Cases">At least one problem.</param>
/// <param name="AnswerRule">How answers to these problems are compared.</param>
public sealed record PromptDataset(string Name, string Sha256, DatasetLayout Layout, IReadOnlyList<PromptCase> Cases, AnswerRule AnswerRule)
{
    /// <summary>The first cases of a seeded shuffle; the rest is free for the warm-up.</summary>
    /// <param name="count">How many to take; all when there are fewer.</param>
    /// <param name="seed">Same seed, same choice and order.</param>
    /// <param name="rest">The cases that were not taken.</param>
    public IReadOnlyList<PromptCase> Choose(int count, int seed, out IReadOnlyList<PromptCase> rest)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        var shuffled = Cases.ToArray();
        new Random(seed).Shuffle(shuffled);
        var taken = Math.Min(count, shuffled.Length);
        rest = shuffled[taken..];
        return shuffled[..taken];
    }
}
