using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Tessera.Engine;
using Tessera.Models;
using Tessera.Server.Hosting;
using Tessera.Server.Security;
using Tessera.Testing;

namespace Tessera.Server.Tests.Support;

/// <summary>The real host on free loopback ports, over a scripted model: two reasoning steps, then the answer <c>True</c>.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    /// <summary>A prompt that the tiny model's words cover.</summary>
    public const string Prompt = "Tom is a wumpus. Every wumpus is a lempus?";

    private readonly TemporaryFolder _folder;
    private readonly ServerHost _host;

    private TestServer(TemporaryFolder folder, ModelPackage package, ScriptedModelRunner runner, InferenceEngine engine, ServerHost host, LogCapture logs)
    {
        _folder = folder;
        _host = host;
        Package = package;
        Runner = runner;
        Engine = engine;
        Logs = logs;
        Client = new HttpClient { BaseAddress = host.RestAddress, Timeout = TimeSpan.FromMinutes(2) };
    }

    public ModelPackage Package { get; }

    public ScriptedModelRunner Runner { get; }

    public InferenceEngine Engine { get; }

    public ServerHost Host => _host;

    public HttpClient Client { get; }

    public LogCapture Logs { get; }

    /// <summary>Starts a server whose engine is ready.</summary>
    public static async Task<TestServer> StartAsync(
        ServerOptions? server = null, EngineOptions? engine = null, ScriptedCodebook? codebook = null, KeyStore? keys = null, TesseraOptions? options = null,
        Action<ScriptedModelRunner>? runner = null, TimeProvider? time = null)
    {
        var folder = new TemporaryFolder();
        var package = new PackageBuilder().Load(folder["package"]);
        var script = TraceScript.FromText(package, [(0, " Tom is a wumpus."), (1, " Every wumpus is a lempus.")], " True");
        var model = new ScriptedModelRunner(package, script);
        runner?.Invoke(model);
        options = (options ?? new TesseraOptions()) with
        {
            Server = (server ?? new ServerOptions()) with { RestPort = 0, GrpcPort = 0, LogLevel = LogLevel.Debug },
            Engine = engine ?? new EngineOptions(),
        };
        var running = new InferenceEngine(package, model, codebook ?? new ScriptedCodebook(), options.Engine, time ?? TimeProvider.System);
        Assert.Equal(EngineState.Ready, await running.WaitUntilStartedAsync());
        var logs = new LogCapture();
        var host = ServerHost.Build(
            options, running, keys ?? new KeyStore(null, default, time ?? TimeProvider.System), OptionsReload.None, configureLogging: logging => logging.AddProvider(logs));
        await host.StartAsync();
        return new TestServer(folder, package, model, running, host, logs);
    }

    /// <summary>A request body for <see cref="Prompt"/> with more fields, given as the inside of a JSON object.</summary>
    public static string Body(string more = "", string prompt = Prompt) =>
        $$"""{"model":"tiny","messages":[{"role":"user","content":"{{prompt}}"}]{{(more.Length == 0 ? "" : "," + more)}}}""";

    /// <summary>Posts a body to the chat route.</summary>
    public Task<HttpResponseMessage> PostAsync(string body, HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead, CancellationToken cancellation = default)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        return Client.SendAsync(request, completion, cancellation);
    }

    /// <summary>Posts a body and expects a completion.</summary>
    public async Task<JsonNode> CompleteAsync(string body)
    {
        using var response = await PostAsync(body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    /// <summary>Posts a body that asks for a stream and gives the data of its events, <c>[DONE]</c> included.</summary>
    public async Task<IReadOnlyList<string>> StreamAsync(string body)
    {
        using var response = await PostAsync(body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Equal("text/event-stream; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        return ServerEvents.DataOf(text);
    }

    /// <summary>The body of <c>/info</c>.</summary>
    public async Task<JsonNode> InfoAsync() => JsonNode.Parse(await Client.GetStringAsync("/info"))!;

    /// <summary>The page of <c>/metrics</c>, once it is as wanted; within a minute. A request is counted just after its response has ended.</summary>
    public async Task<PrometheusPage> MetricsAsync(Func<PrometheusPage, bool>? wanted = null)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var page = PrometheusPage.Parse(await Client.GetStringAsync("/metrics", patience.Token));
            if (wanted is null || wanted(page))
            {
                return page;
            }

            await Task.Delay(10, patience.Token);
        }
    }

    /// <summary>Waits until the engine's status is as wanted; at most a minute.</summary>
    public async Task WaitForStatusAsync(Func<EngineStatus, bool> wanted)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!wanted(Engine.GetStatus()))
        {
            await Task.Delay(10, patience.Token);
        }
    }

    /// <summary>Waits until a line with a text was logged; at most a minute.</summary>
    public async Task WaitForLogAsync(string text)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!Logs.Entries.Any(entry => entry.Text.Contains(text, StringComparison.Ordinal)))
        {
            await Task.Delay(10, patience.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _host.StopAsync();
        await _host.DisposeAsync();
        _folder.Dispose();
    }
}
