using Tessera.Models;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>The package and the scripts that the tests of the engine share.</summary>
internal static class TestModel
{
    private static readonly Lazy<ModelPackage> LoadedPackage = new(() =>
    {
        using var folder = new TemporaryFolder();
        return new PackageBuilder().Load(folder.FullPath);
    });

    /// <summary>The tiny package; its files are gone, only what was read of them is used.</summary>
    public static ModelPackage Package => LoadedPackage.Value;

    /// <summary>Its special ids.</summary>
    public static ExtendedVocabulary Vocabulary => Package.Vocabulary;

    /// <summary>Two steps, of 4 and 6 text tokens, and an answer of one token.</summary>
    public static TraceScript TwoSteps { get; } =
        TraceScript.FromText(Package, [(3, " Tom is a lempus."), (1, " Every wumpus is a lempus.")], " True");

    /// <summary>Scripts of different lengths, one per prompt length.</summary>
    public static TraceScript ForPrompt(int promptTokens)
    {
        (int Code, string Text)[] steps = [(3, " Tom is a lempus."), (1, " Every wumpus is a lempus."), (0, " Tom is not lempus."), (2, " no")];
        string[] answers = [" True", " False yes", " yes no yes no"];
        return TraceScript.FromText(Package, [.. steps.Take(promptTokens % 5)], answers[promptTokens % 3]);
    }

    /// <summary>Says what <see cref="ForPrompt"/> has for the prompt of a sequence.</summary>
    public static IReadOnlyList<int> NextForPrompt(IReadOnlyList<int> ids)
    {
        var promptTokens = ids.TakeWhile(id => id != Vocabulary.ThinkId).Count();
        return ScriptsByPrompt[promptTokens % ScriptsByPrompt.Length].Next(ids);
    }

    private static TraceScript[] ScriptsByPrompt { get; } = [.. Enumerable.Range(0, 15).Select(ForPrompt)];
}
