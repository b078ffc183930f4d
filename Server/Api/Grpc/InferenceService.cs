using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Server.Telemetry;
using Wire = Tessera.Protos.V1;

namespace Tessera.Server.Api.Grpc;

/// <summary><c>tessera.v1.Inference</c>: generation as a typed stream.</summary>
internal sealed class InferenceService(InferenceEngine engine, Readiness readiness, ILogger<InferenceService> logger)
{
    /// <summary>Full name of the service.</summary>
    public const string ServiceName = "tessera.v1.Inference";

    /// <summary>Methods of the service.</summary>
    public IReadOnlyList<GrpcMethod> Methods => [new(ServiceName, "Generate", GenerateAsync)];

    private async Task GenerateAsync(GrpcServerCall call)
    {
        // Nothing is read, let alone tokenised, for a client that must come back later.
        if (readiness.Refusal() is { } refusal)
        {
            throw GrpcFailure.ToStatus(refusal);
        }

        var message = await call.ReadRequestAsync(Wire.GenerateRequest.Parser).ConfigureAwait(false);
        var generation = Submit(Validate(message, call.RequestId));
        call.Telemetry.Track(generation, GenAiOperation.GenerateContent);
        try
        {
            await SendAsync(call, generation).ConfigureAwait(false);
        }
        finally
        {
            // Whatever ended this handler, nobody reads on: a generation that still runs would only take a slot.
            generation.Cancel();
        }
    }

    private GenerationRequest Validate(Wire.GenerateRequest message, string callId)
    {
        var served = engine.Package.Manifest.Name;
        if (message.Model.Length > 0 && message.Model != served)
        {
            throw GrpcFailure.ToStatus(ApiFailure.UnknownModel(message.Model, served));
        }

        var input = GenerateRequestReader.Read(message, callId);
        return GenerationRequest.TryCreate(input, engine.Package, engine.Options, GenerationFieldNames.Grpc, out var request, out var problems)
            ? request
            : throw GrpcFailure.ToStatus(ApiFailure.FromProblems(problems));
    }

    private Generation Submit(GenerationRequest request)
    {
        var result = engine.Submit(request);
        return result is SubmitResult.Accepted accepted
            ? accepted.Generation
            : throw GrpcFailure.ToStatus(ApiFailure.FromSubmit(result, engine.GetStatus().State) ?? ApiFailure.Internal);
    }

    // Events that are there together leave in one write.
    private async Task SendAsync(GrpcServerCall call, Generation generation)
    {
        var writer = new GenerateEventWriter(generation.Request, engine.Package.Manifest.Name);
        while (await generation.Events.WaitToReadAsync(call.Ended).ConfigureAwait(false))
        {
            while (generation.Events.TryRead(out var happened))
            {
                if (happened is FinishedEvent finished && ApiFailure.FromFinished(finished) is { } failure)
                {
                    Log.GenerationEndedWithError(logger, call.RequestId, failure.Entry.Code);
                    throw GrpcFailure.ToStatus(failure);
                }

                call.Write(writer.ToMessage(happened));
            }

            await call.FlushAsync().ConfigureAwait(false);
        }
    }
}
