using System.Globalization;
using System.Net;
using Tessera.Engine;

namespace Tessera.Server.Hosting;

/// <summary>One option: its key, its meaning and how text becomes its value.</summary>
/// <param name="Key">Section and name, <c>Engine:MaxSlots</c>.</param>
/// <param name="Description">One line for <c>--help</c>.</param>
/// <param name="Expected">What a valid value is, for error messages.</param>
/// <param name="Show">The value as text.</param>
/// <param name="Apply">The options with the value of a text; null when the text is not valid.</param>
internal sealed record OptionDescriptor(
    string Key, string Description, string Expected, Func<TesseraOptions, string> Show, Func<TesseraOptions, string, TesseraOptions?> Apply)
{
    /// <summary>Whether a change takes effect while the server runs; others need a restart.</summary>
    public bool IsLive { get; init; }
}

/// <summary>Every option there is. What is not in this list is refused by name.</summary>
internal static class OptionCatalog
{
    /// <summary>Key of the option that names the file of the others.</summary>
    public const string SettingsFileKey = "Server:SettingsFile";

    /// <summary>All options in the order of <c>--help</c>.</summary>
    public static IReadOnlyList<OptionDescriptor> All { get; } =
    [
        Text("Server:Host", "address to bind: an IP address or localhost", "an IP address or localhost", o => o.Server.Host,
            (o, v) => v == "localhost" || IPAddress.TryParse(v, out _) ? o with { Server = o.Server with { Host = v } } : null),
        Text(SettingsFileKey, "file of options, instead of appsettings.json beside the binaries; not in the file itself", "a path", o => o.Server.SettingsFile,
            (o, v) => v.Contains('\0', StringComparison.Ordinal) ? null : o with { Server = o.Server with { SettingsFile = v } }),
        Whole("Server:RestPort", "port of REST and the page, HTTP/1.1; 0 = any free port", 0, 65_535, o => o.Server.RestPort,
            (o, v) => o with { Server = o.Server with { RestPort = v } }),
        Whole("Server:GrpcPort", "port of gRPC, HTTP/2 without TLS; 0 = any free port", 0, 65_535, o => o.Server.GrpcPort,
            (o, v) => o with { Server = o.Server with { GrpcPort = v } }),
        Live("Server:MaxBodyBytes", "largest request body or gRPC message", 1024, 256 << 20, o => o.Server.MaxBodyBytes,
            (o, v) => o with { Server = o.Server with { MaxBodyBytes = v } }),
        Whole("Server:MaxHeaderBytes", "largest header section of a request", 1024, 1 << 20, o => o.Server.MaxHeaderBytes,
            (o, v) => o with { Server = o.Server with { MaxHeaderBytes = v } }),
        Live("Server:MaxConnections", "connections at once, both ports together", 1, 1_000_000, o => o.Server.MaxConnections,
            (o, v) => o with { Server = o.Server with { MaxConnections = v } }),
        Whole("Server:HeaderSeconds", "time for the headers of a request to arrive", 1, 3600, o => o.Server.HeaderSeconds,
            (o, v) => o with { Server = o.Server with { HeaderSeconds = v } }),
        Live("Server:BodySeconds", "time for the body of a request, or the message of a gRPC call, to arrive", 1, 3600, o => o.Server.BodySeconds,
            (o, v) => o with { Server = o.Server with { BodySeconds = v } }),
        Whole("Server:ReaderSeconds", "time that a client may leave what was sent to it unread", 1, 3600, o => o.Server.ReaderSeconds,
            (o, v) => o with { Server = o.Server with { ReaderSeconds = v } }),
        Live("Server:RequestSeconds", "time from submission after which a request is ended", 1, 86_400, o => o.Server.RequestSeconds,
            (o, v) => o with { Server = o.Server with { RequestSeconds = v } }),
        Live("Server:MaxPrompts", "prompts of one request for completions", 1, 1024, o => o.Server.MaxPrompts,
            (o, v) => o with { Server = o.Server with { MaxPrompts = v } }),
        Whole("Server:DrainSeconds", "time for running requests to finish after SIGTERM", 0, 3600, o => o.Server.DrainSeconds,
            (o, v) => o with { Server = o.Server with { DrainSeconds = v } }),
        Live("Server:KeepAliveSeconds", "idle time after which a stream gets a comment line", 1, 3600, o => o.Server.KeepAliveSeconds,
            (o, v) => o with { Server = o.Server with { KeepAliveSeconds = v } }),
        Live("Server:StallSeconds", "time without a finished step after which the server is not ready", 1, 86_400, o => o.Server.StallSeconds,
            (o, v) => o with { Server = o.Server with { StallSeconds = v } }),
        Live("Server:RestartSeconds", "time without a finished step after which the server is not live either", 1, 86_400, o => o.Server.RestartSeconds,
            (o, v) => o with { Server = o.Server with { RestartSeconds = v } }),
        Text("Server:LogLevel", "least level that is logged; prompts and outputs only at Trace", string.Join(", ", Enum.GetNames<LogLevel>()),
            o => o.Server.LogLevel.ToString(),
            (o, v) => ParseName<LogLevel>(v) is { } level ? o with { Server = o.Server with { LogLevel = level } } : null),
        Text("Security:KeyFile", "file of API keys; empty = tessera/keys.json in the user's configuration folder, if it is there", "a path",
            o => o.Security.KeyFile,
            (o, v) => v.Contains('\0', StringComparison.Ordinal) ? null : o with { Security = o.Security with { KeyFile = v } }),
        Flag("Security:AllowOpen", "whether an address beyond loopback may be bound without API keys", o => o.Security.AllowOpen,
            (o, v) => o with { Security = o.Security with { AllowOpen = v } }),
        Live("Security:RequestsPerMinute", "requests per minute for each key; 0 = no limit", 0, int.MaxValue, o => o.Security.RequestsPerMinute,
            (o, v) => o with { Security = o.Security with { RequestsPerMinute = v } }),
        Live("Security:TokensPerMinute", "prompt and completion tokens per minute for each key; 0 = no limit", 0, int.MaxValue, o => o.Security.TokensPerMinute,
            (o, v) => o with { Security = o.Security with { TokensPerMinute = v } }),
        Text("Telemetry:OtlpEndpoint", "address of an OpenTelemetry collector, http://host:4318; empty = nothing is sent", "an http or https address",
            o => o.Telemetry.OtlpEndpoint,
            (o, v) => v.Length == 0 || IsHttpAddress(v) ? o with { Telemetry = o.Telemetry with { OtlpEndpoint = v } } : null),
        Text("Telemetry:OtlpProtocol", "how the collector is spoken to", "Http or Grpc", o => o.Telemetry.OtlpProtocol.ToString(),
            (o, v) => ParseName<OtlpProtocol>(v) is { } protocol ? o with { Telemetry = o.Telemetry with { OtlpProtocol = protocol } } : null),
        Text("Telemetry:OtlpHeaders", "headers for the collector, name=value,name=value", "name=value pairs with commas between", o => o.Telemetry.OtlpHeaders,
            (o, v) => v.Length == 0 || v.Split(',').All(pair => pair.IndexOf('=', StringComparison.Ordinal) > 0)
                ? o with { Telemetry = o.Telemetry with { OtlpHeaders = v } }
                : null),
        Text("Telemetry:ServiceName", "name of the service in traces and metrics", "a name", o => o.Telemetry.ServiceName,
            (o, v) => v.Length > 0 ? o with { Telemetry = o.Telemetry with { ServiceName = v } } : null),
        Text("Telemetry:TraceFraction", "part of the requests that are traced when their caller has not decided", "a number from 0 to 1",
            o => o.Telemetry.TraceFraction.ToString(CultureInfo.InvariantCulture),
            (o, v) => double.TryParse(v, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var part) && part <= 1
                ? o with { Telemetry = o.Telemetry with { TraceFraction = part } }
                : null),
        Whole("Telemetry:MetricsSeconds", "seconds between two sendings of the metrics", 1, 3600, o => o.Telemetry.MetricsSeconds,
            (o, v) => o with { Telemetry = o.Telemetry with { MetricsSeconds = v } }),
        Text("Model:Package", "folder of the model package; empty = the one shipped beside the binaries", "a path", o => o.Model.Package,
            (o, v) => v.Contains('\0', StringComparison.Ordinal) ? null : o with { Model = new ModelOptions { Package = v } }),
        Whole("Engine:MaxSlots", "sequences that run at once", 1, 1024, o => o.Engine.MaxSlots,
            (o, v) => o with { Engine = o.Engine with { MaxSlots = v } }),
        Live("Engine:MaxQueuedRequests", "requests that may wait; more are refused", 1, 1_000_000, o => o.Engine.MaxQueuedRequests,
            (o, v) => o with { Engine = o.Engine with { MaxQueuedRequests = v } }),
        Live("Engine:MaxQueuedTokens", "prompt tokens that may wait; more are refused", 1, int.MaxValue, o => o.Engine.MaxQueuedTokens,
            (o, v) => o with { Engine = o.Engine with { MaxQueuedTokens = v } }),
        Whole("Engine:MaxKvPositions", "positions in the KV cache; 0 = slots x the model's positions", 0, int.MaxValue, o => o.Engine.MaxKvPositions,
            (o, v) => o with { Engine = o.Engine with { MaxKvPositions = v } }),
        Whole("Engine:PrefillChunk", "prompt positions of one step, padding included", 1, 1_000_000, o => o.Engine.PrefillChunk,
            (o, v) => o with { Engine = o.Engine with { PrefillChunk = v } }),
        Text("Engine:PrefillShare", "part of the time that prompts longer than a chunk may take while sequences decode", "a number from 0.01 to 1",
            o => o.Engine.PrefillShare.ToString(CultureInfo.InvariantCulture),
            (o, v) => double.TryParse(v, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var part) && part is >= 0.01 and <= 1
                ? o with { Engine = o.Engine with { PrefillShare = part } }
                : null),
        Whole("Engine:PrefixCacheEntries", "prompts of finished requests that are kept for requests that begin alike; 0 = no prefix is shared", 0, 1024,
            o => o.Engine.PrefixCacheEntries, (o, v) => o with { Engine = o.Engine with { PrefixCacheEntries = v } }),
        Whole("Engine:PrefixCacheMiB", "most memory of kept prompts, in MiB", 0, 1_000_000, o => o.Engine.PrefixCacheMiB,
            (o, v) => o with { Engine = o.Engine with { PrefixCacheMiB = v } }),
        Whole("Engine:SpareKvMiB", "most memory of positions nobody uses any more that stays for the next sequences, in MiB", 0, 1_000_000, o => o.Engine.SpareKvMiB,
            (o, v) => o with { Engine = o.Engine with { SpareKvMiB = v } }),
        Live("Engine:MaxTokensLimit", "most tokens that a request may ask for", 1, 1_000_000, o => o.Engine.MaxTokensLimit,
            (o, v) => o with { Engine = o.Engine with { MaxTokensLimit = v } }),
        Live("Engine:DefaultMaxTokens", "tokens generated when a request does not say", 1, 1_000_000, o => o.Engine.DefaultMaxTokens,
            (o, v) => o with { Engine = o.Engine with { DefaultMaxTokens = v } }),
        Live("Engine:MaxChoices", "most responses that a request may ask for (n)", 1, 1024, o => o.Engine.MaxChoices,
            (o, v) => o with { Engine = o.Engine with { MaxChoices = v } }),
        Live("Engine:MaxTopLogprobs", "most alternatives for each token that a request may ask for", 0, 1000, o => o.Engine.MaxTopLogprobs,
            (o, v) => o with { Engine = o.Engine with { MaxTopLogprobs = v } }),
        Live("Engine:MaxLogitBiasEntries", "most ids that a request may bias", 0, 100_000, o => o.Engine.MaxLogitBiasEntries,
            (o, v) => o with { Engine = o.Engine with { MaxLogitBiasEntries = v } }),
        Live("Engine:MaxStopTokenIds", "most stop ids of a request", 0, 1000, o => o.Engine.MaxStopTokenIds,
            (o, v) => o with { Engine = o.Engine with { MaxStopTokenIds = v } }),
        Whole("Engine:Threads", "threads of the runtime; 0 = the machine's cores", 0, 1024, o => o.Engine.Threads,
            (o, v) => o with { Engine = o.Engine with { Threads = v } }),
        Whole("Engine:SpinMicroseconds", "how long a waiting thread of the runtime spins inside a step before it sleeps", 0, 1_000_000, o => o.Engine.SpinMicroseconds,
            (o, v) => o with { Engine = o.Engine with { SpinMicroseconds = v } }),
        Text("Engine:Device", "where the model runs: Cpu or Cuda, as its package is written for", "Cpu or Cuda", o => o.Engine.Device.ToString(),
            (o, v) => ParseName<EngineDevice>(v) is { } device ? o with { Engine = o.Engine with { Device = device } } : null),
        Whole("Engine:DeviceId", "which GPU, as CUDA numbers them", 0, 255, o => o.Engine.DeviceId, (o, v) => o with { Engine = o.Engine with { DeviceId = v } }),
        Whole("Engine:DeviceMemoryMiB", "most GPU memory that the model may take, in MiB; 0 = what the GPU has", 0, 10_000_000, o => o.Engine.DeviceMemoryMiB,
            (o, v) => o with { Engine = o.Engine with { DeviceMemoryMiB = v } }),
        Flag("Engine:CudaGraphs", "whether decode steps on a GPU are captured once and replayed", o => o.Engine.CudaGraphs,
            (o, v) => o with { Engine = o.Engine with { CudaGraphs = v } }),
    ];

    /// <summary>The option of a key, in any case; null when there is none.</summary>
    public static OptionDescriptor? Find(string key) => All.FirstOrDefault(o => string.Equals(o.Key, key, StringComparison.OrdinalIgnoreCase));

    private static OptionDescriptor Text(
        string key, string description, string expected, Func<TesseraOptions, string> show, Func<TesseraOptions, string, TesseraOptions?> apply) =>
        new(key, description, expected, show, apply);

    private static OptionDescriptor Whole(
        string key, string description, int min, int max, Func<TesseraOptions, int> show, Func<TesseraOptions, int, TesseraOptions> apply) =>
        new(key, description, $"a whole number from {min} to {max}", o => show(o).ToString(CultureInfo.InvariantCulture), (o, text) =>
            int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max
                ? apply(o, value)
                : null);

    private static OptionDescriptor Live(
        string key, string description, int min, int max, Func<TesseraOptions, int> show, Func<TesseraOptions, int, TesseraOptions> apply) =>
        Whole(key, description, min, max, show, apply) with { IsLive = true };

    private static OptionDescriptor Flag(
        string key, string description, Func<TesseraOptions, bool> show, Func<TesseraOptions, bool, TesseraOptions> apply) =>
        new(key, description, "true or false", o => show(o) ? "true" : "false", (o, text) => bool.TryParse(text, out var value) ? apply(o, value) : null);

    // Numbers are valid to Enum.TryParse and mean nothing to a reader of the configuration.
    private static T? ParseName<T>(string text)
        where T : struct, Enum => !text.Any(c => char.IsAsciiDigit(c) || c == ',') && Enum.TryParse<T>(text, ignoreCase: true, out var value) ? value : null;

    private static bool IsHttpAddress(string text) => Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https";
}
