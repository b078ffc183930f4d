using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>A route that reads one JSON object and answers with another.</summary>
internal static class JsonRoute
{
    /// <summary>Reads the body, has it worked on and sends the answer or the error.</summary>
    /// <param name="context">The request.</param>
    /// <param name="model">Name of the served model; a body may name no other.</param>
    /// <param name="work">Reads fields, notes problems, and gives the answer, or null when there are problems, or an error.</param>
    /// <param name="type">Type of the answer.</param>
    public static async Task HandleAsync<T>(
        HttpContext context, string model, Func<JsonElement, FieldReader, List<FieldProblem>, Task<(T? Body, ApiFailure? Error)>> work, JsonTypeInfo<T> type)
        where T : class
    {
        var (document, error) = await JsonBody.ReadAsync(context.Request, context.RequestAborted).ConfigureAwait(false);
        T? body = null;
        if (document is not null)
        {
            using (document)
            {
                (body, error) = await ReadAsync(document.RootElement, model, work).ConfigureAwait(false);
            }
        }
        await (body is null
            ? RestResponse.WriteErrorAsync(context, error ?? ApiFailure.Internal)
            : RestResponse.WriteAsync(context, body, type)).ConfigureAwait(false);
    }

    private static async Task<(T? Body, ApiFailure? Error)> ReadAsync<T>(
        JsonElement root, string model, Func<JsonElement, FieldReader, List<FieldProblem>, Task<(T? Body, ApiFailure? Error)>> work)
        where T : class
    {
        var problems = new List<FieldProblem>();
        var fields = new FieldReader(problems);
        var asked = fields.String(root, "model");
        if (asked is not null && asked != model)
        {
            return (null, ApiFailure.UnknownModel(asked, model));
        }
        var (body, error) = await work(root, fields, problems).ConfigureAwait(false);
        return problems.Count > 0 ? (null, ApiFailure.FromProblems(problems)) : (body, error);
    }
}
