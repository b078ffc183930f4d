namespace Tessera.Server.Api.Rest.Describing;

/// <summary>The description of every route that is no file of the page.</summary>
internal static class RouteDescriptions
{
    private static readonly ErrorKind[] Generating = [ErrorKind.ModelNotFound, ErrorKind.QueueFull, ErrorKind.DeadlineExceeded];
    private static readonly ErrorKind[] Working = [ErrorKind.ModelNotFound, ErrorKind.QueueFull];

    public static readonly RouteDescription Chat = new("createChatCompletion", "One answer to a chat, whole or streamed")
    {
        Body = BodyFields.Chat,
        Answer = RestJson.Wire.ChatCompletion,
        StreamedEvent = RestJson.Wire.ChatChunk,
        Errors = Generating,
    };

    public static readonly RouteDescription Completion = new("createCompletion", "One answer to a plain prompt, whole or streamed")
    {
        Body = BodyFields.Completion,
        Answer = RestJson.Wire.TextCompletion,
        StreamedEvent = RestJson.Wire.TextCompletion,
        Errors = Generating,
    };

    public static readonly RouteDescription Response = new("createResponse", "One response, whole or as typed events; nothing is stored")
    {
        Body = BodyFields.Response,
        Answer = RestJson.Wire.ResponseBody,
        StreamedEvent = RestJson.Wire.ResponseEvent,
        Errors = Generating,
    };

    public static readonly RouteDescription ListModels = new("listModels", "The served model, in a list") { Answer = RestJson.Wire.ModelList };

    public static readonly RouteDescription GetModel = new("getModel", "One model") { Answer = RestJson.Wire.ModelEntry, Errors = [ErrorKind.ModelNotFound] };

    public static readonly RouteDescription DecodeLatents = new("decodeLatents", "What codes stand for")
    {
        Body = BodyFields.DecodeLatents,
        Answer = RestJson.Wire.DecodedLatents,
        Errors = Working,
    };

    public static readonly RouteDescription EncodeTrace = new("encodeTrace", "Codes of the steps of a reasoning trace")
    {
        Body = BodyFields.EncodeTrace,
        Answer = RestJson.Wire.EncodedLatents,
        Errors = Working,
    };

    public static readonly RouteDescription Tokenize = new("tokenize", "Ids of a text or a chat")
    {
        Body = BodyFields.Tokenize,
        Answer = RestJson.Wire.TokenizeBody,
        Errors = [ErrorKind.ModelNotFound],
    };

    public static readonly RouteDescription Detokenize = new("detokenize", "Text of ids")
    {
        Body = BodyFields.Detokenize,
        Answer = RestJson.Wire.DetokenizeBody,
        Errors = [ErrorKind.ModelNotFound],
    };

    public static readonly RouteDescription Metrics = new("getMetrics", "Metrics in Prometheus' text format") { OtherMediaType = "text/plain" };

    public static readonly RouteDescription Info = new("getInfo", "Model, state of the engine, limits, process") { Answer = RestJson.Wire.ServerInfo };

    public static readonly RouteDescription Version = new("getVersion", "Version of the server") { Answer = RestJson.Wire.VersionBody };

    public static readonly RouteDescription OpenApi = new("getOpenApi", "This document") { OtherMediaType = "application/json" };

    /// <summary>A health route; the server has each under two paths.</summary>
    public static RouteDescription Health(string operationId, string summary) => new(operationId, summary) { Answer = RestJson.Wire.HealthBody };
}
