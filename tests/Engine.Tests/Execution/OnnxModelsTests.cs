using Tessera.Engine.Execution;
using Tessera.Models;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Execution;

public sealed class OnnxModelsTests : IDisposable
{
    private static readonly EngineOptions Options = new() { MaxSlots = 2, Threads = 1 };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_Package_RunsItsDecoder()
    {
        var package = new PackageBuilder().Load(_folder["package"]);

        using var runner = OnnxModels.Load(package, Options, out var codebook);
        using (codebook)
        {
            var ids = PackageBuilder.Ids(" Tom", "<think>");
            var logits = runner.Run(new StepPlan([], new SequenceSlice(0, ids, 0, 2, true)));

            Assert.Equal(package.Vocabulary.Size, logits.Length);
            Assert.Equal(package.Vocabulary.BoLatentId, logits.IndexOf(TinyGraphs.SuccessorLogit));
        }
    }

    [Fact]
    public void Load_Package_ReadsHintsWithItsTokenizer()
    {
        var package = new PackageBuilder().Load(_folder["package"]);

        using var runner = OnnxModels.Load(package, Options, out var codebook);
        using (codebook)
        {
            var hints = codebook!.Decode([1, 0], PackageBuilder.Ids(" Tom"));

            Assert.Equal(["Every wumpus is a lempus.", "Tom is a lempus."], hints.Select(hint => hint.Text));
            Assert.Equal([6, 4], hints.Select(hint => hint.TokenCount));
        }
    }

    [Fact]
    public void Load_PackageWithoutCodebook_GivesNone()
    {
        var builder = new PackageBuilder();
        builder.Manifest = builder.Manifest with { Codebook = null };

        using var runner = OnnxModels.Load(builder.Load(_folder["package"]), Options, out var codebook);

        Assert.Null(codebook);
    }

    [Fact]
    public void Load_CodebookThatTheRuntimeRefuses_NamesItsFile()
    {
        var builder = new PackageBuilder { ChangeCodebookDecoder = model => model.Graph.Node[0].OpType = "NoSuchOperator" };
        var package = builder.Load(_folder["package"]);

        var error = Assert.Throws<ModelPackageException>(() => OnnxModels.Load(package, Options, out _));

        Assert.Equal(("codebook-decoder.onnx", "graph"), (error.File, error.Field));
    }

    [Fact]
    public void Load_CudaAndAPackageForTheProcessor_NamesBoth()
    {
        var error = Assert.Throws<ModelPackageException>(
            () => OnnxModels.Load(new PackageBuilder().Load(_folder["package"]), Options with { Device = EngineDevice.Cuda }, out _));

        Assert.Equal(
            "tessera.json: $.precision.device: expected cuda, which Engine:Device says (tessera-export export --device cuda writes such a package), found cpu",
            error.Message);
    }
}
