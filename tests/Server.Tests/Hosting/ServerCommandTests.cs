using System.Collections;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.Models;
using Tessera.Server.Hosting;
using Tessera.Testing;

namespace Tessera.Server.Tests.Hosting;

public sealed class ServerCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly StringWriter _output = new();
    private readonly StringWriter _error = new();

    public void Dispose()
    {
        _folder.Dispose();
        _output.Dispose();
        _error.Dispose();
    }

    [Fact]
    public async Task Run_Help_PrintsOptionsAndSucceeds()
    {
        Assert.Equal(0, await RunAsync("--help"));
        Assert.Equal(HelpText.Write(), _output.ToString());
    }

    [Fact]
    public async Task Run_Version_PrintsIt()
    {
        Assert.Equal(0, await RunAsync("--version"));
        Assert.Matches(@"^\d+\.\d+\.\d+\r?\n$", _output.ToString());
    }

    [Fact]
    public async Task Run_UnknownOption_FailsWithOneLine()
    {
        Assert.Equal(1, await RunAsync("--Engine:MaxSlot", "4"));
        Assert.StartsWith("error: Engine:MaxSlot: ", OnlyErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_NoPackageShipped_SaysWhereItLooked()
    {
        Assert.Equal(1, await RunAsync());
        Assert.Contains(_folder["packages"], OnlyErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_SeveralPackagesShipped_AsksForAChoice()
    {
        new PackageBuilder().Write(_folder["packages/one"]);
        new PackageBuilder().Write(_folder["packages/two"]);

        Assert.Equal(1, await RunAsync());
        Assert.Contains("(one, two)", OnlyErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_PackageFolderMissing_NamesIt()
    {
        Assert.Equal(1, await RunAsync("--Model:Package", _folder["gone"]));
        Assert.StartsWith($"error: Model:Package: expected a folder with a model package, found nothing at '{_folder["gone"]}'", OnlyErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_AlteredFile_FailsWithOneLineThatNamesItAndBothHashes()
    {
        var package = new PackageBuilder().Write(_folder["packages/one"]);
        var graph = Path.Combine(package, ModelPackage.DecoderFileName);
        var bytes = File.ReadAllBytes(graph);
        bytes[^1] ^= 1;
        File.WriteAllBytes(graph, bytes);

        Assert.Equal(1, await RunAsync());
        Assert.Matches($"^error: {ModelPackage.DecoderFileName}: [^:]*sha256: expected [0-9a-f]{{64}}, found [0-9a-f]{{64}}$", OnlyErrorLine());
    }

    [Fact]
    public async Task Run_PortInUse_FailsWithOneLine()
    {
        new PackageBuilder().Write(_folder["packages/one"]);
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;

        Assert.Equal(1, await RunAsync("--Server:RestPort", $"{port}", "--Server:GrpcPort", "0"));
        Assert.Contains($"{port}", OnlyErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_ShippedPackage_ListensAnswersAndStops()
    {
        new PackageBuilder().Write(_folder["packages/one"]);
        using var stop = new CancellationTokenSource();
        var running = Command().RunAsync(["--Server:RestPort", "0", "--Server:GrpcPort", "0", "--Server:LogLevel", "None"], stop.Token);

        var listening = await WhenListeningAsync(running);
        using var client = new HttpClient { BaseAddress = new Uri(listening.Groups["rest"].Value) };
        using var response = await client.PostAsync(
            new Uri("/v1/chat/completions", UriKind.Relative),
            new StringContent("""{"messages":[{"role":"user","content":"Tom is a wumpus?"}],"reasoning":{"mode":"latent"}}""", null, "application/json"));
        var completion = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        await stop.CancelAsync();

        Assert.Equal(0, await running);
        Assert.Equal("True", (string?)completion["choices"]![0]!["message"]!["content"]);
        Assert.Equal("[0,1]", completion["choices"]![0]!["message"]!["latent_reasoning"]!["spans"]![0]!["codes"]!.ToJsonString());
        Assert.Equal("", _error.ToString());
    }

    private async Task<Match> WhenListeningAsync(Task<int> running)
    {
        for (var i = 0; i < 1200 && !running.IsCompleted; i++)
        {
            if (Regex.Match(_output.ToString(), @"^listening rest=(?<rest>http://127\.0\.0\.1:\d+) grpc=(?<grpc>http://127\.0\.0\.1:\d+)\r?$", RegexOptions.Multiline) is { Success: true } found)
            {
                return found;
            }
            await Task.Delay(100);
        }
        throw new InvalidOperationException($"The server did not listen: {_error}{_output}");
    }

    private Task<int> RunAsync(params string[] args) => Command().RunAsync(args);

    private ServerCommand Command() => new(_folder.FullPath, new Hashtable(), TextWriter.Synchronized(_output), TextWriter.Synchronized(_error));

    private string OnlyErrorLine() => Assert.Single(_error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)).TrimEnd();
}
