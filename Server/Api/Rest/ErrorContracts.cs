using System.Text.Json.Serialization;

namespace Tessera.Server.Api.Rest;

/// <summary>OpenAI's error object.</summary>
internal sealed record ErrorBody(ErrorDetails Error)
{
    /// <summary>An error as its body.</summary>
    public static ErrorBody Of(ApiFailure error) => new(new ErrorDetails(error.Message, error.Entry.Type, error.Field, error.Entry.Code));
}

/// <summary>What went wrong.</summary>
/// <param name="Message">A sentence for people.</param>
/// <param name="Type">Family of errors.</param>
/// <param name="Param">The field; null when the error is not about one.</param>
/// <param name="Code">For programs.</param>
internal sealed record ErrorDetails(
    string Message, string Type, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param, string Code);
