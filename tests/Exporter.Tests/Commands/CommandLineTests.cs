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
        Assert.Contains($"Wrote tessera-fixture 0.0.1 to {_fixture.Output}", export.Output);

        var verify = await RunAsync("verify", "--package", _fixture.Output);
        Assert.Equal((0, ""), (verify.ExitCode, verify.Error));
        Assert.Contains("Verified: 10 comparisons within their limits.", verify.Output);

        var inspect = await RunAsync("inspect", "--package", _fixture.Output);
        Assert.Equal((0, ""), (inspect.ExitCode, inspect.Error));
        Assert.Contains("697: 16 latents from 681 on", inspect.Output);
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
        Assert.All((string[])["export", "verify", "inspect"], command => Assert.Contains(command, help.Output));
    }

    private static async Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] args)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in (string[])["exec", Path.Combine(AppContext.BaseDirectory, "tessera-export.dll"), .. args])
            start.ArgumentList.Add(argument);
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
