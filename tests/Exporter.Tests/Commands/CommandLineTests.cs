using System.Diagnostics;
using Tessera.Exporter.Tests.Support;

namespace Tessera.Exporter.Tests.Commands;

public sealed class CommandLineTests : IDisposable
{
    // A loaded machine starts processes slowly; a hang still ends.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private readonly Fixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task ExportVerifyInspect_Fixture_Succeed()
    {
        var export = await RunAsync("export", "--checkpoint", _fixture.Checkpoint, "--codebook", _fixture.Codebook, "--out", _fixture.Output);
        Assert.Equal((0, ""), (export.ExitCode, export.Error));
        Assert.Contains("Precision: fp32, since the model is small", export.Output);
        Assert.Contains($"Wrote tessera-fixture 0.0.1 (fp32, keys and values f32) to {_fixture.Output}", export.Output);

        var verify = await RunAsync("verify", "--package", _fixture.Output);
        Assert.Equal((0, ""), (verify.ExitCode, verify.Error));
        Assert.Contains("Verified: 11 comparisons within their limits.", verify.Output);

        var inspect = await RunAsync("inspect", "--package", _fixture.Output);
        Assert.Equal((0, ""), (inspect.ExitCode, inspect.Error));
        Assert.Matches(@"681 to 696 +│ 16 +│ latents", inspect.Output);
        Assert.Matches(@"677 to 680 +│ 4 +│ <think> </think> <boLatent> <eoLatent>", inspect.Output);
        Assert.Matches(@"Keys and values per position +│ 256 ", inspect.Output);
        Assert.Contains("Fits: ", inspect.Output);
    }

    [Fact]
    public async Task Verify_PackageForCudaWithoutAProvider_ExitsOneWithOneLineThatSaysWhatIsMissing()
    {
        var export = await RunAsync(
            "export", "--checkpoint", _fixture.Checkpoint, "--codebook", _fixture.Codebook, "--out", _fixture.Output, "--device", "cuda", "--precision", "bf16");
        Assert.Equal((0, ""), (export.ExitCode, export.Error));
        Assert.Contains("The package is for CUDA, and checked in form only.", export.Output);

        var verify = await RunAsync("verify", "--package", _fixture.Output);

        Assert.Equal(1, verify.ExitCode);
        Assert.StartsWith("error: Engine:Device: cuda needs ONNX Runtime's CUDA provider beside '", verify.Error);
        Assert.Single(verify.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task ExtendExportVerify_CheckpointWithoutLatents_Succeed()
    {
        var source = Path.Combine(AppContext.BaseDirectory, "fixtures", "families", "qwen2-padded-base");
        var extended = Path.Combine(_fixture.Packages, "extended");
        var extend = await RunAsync("extend", "--checkpoint", source, "--latents", "8", "--out", extended);
        Assert.Equal((0, ""), (extend.ExitCode, extend.Error));
        Assert.Contains("latents (mean of the old rows, noise 0.1, seed 1).", extend.Output);

        var export = await RunAsync("export", "--checkpoint", extended, "--out", _fixture.Output, "--precision", "int8", "--block-size", "32");
        Assert.Equal((0, ""), (export.ExitCode, export.Error));
        Assert.Contains("(int8, keys and values f32)", export.Output);
        Assert.Matches(@"[0-9.]+ s, at most [0-9]+ MB of memory\.", export.Output);

        var inspect = await RunAsync("inspect", "--package", _fixture.Output);
        Assert.Matches(@"weights int8 in blocks of 32, keys and values f32, for cpu", inspect.Output);
    }

    [Fact]
    public async Task ExtendExportVerify_SentencePieceCheckpoints_Succeed()
    {
        var families = Path.Combine(AppContext.BaseDirectory, "fixtures", "families");
        var export = await RunAsync("export", "--checkpoint", Path.Combine(families, "llama2-sentencepiece"), "--out", _fixture.Output);
        Assert.Equal((0, ""), (export.ExitCode, export.Error));

        var verify = await RunAsync("verify", "--package", _fixture.Output);
        Assert.Equal((0, ""), (verify.ExitCode, verify.Error));
        Assert.Contains("Verified: ", verify.Output);

        var extended = Path.Combine(_fixture.Packages, "extended");
        var extend = await RunAsync("extend", "--checkpoint", Path.Combine(families, "mistral-sentencepiece-base"), "--latents", "8", "--out", extended);
        Assert.Equal((0, ""), (extend.ExitCode, extend.Error));
        var second = await RunAsync("export", "--checkpoint", extended, "--out", Path.Combine(_fixture.Packages, "second"));
        Assert.Equal((0, ""), (second.ExitCode, second.Error));
    }

    /// <summary>A limit on the size of files stands in for a full disk: writing fails in the middle of a file.</summary>
    [Theory]
    [InlineData(2, "tokenizer.json")]
    [InlineData(100, "decoder.onnx")]
    public async Task Export_DiskFillsUp_ExitsOneWithOneLineAndLeavesNothing(int kibibytes, string file)
    {
        // The runtime's own large mapping of a file would hit the limit first; without the signal a write gives an error as on a full disk.
        var export = await RunProcessAsync(
            "bash", ["-c", $"trap '' XFSZ; ulimit -f {kibibytes}; exec \"$@\"", "bash", Host, .. Exporter,
                "export", "--checkpoint", _fixture.Checkpoint, "--codebook", _fixture.Codebook, "--out", _fixture.Output, "--precision", "fp32"],
            environment => environment["DOTNET_EnableWriteXorExecute"] = "0");

        var message = $"{Path.Combine(_fixture.Output, file)}: size: expected room to write the file, found the largest size that the file system or ulimit -f allows";
        Assert.Equal((1, $"error: {message}\n"), (export.ExitCode, export.Error));
        Assert.Empty(Directory.Exists(_fixture.Packages) ? Directory.EnumerateFileSystemEntries(_fixture.Packages) : []);
    }

    [Fact]
    public async Task Extend_DiskFillsUp_ExitsOneWithOneLineAndLeavesNothing()
    {
        var source = Path.Combine(AppContext.BaseDirectory, "fixtures", "families", "mistral-sentencepiece-base");

        var extend = await RunProcessAsync(
            "bash", ["-c", "trap '' XFSZ; ulimit -f 40; exec \"$@\"", "bash", Host, .. Exporter, "extend", "--checkpoint", source, "--latents", "8", "--out", _fixture.Output],
            environment => environment["DOTNET_EnableWriteXorExecute"] = "0");

        Assert.Equal(1, extend.ExitCode);
        Assert.StartsWith($"error: {Path.Combine(_fixture.Output, "model.safetensors")}: size: expected room to write the file, found ", extend.Error);
        Assert.Empty(Directory.Exists(_fixture.Packages) ? Directory.EnumerateFileSystemEntries(_fixture.Packages) : []);
    }

    [Theory]
    [InlineData("command line: --precision: expected fp32, int8, w8a8, int4 for cpu, found fp16", "--precision", "fp16")]
    [InlineData("command line: --kv: expected f32, or --calibration FILE: int8 needs text, or a reference.safetensors in the checkpoint, found int8 without either",
        "--precision", "fp32", "--kv", "int8")]
    [InlineData("config.json: --max-positions: expected 1 to 512, which this model's rotary embedding reaches, found 513", "--precision", "fp32", "--max-positions", "513")]
    public async Task Export_ImpossibleOption_ExitsOneWithOneLine(string message, params string[] options)
    {
        File.Delete(_fixture["reference.safetensors"]);

        var export = await RunAsync(["export", "--checkpoint", _fixture.Checkpoint, "--out", _fixture.Output, .. options]);

        Assert.Equal((1, $"error: {message}\n"), (export.ExitCode, export.Error));
        Assert.False(Directory.Exists(_fixture.Output));
    }

    [Fact]
    public async Task Verify_OtherWeights_ExitsOneWithTheNumbersInOneLine()
    {
        _fixture.ChangeWeights((name, values) =>
        {
            if (name == "lm_head.weight")
                values[0] += 100;
            return values;
        });
        _fixture.Export();

        var verify = await RunAsync("verify", "--package", _fixture.Output);

        Assert.Equal(1, verify.ExitCode);
        Assert.Contains("FAIL", verify.Output);
        Assert.Matches(@"^error: decoder\.onnx: whole prefill: expected a difference of at most 1e-3, found [0-9.]+e\+[0-9]+\n$", verify.Error);
    }

    [Fact]
    public async Task Export_TruncatedWeights_ExitsOneWithOneLine()
    {
        var path = _fixture["model.safetensors"];
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^1]);

        var export = await RunAsync("export", "--checkpoint", _fixture.Checkpoint, "--codebook", _fixture.Codebook, "--out", _fixture.Output);

        Assert.Equal(1, export.ExitCode);
        Assert.Matches(@"^error: model\.safetensors: [^\n]+: expected [^\n]+, found [^\n]+\n$", export.Error);
        Assert.False(Directory.Exists(_fixture.Output));
    }

    [Fact]
    public async Task Verify_NoPackage_ExitsOneWithOneLine()
    {
        var verify = await RunAsync("verify", "--package", _fixture.Output);

        Assert.Equal(1, verify.ExitCode);
        Assert.Matches(@"^error: [^\n]+\n$", verify.Error);
    }

    [Theory]
    [InlineData("export")]
    [InlineData("export", "--checkpoint", "a", "--out", "b", "--fast")]
    [InlineData("melt")]
    [InlineData]
    public async Task Usage_Wrong_ExitsTwo(params string[] args)
    {
        var result = await RunAsync(args);

        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith("error: ", result.Error);
        Assert.DoesNotContain("   at ", result.Error);
    }

    [Fact]
    public async Task Help_Asked_ListsTheCommands()
    {
        var help = await RunAsync("--help");

        Assert.Equal((0, ""), (help.ExitCode, help.Error));
        Assert.All((string[])["export", "extend", "verify", "inspect", "qwen3", "Mistral 7B"], command => Assert.Contains(command, help.Output));
    }

    private static string Host => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    private static string[] Exporter => ["exec", Path.Combine(AppContext.BaseDirectory, "tessera-export.dll")];

    private static Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] args) =>
        RunProcessAsync(Host, [.. Exporter, .. args], static _ => { });

    private static async Task<(int ExitCode, string Output, string Error)> RunProcessAsync(
        string program, IReadOnlyList<string> args, Action<IDictionary<string, string?>> setEnvironment)
    {
        var start = new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true };
        setEnvironment(start.Environment);
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }

        return (process.ExitCode, (await output).ReplaceLineEndings("\n"), (await error).ReplaceLineEndings("\n"));
    }
}
