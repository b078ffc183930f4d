using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Hosting;

namespace Tessera.Protos.Tests.Grpc;

/// <summary>An HTTP/2 server on a free loopback port that says exactly what a test wants.</summary>
internal sealed class FakeServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeServer(WebApplication app) => _app = app;

    public Uri Address => new(_app.Urls.Single());

    public static async Task<FakeServer> StartAsync(RequestDelegate handle)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(
            System.Net.IPAddress.Loopback, 0, listener => listener.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.Run(handle);
        await app.StartAsync();
        return new FakeServer(app);
    }

    /// <summary>Sends frames of messages and a status in the trailers.</summary>
    public static async Task AnswerAsync(HttpContext context, string? status, params byte[][] frames)
    {
        context.Response.ContentType = "application/grpc";
        foreach (var frame in frames)
        {
            await context.Response.Body.WriteAsync(frame);
        }

        await context.Response.Body.FlushAsync();
        if (status is not null)
        {
            context.Response.AppendTrailer("grpc-status", status);
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
