using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Verification;
using Tessera.Models;
using Tessera.Testing;

namespace Tessera.Exporter.Tests.Families;

/// <summary>Tiny checkpoints in the layout of each family, with logits that PyTorch recorded: every way of running an exported one gives these logits.</summary>
public sealed class FamilyParityTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Folders of checkpoints that were extended with latents.</summary>
    public static TheoryData<string> Extended =>
        [.. Directory.EnumerateDirectories(Root).Select(path => Path.GetFileName(path)).Where(name => !name.EndsWith("-base", StringComparison.Ordinal)).Order()];

    private static string Root => Path.Combine(AppContext.BaseDirectory, "fixtures", "families");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Extended))]
    public void Export_Family_ComputesWhatPyTorchComputed(string family)
    {
        var rows = Verify(family, DecoderPrecision.Fp32);

        Assert.Equal(9, rows.Count);
        Assert.All(rows, row => Assert.True(row.Passed, $"{family}: {row}"));
        Assert.All(rows, row => Assert.False(row.Tolerance.IsRelative));
    }

    [Theory]
    [InlineData("qwen3", "int8", "f32")]
    [InlineData("qwen3", "int4", "f32")]
    [InlineData("qwen3", "w8a8", "f32")]
    [InlineData("llama-biases", "w8a8", "f32")]
    [InlineData("llama-biases", "int4", "f32")]
    [InlineData("qwen2-tied-bias", "int8", "f32")]
    [InlineData("mistral-window", "fp32", "f16")]
    [InlineData("mistral-window", "fp32", "int8")]
    [InlineData("qwen2-yarn-untied", "int8", "int8")]
    public void Export_FamilyInFewerBits_StaysWithinItsTolerance(string family, string weights, string kv)
    {
        var rows = Verify(family, DecoderPrecision.Create(weights, kv, "cpu", 0));

        Assert.Equal(9, rows.Count);
        Assert.All(rows, row => Assert.True(row.Passed, $"{family} {weights} {kv}: {row}"));
        Assert.All(rows, row => Assert.True(row.Tolerance.IsRelative));
    }

    /// <summary>Graphs for GPUs, on the processor: it knows their operators in half precision too.</summary>
    [Theory]
    [InlineData("qwen3")]
    [InlineData("llama-biases")]
    [InlineData("qwen2-tied-bias")]
    [InlineData("mistral-window")]
    public void Export_FamilyForCuda_ComputesNearlyWhatPyTorchComputed(string family)
    {
        var folder = _folder["package"];
        PackageExporter.Export(
            new(Path.Combine(Root, family), null, folder, false) { Precision = DecoderPrecision.Create("fp16", null, "cuda", 0) }, static (_, _, _) => { }, CancellationToken.None);
        var package = ModelPackage.Load(folder);
        var architecture = package.Manifest.Architecture;
        var reference = ReferenceFile.Read(Path.Combine(Root, family, ReferenceFile.FileName), architecture.VocabularySize, architecture.MaxPositions, 0, 0);
        var options = new EngineOptions { MaxSlots = DecoderVerifier.SlotsFor(reference.Cases.Count), Threads = 1 };

        using var runner = new OnnxModelRunner(package.DecoderPath, architecture, package.Vocabulary.PadId, options, package.Manifest.Precision.Kv);
        var rows = new DecoderVerifier(runner, reference.Cases, Tolerance.Of(package.Manifest.Precision)).Verify().ToList();

        Assert.NotEmpty(rows);
        Assert.All(rows, row => Assert.True(row.Passed, $"{family}: {row}"));
    }

    [Fact]
    public void Families_Committed_AreAllThatAreDescribed() => Assert.Superset(
        new HashSet<string>(["llama2", "llama3-rope-llama3", "llama-linear", "llama-yarn", "llama32-tied", "llama-biases", "qwen2-tied-bias",
            "qwen2-yarn-untied", "qwen3", "mistral-window", "smollm2-tied-bf16-sharded", "padded-vocabulary", "llama2-sentencepiece"]),
        Extended.Select(row => row.Data).ToHashSet());

    private IReadOnlyList<VerificationRow> Verify(string family, DecoderPrecision precision)
    {
        var package = _folder["package"];
        PackageExporter.Export(new(Path.Combine(Root, family), null, package, false) { Precision = precision }, static (_, _, _) => { }, CancellationToken.None);
        Assert.Equal(precision.Describe(), ModelPackage.Load(package).Manifest.Precision);
        return PackageVerifier.Verify(package, null, threads: 1).Rows;
    }
}
