using System.Security.Cryptography;
using System.Text;

namespace Tessera.LoadTests.Datasets.Generators;

/// <summary>Built-in problems of the tasks that <c>Training/</c> trains, in the same surface form; made up anew for every seed.</summary>
public static class ProblemGenerator
{
    /// <summary>What precedes a task's name in <c>--dataset</c>.</summary>
    public const string Prefix = "builtin:";

    // A generator that repeats itself this often has nothing new to give.
    private const int MaxRepeats = 10_000;

    private static readonly Dictionary<string, (Func<Random, (string Prompt, string Answer)> Make, AnswerRule Rule)> Tasks = new(StringComparer.Ordinal)
    {
        ["prosqa"] = (ProsQaGenerator.Make, AnswerRule.FinalSentence),
        ["prontoqa"] = (ProntoQaGenerator.Make, AnswerRule.Exact),
        ["arithmetic"] = (ArithmeticGenerator.Make, AnswerRule.FinalNumber),
    };

    /// <summary>Whether <paramref name="dataset"/> asks for generated problems.</summary>
    public static bool IsBuiltIn(string dataset) => dataset.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Makes distinct problems.</summary>
    /// <param name="dataset"><c>builtin:</c> and the task.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">Same seed, same problems; a larger count begins with the same ones.</param>
    /// <exception cref="LoadTestException">There is no such task.</exception>
    public static PromptDataset Generate(string dataset, int count, int seed)
    {
        ArgumentNullException.ThrowIfNull(dataset);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        var name = dataset[Prefix.Length..];
        if (!Tasks.TryGetValue(name, out var task))
        {
            throw new LoadTestException($"--dataset: expected {string.Join(", ", Tasks.Keys.Select(known => Prefix + known))} or a file, found {dataset}");
        }

        var random = new Random(seed);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var cases = new List<PromptCase>(count);
        for (var repeats = 0; cases.Count < count;)
        {
            var (prompt, answer) = task.Make(random);
            if (seen.Add(prompt))
            {
                cases.Add(new PromptCase(cases.Count + 1, prompt, answer));
            }
            else if (++repeats > MaxRepeats)
            {
                throw new LoadTestException($"{dataset}: there are not {count} different problems");
            }
        }

        return new PromptDataset(dataset, Hash(cases), DatasetLayout.Generated, cases, task.Rule);
    }

    // Two reports with this hash ran the same problems, whatever versions made them.
    private static string Hash(List<PromptCase> cases)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var problem in cases)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{problem.Prompt}\t{problem.Answer}\n"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>Draws that all generators need.</summary>
internal static class RandomDraws
{
    /// <summary>One item.</summary>
    public static T Choose<T>(this Random random, IReadOnlyList<T> items) => items[random.Next(items.Count)];

    /// <summary>Distinct items in random order.</summary>
    public static T[] Sample<T>(this Random random, IReadOnlyList<T> items, int count)
    {
        var drawn = items.ToArray();
        random.Shuffle(drawn);
        return drawn[..count];
    }
}
