using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Commands;

/// <summary>Bad arguments, files and servers: one line each, nothing measured.</summary>
public sealed class BadInputTests : IDisposable
{
    // Nothing listens on port 1 of loopback.
    private const string Nowhere = "http://127.0.0.1:1";

    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Theory]
    [InlineData("--concurrency", "0", "--concurrency: expected a whole number, 1 to 4096, or several with commas, found 0")]
    [InlineData("--concurrency", "4097", "--concurrency: expected a whole number, 1 to 4096, or several with commas, found 4097")]
    [InlineData("--concurrency", "1,4,1", "--concurrency: expected a whole number, 1 to 4096, or several with commas, found 1,4,1")]
    [InlineData("--rate", "0", "--rate: expected requests per second above 0, at most 100000, or several with commas, found 0")]
    [InlineData("--rate", "2,fast", "--rate: expected requests per second above 0, at most 100000, or several with commas, found 2,fast")]
    [InlineData("--burstiness", "2", "--burstiness: needs --rate")]
    [InlineData("--ramp-from", "2", "--ramp-from: needs --rate")]
    [InlineData("--fail-on", "p99_e2e=+10%", "--fail-on: needs --baseline")]
    [InlineData("--goodput", "ttft", "--goodput: expected objectives in milliseconds like ttft:200,tpot:50,e2e:3000 (also ttfa: first answer token), found ttft")]
    [InlineData("--answer-rule", "similar", "--answer-rule: expected exact, final_number, final_sentence or exact_or_final_number, found similar")]
    [InlineData("--dataset", "builtin:chess", "--dataset: expected builtin:prosqa, builtin:prontoqa, builtin:arithmetic or a file, found builtin:chess")]
    [InlineData("--grpc", "127.0.0.1:8081", "--grpc: expected an address like http://127.0.0.1:8081 without path, query and password")]
    [InlineData("--requests", "0", "--requests: expected a whole number, 1 or more, found 0")]
    [InlineData("--requests", "ten", "--requests: expected a whole number, 1 or more, found ten")]
    [InlineData("--requests", "99999999999", "--requests: expected a whole number, 1 or more, found 99999999999")]
    [InlineData("--latent-budget", "-1", "--latent-budget: expected a whole number, 0 or more, or all, or several with commas, found -1")]
    [InlineData("--max-tokens", "0", "--max-tokens: expected a whole number, 1 or more, found 0")]
    [InlineData("--warmup", "1.5", "--warmup: expected a whole number, 0 or more, found 1.5")]
    [InlineData("--seed", "-3", "--seed: expected a whole number, 0 or more, found -3")]
    [InlineData("--timeout", "0", "--timeout: expected seconds, 0.001 to 86400, found 0")]
    [InlineData("--timeout", "NaN", "--timeout: expected seconds, 0.001 to 86400, found NaN")]
    [InlineData("--url", "localhost:8080", "--url: expected an address like http://127.0.0.1:8080 without path, query and password")]
    [InlineData("--url", "http://host/v1", "--url: expected an address like http://127.0.0.1:8080 without path, query and password")]
    [InlineData("--url", "http://user:secret@host", "--url: expected an address like http://127.0.0.1:8080 without path, query and password")]
    public async Task Compare_ArgumentOutOfRange_NamesIt(string option, string value, string expected)
    {
        string[] dataset = option == "--dataset" ? [] : ["--dataset", "d"];

        var exitCode = await _run.RunAsync(["compare", .. dataset, "--out", "o", option, value]);

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: {expected}", _run.Error);
    }

    [Fact]
    public async Task Compare_RequiredOptionsMissing_NamesThem()
    {
        var exitCode = await _run.RunAsync(["compare"]);

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Contains("--dataset", _run.Error, StringComparison.Ordinal);
        Assert.Contains("--out", _run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_UnknownOption_NamesIt()
    {
        var exitCode = await _run.RunAsync(["compare", "--dataset", "d", "--out", "o", "--concurency", "2"]);

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Contains("--concurency", _run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_DatasetMissing_NamesTheFile()
    {
        var path = Path.Combine(_run.Folder, "none.jsonl");

        var exitCode = await _run.RunAsync(["compare", "--dataset", path, "--out", _run.Folder, "--url", Nowhere]);

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: --dataset: {path}: no such file", _run.Error);
    }

    [Fact]
    public async Task Compare_DatasetMalformed_NamesFileAndLine()
    {
        var exitCode = await _run.CompareAsync(Nowhere, "{\"prompt\":\"p\",\"answer\":\"a\"}\n{\"prompt\":\"p\"}");

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: {Path.Combine(_run.Folder, "dataset.json")}: line 2: \"answer\" is missing", _run.Error);
    }

    [Fact]
    public async Task Compare_OutIsAFile_NamesIt()
    {
        _run.Write("out", "in the way");

        var exitCode = await _run.CompareAsync(Nowhere, Samples.Jsonl(1));

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: --out: {Path.Combine(_run.Folder, "out")}: cannot be written (a file of that name, or no permission)", _run.Error);
    }

    [Fact]
    public async Task Compare_NoServer_SaysSoInOneLine()
    {
        var exitCode = await _run.CompareAsync(Nowhere, Samples.Jsonl(1));

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal("tessera-load: http://127.0.0.1:1/: cannot reach the server; is it running, and is this its REST address?", _run.Error);
    }

    [Fact]
    public async Task Compare_ForeignServer_SaysSo()
    {
        await using var server = await ScriptedServer.StartAsync((_, context) => ScriptedServer.WriteEventsAsync(context, ""), models: "<html>");

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(1));

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: {server.Url}/: GET /v1/models did not answer JSON; is this the REST address of an OpenAI-compatible server?", _run.Error);
    }

    [Theory]
    [InlineData("""{"data":[]}""", null, "/v1/models lists no model")]
    [InlineData("""{"data":[{"id":"a"},{"id":"b"}]}""", null, "--model: the server has several models: a, b")]
    [InlineData("""{"data":[{"id":"a"},{"id":"b"}]}""", "c", "--model: the server has no model \"c\"; it has: a, b")]
    public async Task Compare_ModelCannotBeChosen_ListsTheModels(string models, string? model, string expected)
    {
        await using var server = await ScriptedServer.StartAsync((_, context) => ScriptedServer.WriteEventsAsync(context, ""), models: models);

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(1), model is null ? Array.Empty<string>() : ["--model", model]);

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.EndsWith(expected, _run.Error, StringComparison.Ordinal);
    }
}
