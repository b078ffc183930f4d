using System.Buffers;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;

namespace Tessera.LoadTests.Tests.Support;

/// <summary>A stand-in for the gRPC port: real HTTP/2, scripted events and status.</summary>
public sealed class ScriptedGrpcServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ScriptedGrpcServer(Func<GenerateRequest, HttpContext, Task> generate)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        _app = builder.Build();
        _app.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            context.Response.ContentType = "application/grpc";
            await generate(GenerateRequest.Parser.ParseFrom(body.ToArray().AsSpan(5)), context);
        });
    }

    public string Url => _app.Urls.Single();

    public static async Task<ScriptedGrpcServer> StartAsync(Func<GenerateRequest, HttpContext, Task> generate)
    {
        var server = new ScriptedGrpcServer(generate);
        await server._app.StartAsync();
        return server;
    }

    /// <summary>Writes events and ends with a status.</summary>
    public static async Task AnswerAsync(HttpContext context, int status, string message, params GenerateEvent[] events)
    {
        foreach (var item in events)
        {
            var frame = new ArrayBufferWriter<byte>();
            GrpcFrame.Write(frame, item, int.MaxValue);
            await context.Response.BodyWriter.WriteAsync(frame.WrittenMemory);
        }

        if (events.Length == 0)
        {
            await context.Response.Body.FlushAsync();
        }

        context.Response.AppendTrailer("grpc-status", status.ToString(System.Globalization.CultureInfo.InvariantCulture));
        context.Response.AppendTrailer("grpc-message", message);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
