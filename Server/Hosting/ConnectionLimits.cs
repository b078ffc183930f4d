using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Tessera.Server.Hosting;

/// <summary>What one connection may cost, before any handler sees a request of it.</summary>
internal static class ConnectionLimits
{
    // Several times what a browser behind proxies sends.
    private const int MaxHeaderCount = 100;

    // Slower than this nobody is but who means to be; looked at when the grace is over.
    private static readonly MinDataRate SlowestBody = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));

    // By then a call that still runs was reset alone: its connection, with the calls of others on it, goes on.
    private static readonly TimeSpan ReaderMargin = TimeSpan.FromSeconds(10);

    /// <summary>Sets the web server's limits.</summary>
    public static void Apply(KestrelServerLimits limits, ServerOptions options)
    {
        limits.MaxRequestBodySize = options.MaxBodyBytes;
        limits.MaxRequestHeaderCount = MaxHeaderCount;
        limits.MaxRequestHeadersTotalSize = options.MaxHeaderBytes;
        limits.Http2.MaxRequestHeaderFieldSize = options.MaxHeaderBytes;
        limits.MaxRequestLineSize = Math.Min(limits.MaxRequestLineSize, options.MaxHeaderBytes);
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(options.HeaderSeconds);
        limits.MinRequestBodyDataRate = SlowestBody;
        // Behind the time that readers have elsewhere, so that the web server does not close a connection for a call that would be reset alone. With a high
        // rate the grace period is what counts, however many bytes wait.
        limits.MinResponseDataRate = new(bytesPerSecond: 1 << 20, gracePeriod: TimeSpan.FromSeconds(options.ReaderSeconds) + ReaderMargin);
    }

    /// <summary>Sets the limits of one request that may have changed since the server started; before its body is read.</summary>
    public static void Apply(HttpContext context, ServerOptions options)
    {
        context.Features.Set(new BodyTimeout(TimeSpan.FromSeconds(options.BodySeconds)));
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = options.MaxBodyBytes;
        }
    }
}

/// <summary>Time that the body of one request has to arrive; a feature of its context.</summary>
/// <param name="Time">The time.</param>
internal sealed record BodyTimeout(TimeSpan Time);
