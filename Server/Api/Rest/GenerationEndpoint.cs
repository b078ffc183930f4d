using System.Runtime.InteropServices;
using System.Threading.Channels;
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

        var (parsed, batch, error) = await SubmitAsync(context).ConfigureAwait(false);
        if (batch is null)
        {
            await RestResponse.WriteErrorAsync(context, error ?? ApiFailure.Internal).ConfigureAwait(false);
            return;
        }
        RequestTelemetry.Of(context).Track(batch.Generations, api.Operation);
        await SendAsync(context, batch, parsed!).ConfigureAwait(false);
    }

    private async Task SendAsync(HttpContext context, PromptBatch batch, ParsedGeneration parsed)
    {
        try
        {
            var requests = batch.Generations.Select(generation => generation.Request).ToList();
            var response = new GatheredResponse(requests[0], engine.Package.Vocabulary, requests.Count);
            var writer = api.CreateWriter(new(requests, parsed, engine.Package, timeProvider.GetUtcNow().ToUnixTimeSeconds()));
            await (parsed.Stream
                ? ResponseStreaming.WriteAsync(context, writer, response, batch.Events, options.Server, timeProvider, logger)
                : WriteWholeAsync(context, writer, response, batch.Events)).ConfigureAwait(false);
        }
        finally
        {
            // Whatever ended this handler, nobody reads on: a generation that still runs would only take a slot.
            batch.Cancel();
        }
    }

    private async Task<(ParsedGeneration? Parsed, PromptBatch? Batch, ApiFailure? Error)> SubmitAsync(HttpContext context)
    {
        var (document, error) = await JsonBody.ReadAsync(context.Request, context.RequestAborted).ConfigureAwait(false);
        if (document is null)
        {
            return (null, null, error);
        }
        using (document)
        {
            var problems = new List<FieldProblem>();
            var parsed = api.Read(document.RootElement, context.TraceIdentifier, problems);
            // Places first, the work second: a crowd must not have its prompts tokenised only to be refused.
            if (admission.Reserve(JsonMarshal.GetRawUtf8Value(document.RootElement).Length, out var place, parsed.RequestCount) is { } full)
            {
                return (null, null, full);
            }
            using var reserved = place;
            parsed = parsed with { Input = admission.Bound(parsed.Input with { CacheSalt = CacheSalts.Of(context, parsed.Input.CacheSalt) }) };
            var (requests, invalid) = Validate(parsed, problems);
            var (batch, refused) = invalid is null ? Submit(requests, place!) : (null, invalid);
            return (parsed, batch, refused);
        }
    }

    // All of them or none.
    private (PromptBatch? Batch, ApiFailure? Error) Submit(IReadOnlyList<GenerationRequest> requests, QueuePlace place)
    {
        var accepted = new List<Generation>(requests.Count);
        foreach (var request in requests)
        {
            var result = engine.Submit(request, place);
            if (result is not SubmitResult.Accepted { Generation: var generation })
            {
                accepted.ForEach(other => other.Cancel());
                return (null, ApiFailure.FromSubmit(result, engine.GetStatus().State));
            }
            accepted.Add(generation);
        }
        return (new PromptBatch(accepted), null);
    }

    private (IReadOnlyList<GenerationRequest> Requests, ApiFailure? Error) Validate(ParsedGeneration parsed, List<FieldProblem> problems)
    {
        var served = engine.Package.Manifest.Name;
        if (parsed.Model is not null && parsed.Model != served)
        {
            return ([], ApiFailure.UnknownModel(parsed.Model, served));
        }
        var (requests, limits, found) = (new List<GenerationRequest>(), engine.Options, new List<FieldProblem>());
        foreach (var (input, names) in parsed.Inputs)
        {
            // One seed for all prompts, so that the one that is echoed gives the same again.
            var seeded = requests.Count == 0 ? input : input with { Seed = requests[0].Sampling.Seed };
            if (GenerationRequest.TryCreate(seeded, engine.Package, limits, names, out var request, out var more))
            {
                requests.Add(request!);
            }
            found.AddRange(more.Where(problem => !IsConsequence(problem, problems, parsed.Names)));
        }
        // What is wrong with a field that all prompts share is wrong once.
        problems.AddRange(found.Distinct());
        return (requests, problems.Count == 0 ? null : ApiFailure.FromProblems(problems));
    }

    // A field that could not be read was not handed on; that it is missing then is no news to the client.
    private static bool IsConsequence(FieldProblem found, List<FieldProblem> problems, GenerationFieldNames names)
    {
        var roots = problems.Select(p => RootOf(p.Field)).ToHashSet();
        return roots.Contains(RootOf(found.Field)) || (RootOf(found.Field) == names.Prompt && roots.Contains(names.Chat));
    }

    private static string RootOf(string field) => field.StartsWith("reasoning.", StringComparison.Ordinal) ? field : field.Split('[', '.')[0];

    private async Task WriteWholeAsync(HttpContext context, ResponseWriter writer, GatheredResponse response, ChannelReader<GenerationEvent> events)
    {
        await foreach (var happened in events.ReadAllAsync(context.RequestAborted).ConfigureAwait(false))
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
