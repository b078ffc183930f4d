using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;
using Tessera.Server.Telemetry;
using Wire = Tessera.Protos.V1;

namespace Tessera.Server.Api.Grpc;

/// <summary><c>tessera.v1.Inference</c>: generation, as a typed stream or as one message.</summary>
internal sealed class InferenceService(InferenceEngine engine, Admission admission, ILogger<InferenceService> logger)
{
    /// <summary>Full name of the service.</summary>
    public const string ServiceName = "tessera.v1.Inference";

    private readonly ServedModel _model = new(engine);

    /// <summary>Methods of the service.</summary>
    public IReadOnlyList<GrpcMethod> Methods =>
        [new(ServiceName, "Generate", call => GenerateAsync(call, SendAsync)), new(ServiceName, "GenerateOnce", call => GenerateAsync(call, SendOnceAsync))];

    private async Task GenerateAsync(GrpcServerCall call, Func<GrpcServerCall, Generation, Task> sendAsync)
    {
        // Nothing is read, let alone tokenised, for a client that must come back later.
        if (admission.Refusal() is { } refusal)
        {
            throw GrpcFailure.ToStatus(refusal);
        }

        var message = await call.ReadRequestAsync(Wire.GenerateRequest.Parser).ConfigureAwait(false);
        var generation = Submit(message, call);
        call.Telemetry.Track([generation], GenAiOperation.GenerateContent);
        try
        {
            await sendAsync(call, generation).ConfigureAwait(false);
        }
        finally
        {
            // Whatever ended this handler, nobody reads on: a generation that still runs would only take a slot.
            generation.Cancel();
        }
    }

    private GenerationRequest Validate(Wire.GenerateRequest message, GrpcServerCall call)
    {
        _model.Require(message.Model);
        var input = GenerateRequestReader.Read(message, call.RequestId);
        input = admission.Bound(input with { CacheSalt = CacheSalts.Of(call.Telemetry, input.CacheSalt) });
        return GenerationRequest.TryCreate(input, engine.Package, engine.Options, GenerateRequestReader.Names, out var request, out var problems)
            ? request
            : throw GrpcFailure.ToStatus(ApiFailure.FromProblems(problems));
    }

    // A place first, the work second: a crowd must not have its prompts tokenised only to be refused.
    private Generation Submit(Wire.GenerateRequest message, GrpcServerCall call)
    {
        if (admission.Reserve(message.CalculateSize(), out var place) is { } full)
        {
            throw GrpcFailure.ToStatus(full);
        }

        using var reserved = place;
        var result = engine.Submit(Validate(message, call), place);
        return result is SubmitResult.Accepted accepted
            ? accepted.Generation
            : throw GrpcFailure.ToStatus(ApiFailure.FromSubmit(result, engine.GetStatus().State) ?? ApiFailure.Internal);
    }

    // Events that are there together leave in one write.
    private async Task SendAsync(GrpcServerCall call, Generation generation)
    {
        var writer = new GenerateEventWriter(generation.Request, _model.Name);
        while (await generation.Events.WaitToReadAsync(call.Ended).ConfigureAwait(false))
        {
            while (!call.HasMuchToFlush && generation.Events.TryRead(out var happened))
            {
                ThrowWhenFailed(happened, call);
                if (!GatheredResponse.IsFailedEnd(happened))
                {
                    call.Write(writer.ToMessage(happened));
                }
            }

            await call.FlushAsync().ConfigureAwait(false);
        }
    }

    private async Task SendOnceAsync(GrpcServerCall call, Generation generation)
    {
        var response = new GatheredResponse(generation.Request, engine.Package.Vocabulary);
        await foreach (var happened in generation.Events.ReadAllAsync(call.Ended).ConfigureAwait(false))
        {
            ThrowWhenFailed(happened, call);
            response.Add(happened);
        }

        call.Write(new GenerateEventWriter(generation.Request, _model.Name).ToMessage(response));
        await call.FlushAsync().ConfigureAwait(false);
    }

    private void ThrowWhenFailed(GenerationEvent happened, GrpcServerCall call)
    {
        var failure = happened is FinishedEvent finished ? ApiFailure.FromFinished(finished) : null;
        if (failure is not null)
        {
            Log.GenerationEndedWithError(logger, call.RequestId, failure.Entry.Code);
            throw GrpcFailure.ToStatus(failure);
        }
    }
}
