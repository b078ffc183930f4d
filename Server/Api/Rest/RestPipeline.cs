using Microsoft.AspNetCore.Http.Features;
using Tessera.Server.Hosting;
using Tessera.Server.Security;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>What every REST request goes through: its id, the routes, an error body for whatever has none, the access log.</summary>
internal static class RestPipeline
{
    private const int MaxLoggedPathLength = 200;

    /// <summary>Builds the pipeline.</summary>
    public static RequestDelegate Build(IServiceProvider services)
    {
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("Tessera.Server.Rest");
        var metrics = services.GetRequiredService<ServerMetrics>();
        var options = services.GetRequiredService<LiveOptions>();
        var app = new ApplicationBuilder(services);
        app.Use(next => context => HandleAsync(context, next, metrics, options, logger));
        app.UseRouting();
        var access = services.GetRequiredService<AccessControl>();
        app.Use(next => context => CheckAccessAsync(context, next, access));
        var routes = RestRoutes.Create(services);
        app.UseEndpoints(endpoints => RestRoutes.Map(endpoints, routes));
        return app.Build();
    }

    private static async Task HandleAsync(HttpContext context, RequestDelegate next, ServerMetrics metrics, LiveOptions options, ILogger logger)
    {
        var telemetry = RequestTelemetry.BeginRest(context, metrics);
        ConnectionLimits.Apply(context, options.Server);
        try
        {
            if (RequestIds.Take(context) is { } refused)
            {
                await RestResponse.WriteErrorAsync(context, refused).ConfigureAwait(false);
                return;
            }
            await next(context).ConfigureAwait(false);
            await CompleteAsync(context).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await FailAsync(context, e, logger).ConfigureAwait(false);
        }
        finally
        {
            var path = context.Request.Path.ToUriComponent();
            telemetry.EndRest(context, logger, path.Length <= MaxLoggedPathLength ? path : path[..MaxLoggedPathLength]);
        }
    }

    /// <summary>Default deny: what is not marked as open needs a key, unknown routes included.</summary>
    private static Task CheckAccessAsync(HttpContext context, RequestDelegate next, AccessControl access)
    {
        var isRead = HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method);
        return context.GetEndpoint()?.Metadata.GetMetadata<OpenRoute>() is not null || access.Check(context, isMetered: !isRead) is not { } refused
            ? next(context)
            : RestResponse.WriteErrorAsync(context, refused);
    }

    /// <summary>Routing answers an unknown route or method with a bare status; clients get the error object for these too.</summary>
    private static Task CompleteAsync(HttpContext context)
    {
        if (context.Response.HasStarted || context.Response.ContentLength is not null)
        {
            return Task.CompletedTask;
        }
        var path = Echo.Shorten(context.Request.Path.ToUriComponent());
        return context.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound => RestResponse.WriteErrorAsync(
                context, new(ErrorKind.NotFound, $"No route {path}; /info and /v1/models tell what there is.")),
            StatusCodes.Status405MethodNotAllowed => RestResponse.WriteErrorAsync(
                context, new(ErrorKind.MethodNotAllowed, $"{path}: expected {context.Response.Headers.Allow}, found {context.Request.Method}")),
            _ => Task.CompletedTask,
        };
    }

    private static async Task FailAsync(HttpContext context, Exception exception, ILogger logger)
    {
        // Nothing but a client that went away cancels anything here.
        if (exception is OperationCanceledException || context.RequestAborted.IsCancellationRequested)
        {
            Log.ClientGone(logger, context.TraceIdentifier);
            context.Response.StatusCode = context.Response.HasStarted ? context.Response.StatusCode : ErrorCatalog.Get(ErrorKind.Cancelled).HttpStatus;
            return;
        }

        var error = exception is BadHttpRequestException bad ? Refusal(context, bad) : ApiFailure.Internal;
        if (error.Kind == ErrorKind.Internal)
        {
            Log.RequestFailed(logger, context.TraceIdentifier, exception);
        }
        if (context.Response.HasStarted)
        {
            // A cut connection is the only sign left that the response is not whole.
            context.Abort();
            return;
        }
        await RestResponse.WriteErrorAsync(context, error).ConfigureAwait(false);
    }

    private static ApiFailure Refusal(HttpContext context, BadHttpRequestException bad)
    {
        if (bad.StatusCode != StatusCodes.Status413PayloadTooLarge)
        {
            return new(ErrorKind.InvalidBody, "body: expected what the request's headers promise, found something else or an early end");
        }
        var limit = context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize;
        var found = context.Request.ContentLength is { } length ? $"{length}" : "more";
        return new(ErrorKind.TooLarge, $"body: expected at most {limit} bytes, found {found}");
    }
}
