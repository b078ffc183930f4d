using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Tessera.Engine;
using Tessera.Server.Api;
using Tessera.Server.Api.Grpc;
using Tessera.Server.Api.Operations;
using Tessera.Server.Api.Rest;
using Tessera.Server.Security;
using Tessera.Server.Telemetry;
using Tessera.Server.Telemetry.Prometheus;

namespace Tessera.Server.Hosting;

/// <summary>The HTTP front of one engine: REST on an HTTP/1.1 port, gRPC on an HTTP/2 port.</summary>
internal sealed class ServerHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly InferenceEngine _engine;
    private readonly Listeners _listeners;

    private ServerHost(WebApplication app, InferenceEngine engine, Listeners listeners)
    {
        _app = app;
        _engine = engine;
        _listeners = listeners;
    }

    /// <summary>What the host is made of; for tests.</summary>
    internal IServiceProvider Services => _app.Services;

    /// <summary>Address of REST; known once the host has started.</summary>
    public Uri RestAddress => Listeners.AddressOf(_listeners.Rest);

    /// <summary>Address of gRPC; known once the host has started.</summary>
    public Uri GrpcAddress => Listeners.AddressOf(_listeners.Grpc);

    /// <summary>Builds a host that is not started yet.</summary>
    /// <param name="options">Valid options.</param>
    /// <param name="engine">Owned by the host from here on.</param>
    /// <param name="keys">Who may use the server.</param>
    /// <param name="reload">Reads changed options.</param>
    /// <param name="endsAtSecondSignal">Whether a second SIGTERM ends the process: only where the process is the server's own.</param>
    /// <param name="configureLogging">Replaces the console log; for tests.</param>
    public static ServerHost Build(
        TesseraOptions options, InferenceEngine engine, KeyStore keys, OptionsReload reload, bool endsAtSecondSignal = false,
        Action<ILoggingBuilder>? configureLogging = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        var listeners = new Listeners(options.Server.Host);
        var live = new LiveOptions(options);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => ConfigureKestrel(kestrel, live, listeners));
        ConfigureLogging(builder.Logging, options.Server.LogLevel, configureLogging);
        ConfigureServices(builder.Services, live, engine);
        builder.Services.AddSingleton(keys).AddSingleton(reload).AddSingleton<AccessControl>().AddHostedService<ReloadService>();

        if (endsAtSecondSignal)
        {
            builder.Services.AddHostedService<SecondSignal>();
        }

        var app = builder.Build();
        engine.Faulted += (_, fault) => Log.EngineFault(app.Logger, fault.Exception);
        // Made after the instruments, so that it is disposed of before them and sends their last values.
        _ = app.Services.GetService<TelemetryExport>();
        var rest = RestPipeline.Build(app.Services);
        var grpc = GrpcPipeline.Build(app.Services);
        // Each port speaks one protocol version only, so the version tells which port a request came in on.
        app.Run(context => HttpProtocol.IsHttp2(context.Request.Protocol) ? grpc(context) : rest(context));
        return new ServerHost(app, engine, listeners);
    }

    /// <summary>Starts to listen.</summary>
    /// <exception cref="StartException">An address cannot be opened.</exception>
    public async Task StartAsync()
    {
        try
        {
            await _app.StartAsync().ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new StartException($"Server:RestPort, Server:GrpcPort: {_listeners.Host} cannot be bound: {e.Message}", e);
        }
        catch (System.Net.Sockets.SocketException e)
        {
            throw new StartException($"Server:Host, Server:RestPort, Server:GrpcPort: {_listeners.Host} cannot be bound: {e.Message}", e);
        }
        var manifest = _engine.Package.Manifest;
        Log.Serving(_app.Logger, manifest.Name, manifest.Version, RestAddress.Authority, GrpcAddress.Authority);
    }

    /// <summary>Completes when the process was asked to stop, or <paramref name="stop"/> was, and every request has ended.</summary>
    public Task WaitForShutdownAsync(CancellationToken stop) => _app.WaitForShutdownAsync(stop);

    /// <summary>Begins to stop, as SIGTERM does.</summary>
    public Task StopAsync() => _app.StopAsync();

    /// <summary>Stops and disposes of the engine too.</summary>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync().ConfigureAwait(false);
        await _engine.DisposeAsync().ConfigureAwait(false);
    }

    private static void ConfigureKestrel(KestrelServerOptions kestrel, LiveOptions live, Listeners listeners)
    {
        kestrel.AddServerHeader = false;
        var options = live.Server;
        ConnectionLimits.Apply(kestrel.Limits, options);
        var cap = new ConnectionCap(live);
        var readers = kestrel.ApplicationServices.GetRequiredService<ReaderGuard>();
        kestrel.Listen(listeners.Address, options.RestPort, listener =>
        {
            listener.Protocols = HttpProtocols.Http1;
            cap.Guard(listener);
            readers.Guard(listener);
            listeners.Rest = listener;
        });
        kestrel.Listen(listeners.Address, options.GrpcPort, listener =>
        {
            listener.Protocols = HttpProtocols.Http2;
            cap.Guard(listener);
            readers.Guard(listener);
            listeners.Grpc = listener;
        });
    }

    private static void ConfigureLogging(ILoggingBuilder logging, LogLevel level, Action<ILoggingBuilder>? configure)
    {
        logging.SetMinimumLevel(level);
        // The frameworks' own request logs would repeat ours.
        logging.AddFilter("Microsoft", level > LogLevel.Warning ? level : LogLevel.Warning);
        // Why the host does not start is said in one line, not with a stack trace as well.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        if (configure is not null)
        {
            configure(logging);
            return;
        }
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
        });
    }

    private static void ConfigureServices(IServiceCollection services, LiveOptions live, InferenceEngine engine)
    {
        services.AddRouting();
        services.AddSingleton(live);
        services.AddSingleton(engine);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<ReaderGuard>();
        services.AddSingleton<Readiness>();
        AddMetrics(services, live.Current, engine);
        services.AddSingleton<InfoReport>();
        services.AddSingleton<TokenOperations>();
        services.AddSingleton<LatentOperations>();
        services.AddSingleton<Admission>();
        services.AddHostedService<DrainService>();
        services.AddHostedService<Watchdog>();
        services.Configure<ConsoleLifetimeOptions>(console => console.SuppressStatusMessages = true);
        // Draining has its own bound; what follows it is only the writing of final events.
        services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(live.Server.DrainSeconds + 10));
    }

    private static void AddMetrics(IServiceCollection services, TesseraOptions options, InferenceEngine engine)
    {
        services.AddSingleton(provider =>
        {
            var metrics = new ServerMetrics(engine.Package.Manifest.Name);
            ServerGauges.Add(metrics.Meter, engine, provider.GetRequiredService<Readiness>());
            return metrics;
        });
        services.AddSingleton(provider => new MetricStore(provider.GetRequiredService<ServerMetrics>().Meter, engine.Telemetry.Meter));
        if (options.Telemetry.OtlpEndpoint.Length > 0)
        {
            services.AddSingleton(provider => new TelemetryExport(options.Telemetry, engine, provider.GetRequiredService<ServerMetrics>()));
        }
    }

    /// <summary>The two listeners; their ports are known once they are bound.</summary>
    private sealed class Listeners(string host)
    {
        public string Host => host;

        public IPAddress Address { get; } = host == "localhost" ? IPAddress.Loopback : IPAddress.Parse(host);

        public ListenOptions? Rest { get; set; }

        public ListenOptions? Grpc { get; set; }

        public static Uri AddressOf(ListenOptions? listener)
        {
            var end = listener?.IPEndPoint ?? throw new InvalidOperationException("The host has not started.");
            // An address that binds all interfaces is none that a client can dial.
            var address = end.Address.Equals(IPAddress.Any) ? IPAddress.Loopback : end.Address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : end.Address;
            return new Uri($"http://{new IPEndPoint(address, end.Port)}");
        }
    }
}
