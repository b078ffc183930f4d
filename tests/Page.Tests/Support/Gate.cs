using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Tessera.Page.Tests.Support;

/// <summary>
/// Passes requests on to the server, and its event streams back event by event, so that a test decides when the browser sees the next one. The model
/// answers within milliseconds; what a page shows in the middle of an answer could not be looked at otherwise.
/// </summary>
internal sealed class Gate : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpClient _server;
    private volatile Hold? _hold;

    private Gate(WebApplication app, HttpClient server)
    {
        _app = app;
        _server = server;
    }

    /// <summary>Address for the browser.</summary>
    public Uri Address => new(_app.Urls.Single());

    /// <summary>Bytes of an event stream that are sent at once; 0 = whole events.</summary>
    public int PieceBytes { get; set; }

    /// <summary>Authorization headers of the chat requests so far.</summary>
    public List<string> Authorizations { get; } = [];

    /// <summary>Starts the gate, open.</summary>
    public static async Task<Gate> StartAsync(Uri server)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var gate = new Gate(app, new HttpClient { BaseAddress = server, Timeout = Timeout.InfiniteTimeSpan });
        app.Run(gate.PassAsync);
        await app.StartAsync();
        return gate;
    }

    /// <summary>Holds the first event that <paramref name="where"/> is true of, and those after it.</summary>
    public Hold HoldAt(Func<string, bool> where) => _hold = new Hold(where);

    public async ValueTask DisposeAsync()
    {
        _hold?.Release();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _server.Dispose();
    }

    private async Task PassAsync(HttpContext context)
    {
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), context.Request.Path + context.Request.QueryString);
        if (HttpMethods.IsPost(context.Request.Method))
        {
            lock (Authorizations)
            {
                Authorizations.Add(context.Request.Headers.Authorization.ToString());
            }
            request.Content = new StreamContent(context.Request.Body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType);
        }
        request.Headers.TryAddWithoutValidation("Authorization", (string?)context.Request.Headers.Authorization);
        try
        {
            using var response = await _server.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            await ReturnAsync(context, response);
        }
        catch (OperationCanceledException)
        {
            // The browser stopped; disposing of the response has told the server.
        }
    }

    private async Task ReturnAsync(HttpContext context, HttpResponseMessage response)
    {
        context.Response.StatusCode = (int)response.StatusCode;
        foreach (var header in response.Headers.Concat(response.Content.Headers).Where(header => header.Key is not ("Transfer-Encoding" or "Connection" or "Date")))
        {
            context.Response.Headers[header.Key] = header.Value.ToArray();
        }
        await using var body = await response.Content.ReadAsStreamAsync(context.RequestAborted);
        if (response.Content.Headers.ContentType?.MediaType == "text/event-stream")
        {
            await ReturnEventsAsync(context, body);
        }
        else
        {
            await body.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
    }

    private async Task ReturnEventsAsync(HttpContext context, Stream body)
    {
        var hold = _hold;
        using var reader = new StreamReader(body);
        while (await reader.ReadLineAsync(context.RequestAborted) is { } line)
        {
            if (hold is not null && await hold.StopsAtAsync(line, context.RequestAborted))
            {
                // The test cuts the connection here.
                context.Abort();
                return;
            }
            await SendAsync(context, System.Text.Encoding.UTF8.GetBytes(line + "\n"));
        }
    }

    private async Task SendAsync(HttpContext context, byte[] bytes)
    {
        var piece = PieceBytes == 0 ? bytes.Length : PieceBytes;
        for (var at = 0; at < bytes.Length; at += piece)
        {
            await context.Response.Body.WriteAsync(bytes.AsMemory(at, Math.Min(piece, bytes.Length - at)), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
    }

    /// <summary>A stream held at one of its events.</summary>
    internal sealed class Hold(Func<string, bool> where)
    {
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<bool> _cut = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Completes when the event has come from the server and waits here.</summary>
        public Task ReachedAsync() => _reached.Task.WaitAsync(Tessera.EndToEnd.Tests.Support.ChildProcess.Patience);

        /// <summary>Lets everything pass.</summary>
        public void Release() => _cut.TrySetResult(false);

        /// <summary>Cuts the connection instead.</summary>
        public void Cut() => _cut.TrySetResult(true);

        /// <summary>Waits at the event; true when the connection is to be cut.</summary>
        public async Task<bool> StopsAtAsync(string line, CancellationToken cancellation)
        {
            if (_reached.Task.IsCompleted || !where(line))
            {
                return false;
            }
            _reached.TrySetResult();
            return await _cut.Task.WaitAsync(cancellation);
        }
    }
}
