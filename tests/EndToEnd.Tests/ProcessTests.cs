using System.Text.Json.Nodes;
using Tessera.EndToEnd.Tests.Support;
using Tessera.Models;
using Tessera.Protos.Onnx;
using Tessera.Testing;

namespace Tessera.EndToEnd.Tests;

/// <summary>How the server process starts, refuses to start, and ends.</summary>
public sealed class ProcessTests : IDisposable
{
    // As ONNX numbers element types.
    private const int Float16 = 10;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Server_StartedAndTerminated_AnswersItsOwnCurlLineThroughLatentsAndExitsWithZero()
    {
        await using var server = await ServerProcess.StartAsync();

        var said = Said.FromCompletion(await server.CompleteAsync(server.GreetingRequest()));
        var (exitCode, errors) = await server.StopAsync();

        Assert.NotEmpty(said.Codes);
        Assert.Equal("Rex is a lempus.", said.Answer);
        Assert.Equal(0, exitCode);
        Assert.Empty(errors);
    }

    [Theory]
    [InlineData(ModelPackage.DecoderFileName)]
    [InlineData(ModelPackage.CodebookDecoderFileName)]
    [InlineData(ModelPackage.TokenizerFileName)]
    public async Task Server_PackageFileAltered_RefusesWithOneLineThatNamesIt(string file)
    {
        var package = CopyPackage();
        var path = Path.Combine(package, file);
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);

        Assert.Contains(file, await RefusalAsync("--Model:Package", package), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_PackageFileMissing_RefusesWithOneLineThatNamesIt()
    {
        var package = CopyPackage();
        File.Delete(Path.Combine(package, ModelPackage.DecoderFileName));

        Assert.Contains(ModelPackage.DecoderFileName, await RefusalAsync("--Model:Package", package), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_ManifestOfAnotherFormat_RefusesWithOneLineThatNamesTheField()
    {
        var package = CopyPackage();
        var path = Path.Combine(package, ModelPackage.ManifestFileName);
        var manifest = JsonNode.Parse(File.ReadAllText(path))!;
        manifest["format"] = 99;
        File.WriteAllText(path, manifest.ToJsonString());

        var refusal = await RefusalAsync("--Model:Package", package);

        Assert.Contains("format", refusal, StringComparison.Ordinal);
        Assert.Contains("99", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_PackageFolderMissing_RefusesWithOneLine() =>
        Assert.Contains("Model:Package", await RefusalAsync("--Model:Package", _folder["nothing"]), StringComparison.Ordinal);

    [Fact]
    public async Task Server_UnknownOption_RefusesWithOneLineThatNamesIt() =>
        Assert.Contains("Engine:MaxSlot", await RefusalAsync("--Engine:MaxSlot", "4"), StringComparison.Ordinal);

    [Fact]
    public async Task Server_CudaWithAPackageForTheProcessor_RefusesWithOneLine() => Assert.EndsWith(
        "tessera.json: $.precision.device: expected cuda, which Engine:Device says (tessera-export export --device cuda writes such a package), found cpu",
        await RefusalAsync("--Engine:Device", "cuda"),
        StringComparison.Ordinal);

    [Fact]
    public async Task Server_PackageForCudaOnTheProcessor_RefusesWithOneLine() => Assert.EndsWith(
        "tessera.json: $.precision.device: expected cpu, which Engine:Device says (--Engine:Device cuda runs such a package on a GPU), found cuda",
        await RefusalAsync("--Model:Package", CudaPackage()),
        StringComparison.Ordinal);

    [Fact]
    public async Task Server_CudaWithoutTheProvider_RefusesWithOneLineThatSaysWhatIsMissing()
    {
        var refusal = await RefusalAsync("--Engine:Device", "cuda", "--Model:Package", CudaPackage());

        Assert.Contains("Engine:Device: cuda needs ONNX Runtime's CUDA provider beside '", refusal, StringComparison.Ordinal);
        Assert.EndsWith(
            "found no libonnxruntime_providers_shared.so and no libonnxruntime_providers_cuda.so there (docs/how-to/run-on-a-gpu.md)", refusal, StringComparison.Ordinal);
    }

    // In form only: what is refused is refused before the runtime sees a graph.
    private string CudaPackage()
    {
        var builder = new PackageBuilder { ChangeDecoder = HalveCache };
        builder.Manifest = builder.Manifest with { Precision = new Precision { Weights = "fp16", Kv = "f16", Device = "cuda" } };
        return builder.Write(_folder["cuda"]);

        static void HalveCache(ModelProto model)
        {
            foreach (var port in model.Graph.Input.Concat(model.Graph.Output).Where(port => port.Type.TensorType.Shape.Dim.Count == 4))
            {
                port.Type.TensorType.ElemType = Float16;
            }
        }
    }

    private static async Task<string> RefusalAsync(params string[] arguments)
    {
        await using var process = ServerProcess.Launch(arguments);
        Assert.Equal(1, await process.WaitForExitAsync());
        return Assert.Single(process.Errors);
    }

    private string CopyPackage()
    {
        var copy = Directory.CreateDirectory(_folder["copy"]).FullName;
        foreach (var file in Directory.GetFiles(Repository.ShippedPackage))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        return copy;
    }
}
