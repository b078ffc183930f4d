namespace Tessera.Server.Telemetry;

/// <summary>Names of tags, as the conventions of OpenTelemetry have them, and their labels in Prometheus.</summary>
internal static class MetricTags
{
    /// <summary>What is done: chat, text_completion, generate_content.</summary>
    public const string Operation = "gen_ai.operation.name";

    /// <summary>Who provides the model: always tessera.</summary>
    public const string Provider = "gen_ai.provider.name";

    /// <summary>Name of the model.</summary>
    public const string Model = "gen_ai.request.model";

    /// <summary>input or output.</summary>
    public const string TokenType = "gen_ai.token.type";

    /// <summary>Kind of error; absent where there was none.</summary>
    public const string ErrorType = "error.type";

    /// <summary>Kind of token: latent, control, reasoning_text, answer, prompt, cached.</summary>
    public const string Kind = "kind";

    /// <summary>How a request ended.</summary>
    public const string Outcome = "outcome";

    /// <summary>rest or grpc.</summary>
    public const string Protocol = "protocol";

    /// <summary>Why a request was refused.</summary>
    public const string Reason = "reason";

    /// <summary>Which budget: latent, thinking or max_tokens.</summary>
    public const string Budget = "budget";

    /// <summary>estimated or measured_pair.</summary>
    public const string Basis = "basis";

    /// <summary>HTTP method.</summary>
    public const string HttpMethod = "http.request.method";

    /// <summary>Pattern of the route, never the path.</summary>
    public const string HttpRoute = "http.route";

    /// <summary>HTTP status.</summary>
    public const string HttpStatus = "http.response.status_code";

    /// <summary>Service and method of a gRPC call.</summary>
    public const string RpcMethod = "rpc.method";

    /// <summary>gRPC status by name.</summary>
    public const string RpcStatus = "rpc.response.status_code";

    /// <summary>The label that stands for a tag.</summary>
    public static string LabelOf(string tag) => tag switch
    {
        Operation => "operation",
        TokenType => "type",
        ErrorType => "error",
        HttpMethod or RpcMethod => "method",
        HttpRoute => "route",
        HttpStatus or RpcStatus => "status",
        _ => tag,
    };
}
