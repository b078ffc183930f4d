using Tessera.Protos.Grpc;
using Tessera.Server.Hosting;
using Tessera.Server.Security;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Grpc;

/// <summary>Finds the method of a request, runs it and turns however it ends into one gRPC status.</summary>
internal sealed class GrpcDispatcher
{
    private readonly Dictionary<string, GrpcMethod> _methods;
    private readonly HashSet<string> _services;
    private readonly LiveOptions _options;
    private readonly TimeProvider _timeProvider;
    private readonly AccessControl _access;
    private readonly ServerMetrics _metrics;
    private readonly ILogger _logger;

    /// <summary>Creates the dispatcher.</summary>
    /// <param name="methods">All methods of the server.</param>
    /// <param name="options">Bounds of a call.</param>
    /// <param name="timeProvider">Clock of deadlines.</param>
    /// <param name="access">Decides who may call.</param>
    /// <param name="metrics">Told about every call.</param>
    /// <param name="logger">One line per call.</param>
    public GrpcDispatcher(
        IReadOnlyList<GrpcMethod> methods, LiveOptions options, TimeProvider timeProvider, AccessControl access, ServerMetrics metrics, ILogger logger)
    {
        _methods = methods.ToDictionary(method => method.Path, StringComparer.Ordinal);
        _services = methods.Select(method => method.Service).ToHashSet(StringComparer.Ordinal);
        _options = options;
        _timeProvider = timeProvider;
        _access = access;
        _metrics = metrics;
        _logger = logger;
    }

    /// <summary>Answers one HTTP/2 request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        var telemetry = RequestTelemetry.BeginGrpc(context, _metrics);
        var badId = RequestIds.Take(context);
        var path = Echo.Shorten(context.Request.Path.Value ?? "");
        if (RefuseHttp(context.Request) is { } refused)
        {
            context.Response.StatusCode = refused;
            context.Response.Headers.Allow = HttpMethods.Post;
            telemetry.EndRest(context, _logger, path);
            return;
        }

        var status = await RunAsync(context, badId is null ? null : GrpcStatus.From(GrpcFailure.ToStatus(badId))).ConfigureAwait(false);
        if (status.Code != GrpcStatusCode.OK)
        {
            telemetry.Refuse(status.Reason ?? MetricNames.Of(status.Code).ToLowerInvariant());
        }

        telemetry.EndGrpc(context.TraceIdentifier, _logger, path, _methods.ContainsKey(context.Request.Path.Value ?? ""), status.Code);
    }

    // What is no gRPC at all is answered in HTTP, as the specification says.
    private static int? RefuseHttp(HttpRequest request) =>
        !HttpMethods.IsPost(request.Method) ? StatusCodes.Status405MethodNotAllowed
        : !GrpcHeaders.IsGrpcContentType(request.ContentType) ? StatusCodes.Status415UnsupportedMediaType
        : null;

    private async Task<GrpcStatus> RunAsync(HttpContext context, GrpcStatus? refused)
    {
        refused = ReadTimeout(context.Request, out var timeout) ?? refused;
        ConnectionLimits.Apply(context, _options.Server);
        using var call = new GrpcServerCall(context, _options.Server, timeout, _timeProvider);
        var status = refused ?? await CallAsync(call, context).ConfigureAwait(false);
        if (!call.IsClientGone)
        {
            call.End(status);
        }

        return status;
    }

    private async Task<GrpcStatus> CallAsync(GrpcServerCall call, HttpContext context)
    {
        try
        {
            var method = _methods.GetValueOrDefault(context.Request.Path.Value ?? "");
            // Default deny: what is not open needs a key, unknown methods included.
            if (method is not { IsOpen: true } && _access.Check(context, isMetered: true) is { } refused)
            {
                throw GrpcFailure.ToStatus(refused);
            }

            await (method ?? throw Unknown(context.Request.Path)).HandleAsync(call).ConfigureAwait(false);
            return GrpcStatus.OK;
        }
        catch (GrpcStatusException status)
        {
            return GrpcStatus.From(status);
        }
        catch (Exception e) when (call.IsClientGone || e is OperationCanceledException)
        {
            return call.IsDeadlinePassed && !call.IsClientGone ? GrpcStatus.Late : GrpcStatus.Cancelled;
        }
        catch (Exception exception)
        {
            Log.RequestFailed(_logger, call.RequestId, exception);
            return GrpcStatus.From(GrpcFailure.ToStatus(ApiFailure.Internal));
        }
    }

    private GrpcStatusException Unknown(PathString path)
    {
        var parts = (path.Value ?? "").Split('/');
        var known = parts.Length == 3 && _services.Contains(parts[1]);
        return new GrpcStatusException(
            GrpcStatusCode.Unimplemented,
            known ? $"unknown method '{Echo.Shorten(parts[2])}' of service {parts[1]}" : $"unknown service in path '{Echo.Shorten(path.Value ?? "")}'");
    }

    private static GrpcStatus? ReadTimeout(HttpRequest request, out TimeSpan? timeout)
    {
        timeout = null;
        if (!request.Headers.TryGetValue(GrpcHeaders.Timeout, out var value))
        {
            return null;
        }

        if (!GrpcTimeout.TryParse(value.ToString(), out var parsed))
        {
            return new(
                GrpcStatusCode.InvalidArgument,
                $"{GrpcHeaders.Timeout}: expected 1 to 8 digits and one of the units H, M, S, m, u, n, found '{Echo.Shorten(value.ToString())}'", []);
        }

        timeout = parsed;
        return null;
    }
}
