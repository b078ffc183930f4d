using Tessera.Engine;

namespace Tessera.Server;

/// <summary>All options of the server, by section.</summary>
internal sealed record TesseraOptions
{
    /// <summary>Addresses and limits of the HTTP front.</summary>
    public ServerOptions Server { get; init; } = new();

    /// <summary>Who may use the server, and how much.</summary>
    public SecurityOptions Security { get; init; } = new();

    /// <summary>Where traces and metrics are sent.</summary>
    public TelemetryOptions Telemetry { get; init; } = new();

    /// <summary>Which model is served.</summary>
    public ModelOptions Model { get; init; } = new();

    /// <summary>Limits and sizes of the engine.</summary>
    public EngineOptions Engine { get; init; } = new();

    /// <summary>Prompts that a request may have: each needs a place in the queue.</summary>
    public int MaxPrompts => Math.Min(Server.MaxPrompts, Engine.MaxQueuedRequests);
}

/// <summary>Addresses and limits of the HTTP front; each default has its reason beside it.</summary>
internal sealed record ServerOptions
{
    /// <summary>Address to bind. 127.0.0.1: nothing outside the machine gets in unless asked for.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>File of options; empty = appsettings.json beside the binaries. A folder that is mounted into a container is read again when it changes.</summary>
    public string SettingsFile { get; init; } = "";

    /// <summary>Port of REST, HTTP/1.1; 0 = any free port.</summary>
    public int RestPort { get; init; } = 8080;

    /// <summary>Port of gRPC, HTTP/2 without TLS; 0 = any free port.</summary>
    public int GrpcPort { get; init; } = 8081;

    /// <summary>Largest body or gRPC message in bytes. 1 MiB: far above the longest prompt that the model takes.</summary>
    public int MaxBodyBytes { get; init; } = 1 << 20;

    /// <summary>Largest header section in bytes. 32 KiB: what the web server takes by default, and far above any client's.</summary>
    public int MaxHeaderBytes { get; init; } = 32 * 1024;

    /// <summary>Connections at once, both ports together. 4096: above any sensible number of clients, below a process's files.</summary>
    public int MaxConnections { get; init; } = 4096;

    /// <summary>Seconds for the headers of a request to arrive. 15: a client that needs longer holds a connection on purpose.</summary>
    public int HeaderSeconds { get; init; } = 15;

    /// <summary>Seconds for the body of a request, or the message of a gRPC call, to arrive. 30: a megabyte over a slow line.</summary>
    public int BodySeconds { get; init; } = 30;

    /// <summary>Seconds that a client may leave what was sent to it unread. 30: a client that takes nothing for so long has hung or means to.</summary>
    public int ReaderSeconds { get; init; } = 30;

    /// <summary>Seconds from submission after which a request is ended. 600: what proxies and clients commonly wait at most.</summary>
    public int RequestSeconds { get; init; } = 600;

    /// <summary>Prompts of one request for completions. 16: as many as slots, so that a request as large as possible runs at once.</summary>
    public int MaxPrompts { get; init; } = 16;

    /// <summary>Seconds that running requests get to finish after SIGTERM. 20: within Kubernetes' 30 of grace.</summary>
    public int DrainSeconds { get; init; } = 20;

    /// <summary>Seconds without an event after which a stream gets a comment line. 15: proxies commonly cut idle connections at 30 to 60.</summary>
    public int KeepAliveSeconds { get; init; } = 15;

    /// <summary>Seconds without a finished step after which the server is not ready. 60: above any single step of a CPU model.</summary>
    public int StallSeconds { get; init; } = 60;

    /// <summary>Seconds without a finished step after which the server is not live either. 300: by then it will not come back.</summary>
    public int RestartSeconds { get; init; } = 300;

    /// <summary>Least level that is logged. Information: one line per request, no prompt text.</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Information;
}

/// <summary>Who may use the server, and how much; each default has its reason beside it.</summary>
internal sealed record SecurityOptions
{
    /// <summary>File of API keys; empty = tessera/keys.json in the user's configuration folder, if it is there.</summary>
    public string KeyFile { get; init; } = "";

    /// <summary>Whether an address beyond loopback may be bound without keys. False: nobody opens a server to a network by accident.</summary>
    public bool AllowOpen { get; init; }

    /// <summary>Requests per minute for a key that has no limit of its own; 0 = no limit. 0: only the operator knows what is fair; the queue is bounded anyway.</summary>
    public int RequestsPerMinute { get; init; }

    /// <summary>Tokens per minute, prompt and completion, for a key that has no limit of its own; 0 = no limit.</summary>
    public int TokensPerMinute { get; init; }
}

/// <summary>Where traces and metrics are sent; each default has its reason beside it.</summary>
internal sealed record TelemetryOptions
{
    /// <summary>Address of an OpenTelemetry collector; empty = nothing is sent. Empty: no outgoing connection unless asked for.</summary>
    public string OtlpEndpoint { get; init; } = "";

    /// <summary>How it is spoken to. Http: passes every proxy.</summary>
    public OtlpProtocol OtlpProtocol { get; init; }

    /// <summary>Headers to send, <c>name=value,name=value</c>: the key of a vendor.</summary>
    public string OtlpHeaders { get; init; } = "";

    /// <summary>Name of the service.</summary>
    public string ServiceName { get; init; } = "tessera";

    /// <summary>Part of the requests that are traced when their caller has not decided, 0 to 1. 1: a request is seconds of work, a span is nothing beside it.</summary>
    public double TraceFraction { get; init; } = 1;

    /// <summary>Seconds between two sendings of the metrics. 15: what scrapers commonly use.</summary>
    public int MetricsSeconds { get; init; } = 15;
}

/// <summary>How a collector is spoken to.</summary>
internal enum OtlpProtocol
{
    /// <summary>HTTP with protobuf bodies, commonly port 4318.</summary>
    Http,

    /// <summary>gRPC, commonly port 4317.</summary>
    Grpc,
}

/// <summary>Which model is served.</summary>
internal sealed record ModelOptions
{
    /// <summary>Folder of the model package; empty = the package shipped beside the binaries.</summary>
    public string Package { get; init; } = "";
}
