using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>A chat completion as a client sent it: types are right, ranges are not checked yet.</summary>
/// <param name="Model">The model asked for; null = the served one.</param>
/// <param name="Input">What the engine's validation takes.</param>
/// <param name="Names">The names under which the client knows the fields of <paramref name="Input"/>.</param>
/// <param name="Stream">Whether the answer is a stream of events.</param>
/// <param name="IncludeUsage">Whether the stream ends with a chunk that holds the usage.</param>
internal sealed record ChatRequest(string? Model, GenerationInput Input, GenerationFieldNames Names, bool Stream, bool IncludeUsage);
