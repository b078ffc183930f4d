using System.Runtime.InteropServices;
using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;
using Tessera.Server.Hosting;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>What all generating routes do: read, validate, submit, send whole or streamed.</summary>
internal sealed class GenerationEndpoint(
    IGenerationApi api, InferenceEngine engine, Admission admission, LiveOptions options, TimeProvider timeProvider, ILogger<GenerationEndpoint> logger)
{
    /// <summary>Answers a request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        // Nothing is read, let alone tokenised, for a client that must come back later.
        if (admission.Refusal() is { } refusal)
        {
            await RestResponse.WriteErrorAsync(context, refusal).ConfigureAwait(false);
            return;
        }

        var (parsed, submitted, error) = await SubmitAsync(context).ConfigureAwait(false);
        if (submitted is SubmitResult.Accepted accepted)
        {
            RequestTelemetry.Of(context).Track(accepted.Generation, api.Operation);
            await SendAsync(context, accepted.Generation, parsed!).ConfigureAwait(false);
            return;
        }
        error ??= ApiFailure.FromSubmit(submitted!, engine.GetStatus().State) ?? ApiFailure.Internal;
        await RestResponse.WriteErrorAsync(context, error).ConfigureAwait(false);
    }

    private async Task SendAsync(HttpContext context, Generation generation, ParsedGeneration parsed)
    {
        try
        {
            var response = new GatheredResponse(generation.Request, engine.Package.Vocabulary);
            var writer = api.CreateWriter(new(generation.Request, parsed, engine.Package, timeProvider.GetUtcNow().ToUnixTimeSeconds()));
            await (parsed.Stream
                ? ResponseStreaming.WriteAsync(context, writer, response, generation, options.Server, timeProvider, logger)
                : WriteWholeAsync(context, writer, response, generation)).ConfigureAwait(false);
        }
        finally
        {
            // Whatever ended this handler, nobody reads on: a generation that still runs would only take a slot.
            generation.Cancel();
        }
    }

    private async Task<(ParsedGeneration? Parsed, SubmitResult? Submitted, ApiFailure? Error)> SubmitAsync(HttpContext context)
    {
        var (document, error) = await JsonBody.ReadAsync(context.Request, context.RequestAborted).ConfigureAwait(false);
        if (document is null)
        {
            return (null, null, error);
        }
        using (document)
        {
            // A place first, the work second: a crowd must not have its prompts tokenised only to be refused.
            if (admission.Reserve(JsonMarshal.GetRawUtf8Value(document.RootElement).Length, out var place) is { } full)
            {
                return (null, null, full);
            }
            using var reserved = place;
            var problems = new List<FieldProblem>();
            var parsed = api.Read(document.RootElement, context.TraceIdentifier, problems);
            parsed = parsed with { Input = admission.Bound(parsed.Input with { CacheSalt = CacheSalts.Of(context, parsed.Input.CacheSalt) }) };
            var (request, invalid) = Validate(parsed, problems);
            return (parsed, request is null ? null : engine.Submit(request, place), invalid);
        }
    }

    private (GenerationRequest? Request, ApiFailure? Error) Validate(ParsedGeneration parsed, List<FieldProblem> problems)
    {
        var served = engine.Package.Manifest.Name;
        if (parsed.Model is not null && parsed.Model != served)
        {
            return (null, ApiFailure.UnknownModel(parsed.Model, served));
        }
        var valid = GenerationRequest.TryCreate(parsed.Input, engine.Package, engine.Options, parsed.Names, out var request, out var more);
        if (valid && problems.Count == 0)
        {
            return (request, null);
        }
        problems.AddRange(more.Where(found => !IsConsequence(found, problems, parsed.Names)));
        return (null, ApiFailure.FromProblems(problems));
    }

    // A field that could not be read was not handed on; that it is missing then is no news to the client.
    private static bool IsConsequence(FieldProblem found, List<FieldProblem> problems, GenerationFieldNames names)
    {
        var roots = problems.Select(p => RootOf(p.Field)).ToHashSet();
        return roots.Contains(RootOf(found.Field)) || (RootOf(found.Field) == names.Prompt && roots.Contains(names.Chat));
    }

    private static string RootOf(string field) => field.StartsWith("reasoning.", StringComparison.Ordinal) ? field : field.Split('[', '.')[0];

    private async Task WriteWholeAsync(HttpContext context, ResponseWriter writer, GatheredResponse response, Generation generation)
    {
        await foreach (var happened in generation.Events.ReadAllAsync(context.RequestAborted).ConfigureAwait(false))
        {
            response.Add(happened);
        }
        if (ApiFailure.FromFinished(response.Finished) is { } error)
        {
            Log.GenerationEndedWithError(logger, context.TraceIdentifier, error.Entry.Code);
            await RestResponse.WriteErrorAsync(context, error).ConfigureAwait(false);
            return;
        }
        await writer.WriteWholeAsync(context, response).ConfigureAwait(false);
    }
}
