namespace Tessera.Server.Telemetry;

/// <summary>Every log message of the server. None holds prompt or output text.</summary>
internal static partial class Log
{
    /// <summary>A request has ended, whatever way; tokens is empty or tells what was generated.</summary>
    [LoggerMessage(1, LogLevel.Information, "{Method} {Path} {Status} in {Milliseconds:0.0} ms, request {RequestId}{Tokens}")]
    public static partial void RequestFinished(ILogger logger, string method, string path, int status, double milliseconds, string requestId, string tokens);

    /// <summary>A handler threw what it should not have thrown.</summary>
    [LoggerMessage(2, LogLevel.Error, "Request {RequestId} failed with an unexpected exception")]
    public static partial void RequestFailed(ILogger logger, string requestId, Exception exception);

    /// <summary>A response was cut because its client went away.</summary>
    [LoggerMessage(3, LogLevel.Debug, "Request {RequestId}: the client went away")]
    public static partial void ClientGone(ILogger logger, string requestId);

    /// <summary>An accepted request ended with an error.</summary>
    [LoggerMessage(4, LogLevel.Warning, "Request {RequestId} ended with {Code}")]
    public static partial void GenerationEndedWithError(ILogger logger, string requestId, string code);

    /// <summary>A gRPC call has ended, whatever way; tokens is empty or tells what was generated.</summary>
    [LoggerMessage(5, LogLevel.Information, "gRPC {Path} {Status} in {Milliseconds:0.0} ms, request {RequestId}{Tokens}")]
    public static partial void CallFinished(
        ILogger logger, string path, Tessera.Protos.Grpc.GrpcStatusCode status, double milliseconds, string requestId, string tokens);

    /// <summary>A generation whose client did not wait for its end has ended.</summary>
    [LoggerMessage(6, LogLevel.Information, "Request {RequestId} was abandoned: {Generation}")]
    public static partial void AbandonedFinished(ILogger logger, string requestId, string generation);

    /// <summary>The engine lived through a failure, or ended with it.</summary>
    [LoggerMessage(7, LogLevel.Error, "The engine reports a failure")]
    public static partial void EngineFault(ILogger logger, Exception exception);

    /// <summary>Changed keys are in force.</summary>
    [LoggerMessage(8, LogLevel.Information, "The API keys were read again")]
    public static partial void KeysReloaded(ILogger logger);

    /// <summary>What was changed is wrong; what was there before stays in force.</summary>
    [LoggerMessage(9, LogLevel.Error, "A change was not taken over: {Problem}")]
    public static partial void ReloadRefused(ILogger logger, string problem);

    /// <summary>Changed limits are in force.</summary>
    [LoggerMessage(13, LogLevel.Information, "The options were read again; changed: {Taken}; needs a restart: {Waiting}")]
    public static partial void OptionsReloaded(ILogger logger, string taken, string waiting);

    /// <summary>The step loop makes no progress.</summary>
    [LoggerMessage(14, LogLevel.Error, "The model has made no progress for {Seconds:0.0} seconds; {Running} requests run and {Waiting} wait")]
    public static partial void Stalled(ILogger logger, double seconds, int running, int waiting);

    /// <summary>The step loop goes on.</summary>
    [LoggerMessage(15, LogLevel.Warning, "The model makes progress again")]
    public static partial void StallOver(ILogger logger);

    /// <summary>A second signal came.</summary>
    [LoggerMessage(16, LogLevel.Warning, "A second signal: ending at once")]
    public static partial void EndedAtOnce(ILogger logger);

    /// <summary>A connection was closed whose client does not read.</summary>
    [LoggerMessage(17, LogLevel.Warning, "Connection {Connection}: the client has not read what was sent to it for {Seconds} seconds; it is closed")]
    public static partial void ReaderTooSlow(ILogger logger, string connection, int seconds);

    /// <summary>The server listens.</summary>
    [LoggerMessage(10, LogLevel.Information, "Serving {Model} {Version}, REST at {Rest}, gRPC at {Grpc}")]
    public static partial void Serving(ILogger logger, string model, string version, string rest, string grpc);

    /// <summary>The server was asked to stop.</summary>
    [LoggerMessage(11, LogLevel.Information, "Draining: {Running} requests run and {Waiting} wait, they have {Seconds} seconds")]
    public static partial void Draining(ILogger logger, int running, int waiting, int seconds);

    /// <summary>No request is left.</summary>
    [LoggerMessage(12, LogLevel.Information, "Drained")]
    public static partial void Drained(ILogger logger);
}
