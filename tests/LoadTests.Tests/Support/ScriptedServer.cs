using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Tessera.LoadTests.Tests.Support;

/// <summary>A chat request as the stand-in server received it.</summary>
/// <param name="Number">Count of chat requests so far, from 1.</param>
/// <param name="Mode"><c>reasoning.mode</c>; empty when the request says nothing of reasoning.</param>
/// <param name="Prompt">The user's message.</param>
/// <param name="Body">The whole body.</param>
/// <param name="Authorization">The header, empty without one.</param>
public sealed record ScriptedRequest(int Number, string Mode, string Prompt, JsonElement Body, string Authorization)
{
    public bool IsLatent => Mode == "latent";
}

/// <summary>A stand-in for a Tessera server: real HTTP, scripted answers.</summary>
public sealed class ScriptedServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ScriptedRequest> _requests = new();
    private int _count;

    private ScriptedServer(Func<ScriptedRequest, HttpContext, Task> chat, string? info, string models, Func<string>? metrics)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapGet("/v1/models", context => WriteJsonAsync(context, models));
        if (info is not null)
        {
            _app.MapGet("/info", context => WriteJsonAsync(context, info));
        }

        if (metrics is not null)
        {
            _app.MapGet("/metrics", context => context.Response.WriteAsync(metrics()));
        }

        _app.MapPost("/v1/chat/completions", async (HttpContext context) =>
        {
            using var body = await JsonDocument.ParseAsync(context.Request.Body);
            var root = body.RootElement.Clone();
            var request = new ScriptedRequest(
                Interlocked.Increment(ref _count), root.TryGetProperty("reasoning", out var reasoning) ? reasoning.GetProperty("mode").GetString()! : "",
                root.GetProperty("messages")[0].GetProperty("content").GetString()!, root, context.Request.Headers.Authorization.ToString());
            _requests.Enqueue(request);
            await chat(request, context);
        });
    }

    public string Url => _app.Urls.Single();

    public IReadOnlyCollection<ScriptedRequest> Requests => _requests;

    /// <summary>Starts a server that handles chat requests with <paramref name="chat"/>.</summary>
    public static async Task<ScriptedServer> StartAsync(
        Func<ScriptedRequest, HttpContext, Task> chat,
        string? info = """{"engine":{"kv_bytes_per_position":1000,"kv_bytes_in_use":5000,"kv_bytes_peak":9000}}""",
        string models = """{"object":"list","data":[{"id":"tiny","object":"model"}]}""",
        Func<string>? metrics = null)
    {
        var server = new ScriptedServer(chat, info, models, metrics);
        await server._app.StartAsync();
        return server;
    }

    /// <summary>Starts a server that answers every chat request with a transcript.</summary>
    public static Task<ScriptedServer> StartAsync(Func<ScriptedRequest, string> transcript) =>
        StartAsync((request, context) => WriteEventsAsync(context, transcript(request)));

    public static Task WriteEventsAsync(HttpContext context, string events)
    {
        context.Response.ContentType = "text/event-stream";
        return context.Response.WriteAsync(events);
    }

    public static Task WriteErrorAsync(HttpContext context, int status, string body)
    {
        context.Response.StatusCode = status;
        return WriteJsonAsync(context, body);
    }

    /// <summary>Stops listening at once and cuts the connections that are left soon after; when this returns nobody can connect.</summary>
    public async Task KillAsync()
    {
        using var cut = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        try
        {
            await _app.StopAsync(cut.Token);
        }
        catch (OperationCanceledException)
        {
            // Requests were still running: they are cut off, as wanted.
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static Task WriteJsonAsync(HttpContext context, string body)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(body);
    }
}
