using System.Text.Json;
using Tessera.Engine.Requests;
using Tessera.Models;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>One of the generating routes: how it reads a body and in which words it says a response.</summary>
internal interface IGenerationApi
{
    /// <summary>Reads a body: types and places are checked, ranges are the engine's to check.</summary>
    /// <param name="root">The JSON object.</param>
    /// <param name="requestId">Id of the request.</param>
    /// <param name="problems">Where problems go.</param>
    ParsedGeneration Read(JsonElement root, string requestId, List<FieldProblem> problems);

    /// <summary>Name of the operation in telemetry.</summary>
    string Operation { get; }

    /// <summary>A writer for one response.</summary>
    ResponseWriter CreateWriter(ResponseContext context);
}

/// <summary>A body as a client sent it: types are right, ranges are not checked yet.</summary>
internal sealed record ParsedGeneration
{
    /// <summary>The model asked for; null = the served one.</summary>
    public string? Model { get; init; }

    /// <summary>What the engine's validation takes.</summary>
    public required GenerationInput Input { get; init; }

    /// <summary>The names under which the client knows the fields of <see cref="Input"/>.</summary>
    public required GenerationFieldNames Names { get; init; }

    /// <summary>The prompts of a route that takes several; empty where the one prompt is in <see cref="Input"/>, or where there is none that can be read.</summary>
    public IReadOnlyList<GivenPrompt> Prompts { get; init; } = [];

    /// <summary>Requests that this is: one for each prompt.</summary>
    public int RequestCount => Math.Max(1, Prompts.Count);

    /// <summary>The input of each request, and the names of its fields.</summary>
    public IEnumerable<(GenerationInput Input, GenerationFieldNames Names)> Inputs => Prompts.Count == 0
        ? [(Input, Names)]
        : Prompts.Select(prompt => (
            Input with { Prompt = prompt.Text, PromptIds = prompt.Ids }, Names with { Prompt = prompt.Name, Chat = prompt.Name, PromptIds = prompt.Name }));

    /// <summary>Whether the answer is a stream of events.</summary>
    public bool Stream { get; init; }

    /// <summary>Whether a stream ends with a chunk that holds the usage.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>Whether every chunk holds the usage so far.</summary>
    public bool ContinuousUsage { get; init; }

    /// <summary>Whether the ids of prompt and response are given out.</summary>
    public bool ReturnTokenIds { get; init; }

    /// <summary>What a response object repeats of its request; of the responses route alone.</summary>
    public ResponsesEcho? Echo { get; init; }
}

/// <summary>One of the prompts of a request.</summary>
/// <param name="Name">Its name in errors.</param>
/// <param name="Text">The prompt; either this or ids.</param>
/// <param name="Ids">The prompt as ids.</param>
internal sealed record GivenPrompt(string Name, string? Text, IReadOnlyList<int>? Ids);

/// <summary>What a writer needs to know about the response that it writes.</summary>
/// <param name="Requests">The valid requests, one for each prompt; alike in all else.</param>
/// <param name="Parsed">The body behind it.</param>
/// <param name="Package">The model.</param>
/// <param name="Created">When it was accepted, in seconds since 1970.</param>
internal sealed record ResponseContext(IReadOnlyList<GenerationRequest> Requests, ParsedGeneration Parsed, ModelPackage Package, long Created)
{
    /// <summary>The request, or the one of the first prompt.</summary>
    public GenerationRequest Request => Requests[0];

    /// <summary>Choices of the response.</summary>
    public int ChoiceCount => Requests.Count * Request.N;

    /// <summary>Name of the served model.</summary>
    public string Model => Package.Manifest.Name;

    /// <summary>Changes when the same seed may give other tokens.</summary>
    public string Fingerprint => $"{Package.Manifest.Name}-{Package.Manifest.Version}";

    /// <summary>Ids of the one prompt, <c>&lt;think&gt;</c> included, when they are to be given out; null for several.</summary>
    public IReadOnlyList<int>? PromptIds => Requests.Count == 1 ? IdsOf(Request) : null;

    /// <summary>Ids of the prompt of a choice when there are several prompts and they are to be given out.</summary>
    public IReadOnlyList<int>? PromptIdsOf(int choice) => Requests.Count == 1 ? null : IdsOf(Requests[choice / Request.N]);

    private int[]? IdsOf(GenerationRequest request) => Parsed.ReturnTokenIds ? [.. request.PromptIds, Package.Vocabulary.ThinkId] : null;
}

/// <summary>Says one response in the words of one route, whole or event by event.</summary>
internal abstract class ResponseWriter
{
    /// <summary>Sends a response that ended well as one body.</summary>
    public abstract Task WriteWholeAsync(HttpContext context, GatheredResponse response);

    /// <summary>Opens a stream, before anything was generated.</summary>
    public abstract void Open(EventSink sink, GatheredResponse response);

    /// <summary>Streams an event that <paramref name="response"/> has taken in; never one of an end that is an error.</summary>
    public abstract void Write(EventSink sink, GenerationEvent happened, GatheredResponse response);

    /// <summary>Closes the stream of a response that ended well.</summary>
    public abstract void Close(EventSink sink, GatheredResponse response);

    /// <summary>Ends the stream with an error.</summary>
    public virtual void Fail(EventSink sink, ApiFailure error, GatheredResponse response) => sink.Send(ErrorBody.Of(error), RestJson.Wire.ErrorBody);

    /// <summary>Name of an end that is no error.</summary>
    protected static string NameOf(FinishReason reason) => reason switch
    {
        FinishReason.Stop => "stop",
        FinishReason.Length => "length",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "Only an end that is no error has a finish reason."),
    };
}
