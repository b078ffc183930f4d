using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary><c>POST /v1/chat/completions</c>, plain and streamed.</summary>
internal sealed class ChatEndpoint(
    InferenceEngine engine, Readiness readiness, ServerOptions options, TimeProvider timeProvider, ILogger<ChatEndpoint> logger)
{
    /// <summary>Reads the request, submits it and sends what comes of it.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        // Nothing is read, let alone tokenised, for a client that must come back later.
        if (readiness.Refusal() is { } refusal)
        {
            await RestResponse.WriteErrorAsync(context, refusal).ConfigureAwait(false);
            return;
        }

        var (chat, request, error) = await ReadAsync(context).ConfigureAwait(false);
        var submitted = error is null ? engine.Submit(request!) : null;
        if (submitted is SubmitResult.Accepted accepted)
        {
            RequestTelemetry.Of(context).Track(accepted.Generation, GenAiOperation.Chat);
            await SendAsync(context, accepted.Generation, chat!).ConfigureAwait(false);
            return;
        }
        error ??= ApiFailure.FromSubmit(submitted!, engine.GetStatus().State) ?? ApiFailure.Internal;
        await RestResponse.WriteErrorAsync(context, error).ConfigureAwait(false);
    }

    private async Task SendAsync(HttpContext context, Generation generation, ChatRequest chat)
    {
        try
        {
            if (chat.Stream)
            {
                var response = NewResponse(generation.Request);
                await ChatStream.WriteAsync(context, response, generation, chat.IncludeUsage, options, timeProvider, logger).ConfigureAwait(false);
            }
            else
            {
                await AnswerAsync(context, generation).ConfigureAwait(false);
            }
        }
        finally
        {
            // Whatever ended this handler, nobody reads on: a generation that still runs would only take a slot.
            generation.Cancel();
        }
    }

    private async Task<(ChatRequest? Chat, GenerationRequest? Request, ApiFailure? Error)> ReadAsync(HttpContext context)
    {
        var (document, error) = await JsonBody.ReadAsync(context.Request, context.RequestAborted).ConfigureAwait(false);
        if (document is null)
        {
            return (null, null, error);
        }
        using (document)
        {
            var chat = ChatRequestReader.Read(document.RootElement, context.TraceIdentifier, out var problems);
            var (request, invalid) = Validate(chat, problems);
            return (chat, request, invalid);
        }
    }

    private (GenerationRequest? Request, ApiFailure? Error) Validate(ChatRequest chat, List<FieldProblem> problems)
    {
        var served = engine.Package.Manifest.Name;
        if (chat.Model is not null && chat.Model != served)
        {
            return (null, ApiFailure.UnknownModel(chat.Model, served));
        }
        var valid = GenerationRequest.TryCreate(chat.Input, engine.Package, engine.Options, chat.Names, out var request, out var more);
        if (valid && problems.Count == 0)
        {
            return (request, null);
        }
        problems.AddRange(more.Where(found => !IsConsequence(found, problems)));
        return (null, ApiFailure.FromProblems(problems));
    }

    // A field that could not be read was not handed on; that it is missing then is no news to the client.
    private static bool IsConsequence(FieldProblem found, List<FieldProblem> problems)
    {
        var roots = problems.Select(p => RootOf(p.Field)).ToHashSet();
        return roots.Contains(RootOf(found.Field))
            || (RootOf(found.Field) == GenerationFieldNames.Rest.Prompt && roots.Contains(GenerationFieldNames.Rest.Chat));
    }

    private static string RootOf(string field) => field.StartsWith("reasoning.", StringComparison.Ordinal) ? field : field.Split('[', '.')[0];

    private async Task AnswerAsync(HttpContext context, Generation generation)
    {
        var response = NewResponse(generation.Request);
        await foreach (var happened in generation.Events.ReadAllAsync(context.RequestAborted).ConfigureAwait(false))
        {
            response.Add(happened);
        }

        var finished = response.Finished;
        if (ApiFailure.FromFinished(finished) is { } error)
        {
            Log.GenerationEndedWithError(logger, context.TraceIdentifier, error.Entry.Code);
            await RestResponse.WriteErrorAsync(context, error).ConfigureAwait(false);
            return;
        }
        await RestResponse.WriteAsync(context, response.ToCompletion(), RestJson.Wire.ChatCompletion).ConfigureAwait(false);
    }

    private ChatResponse NewResponse(GenerationRequest request) => new(request, engine.Package.Manifest.Name, timeProvider.GetUtcNow().ToUnixTimeSeconds());
}
