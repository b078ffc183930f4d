using System.Text.Json;
using Google.Protobuf;
using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Models;
using Tessera.Protos.Grpc;
using Tessera.Server.Api.Operations;
using Tessera.Server.Api.Rest;
using Wire = Tessera.Protos.V1;

namespace Tessera.Server.Api.Grpc;

/// <summary>The methods of <c>tessera.v1.Inference</c> that generate nothing.</summary>
internal sealed class InferenceToolsService(InferenceEngine engine, TokenOperations tokens, LatentOperations latents, InfoReport report)
{
    private static readonly PromptNames Names = new("text", "chat.messages", "ids.ids");
    private static readonly PromptNames TextNames = new("text", "chat.messages", null);

    private readonly ServedModel _model = new(engine);

    /// <summary>Methods of the service.</summary>
    public IReadOnlyList<GrpcMethod> Methods =>
    [
        Unary("Tokenize", Wire.TokenizeRequest.Parser, (request, _) => Task.FromResult<IMessage>(Tokenize(request))),
        Unary("Detokenize", Wire.DetokenizeRequest.Parser, (request, _) => Task.FromResult<IMessage>(Detokenize(request))),
        Unary("EncodeTrace", Wire.EncodeTraceRequest.Parser, EncodeTraceAsync),
        Unary("DecodeLatents", Wire.DecodeLatentsRequest.Parser, DecodeLatentsAsync),
        Unary("ListModels", Wire.ListModelsRequest.Parser, (_, _) => Task.FromResult<IMessage>(ListModels())),
        Unary("GetInfo", Wire.GetInfoRequest.Parser, (_, _) => Task.FromResult<IMessage>(GetInfo())),
    ];

    private static GrpcMethod Unary<T>(string name, MessageParser<T> parser, Func<T, GrpcServerCall, Task<IMessage>> answer)
        where T : class, IMessage<T>, new() => new(InferenceService.ServiceName, name, async call =>
        {
            var request = await call.ReadRequestAsync(parser).ConfigureAwait(false);
            call.Write(await answer(request, call).ConfigureAwait(false));
            await call.FlushAsync().ConfigureAwait(false);
        });

    private Wire.TokenizeResponse Tokenize(Wire.TokenizeRequest request)
    {
        _model.Require(request.Model);
        var problems = new List<FieldProblem>();
        var input = new PromptInput(request.HasText ? request.Text : null, ToChat(request.Chat), null);
        var ids = tokens.Tokenize(input, TextNames, request.AddGenerationPrompt, problems) ?? throw Refuse(problems);
        return new()
        {
            Ids = { ids.Select(id => (uint)id) },
            Tokens =
            {
                ids.Select(id => new Wire.TokenizeResponse.Types.Token
                {
                    Id = (uint)id, Bytes = ByteString.CopyFrom(tokens.BytesOf(id)), Kind = tokens.KindOf(id),
                }),
            },
            MaxPositions = (uint)engine.Package.Manifest.Architecture.MaxPositions,
        };
    }

    private Wire.DetokenizeResponse Detokenize(Wire.DetokenizeRequest request)
    {
        _model.Require(request.Model);
        var problems = new List<FieldProblem>();
        var text = tokens.Detokenize([.. request.Ids.Select(id => (double)id)], "ids", request.SkipSpecial, problems);
        return new() { Text = text ?? throw Refuse(problems) };
    }

    private async Task<IMessage> EncodeTraceAsync(Wire.EncodeTraceRequest request, GrpcServerCall call)
    {
        _model.Require(request.Model);
        RequireCodebook();
        var prompt = new PromptInput(request.HasText ? request.Text : null, ToChat(request.Chat), ToNumbers(request.Ids));
        var (codes, error) = await latents.EncodeAsync(request.Steps, "steps", prompt, Names, [], call.Ended).ConfigureAwait(false);
        return codes is null
            ? throw GrpcFailure.ToStatus(error!)
            : new Wire.EncodeTraceResponse
            {
                Codes = { codes.Select(code => (uint)code) },
                Ids = { codes.Select(code => (uint)engine.Package.Vocabulary.IdOf(code)) },
            };
    }

    private async Task<IMessage> DecodeLatentsAsync(Wire.DecodeLatentsRequest request, GrpcServerCall call)
    {
        _model.Require(request.Model);
        RequireCodebook();
        var prompt = new PromptInput(request.HasText ? request.Text : null, ToChat(request.Chat), ToNumbers(request.Ids));
        double[] codes = [.. request.Codes.Select(code => (double)code)];
        var (hints, error) = await latents.DecodeAsync(codes, "codes", prompt, Names, [], call.Ended).ConfigureAwait(false);
        return hints is null
            ? throw GrpcFailure.ToStatus(error!)
            : new Wire.DecodeLatentsResponse
            {
                Hints =
                {
                    hints.Select(hint => new Wire.LatentHint
                    {
                        Text = hint.Text, Confidence = hint.Confidence, TokenCount = (uint)hint.TokenCount, Present = true,
                    }),
                },
                Text = string.Join(' ', hints.Select(hint => hint.Text)),
                Confidence = hints.Average(hint => hint.Confidence),
            };
    }

    private Wire.ListModelsResponse ListModels() => new()
    {
        Models =
        {
            new Wire.ListModelsResponse.Types.Model
            {
                Id = _model.Name, MaxPositions = (uint)engine.Package.Manifest.Architecture.MaxPositions, Created = report.Created,
            },
        },
    };

    private Wire.GetInfoResponse GetInfo()
    {
        var info = report.Create();
        var response = new Wire.GetInfoResponse { Version = info.Version, Model = ToWire(info.Model), Engine = ToWire(info.Engine), Process = ToWire(info.Process) };
        // By way of JSON, so that the names are those of REST and no limit can be forgotten here.
        var limits = JsonSerializer.SerializeToElement(info.Limits, RestJson.Wire.LimitInfo);
        foreach (var limit in limits.EnumerateObject().Where(limit => limit.Value.ValueKind == JsonValueKind.Number))
        {
            response.Limits[limit.Name] = limit.Value.GetDouble();
        }
        return response;
    }

    private static Wire.ModelInfo ToWire(ModelInfo model) => new()
    {
        Name = model.Name,
        Version = model.Version,
        License = model.License,
        Description = model.Description,
        Family = model.Family,
        LayerCount = (uint)model.LayerCount,
        HiddenSize = (uint)model.HiddenSize,
        VocabularySize = (uint)model.VocabularySize,
        MaxPositions = (uint)model.MaxPositions,
        Precision = model.Precision,
        KvPrecision = model.KvPrecision,
        LatentCount = (uint)model.LatentCount,
        TextTokensPerLatent = model.TextTokensPerLatent,
        Hints = model.Hints,
    };

    private static Wire.EngineInfo ToWire(EngineInfo state) => new()
    {
        State = state.State,
        Running = (uint)state.Running,
        Waiting = (uint)state.Waiting,
        KvPositionsInUse = state.KvPositionsInUse,
        KvPositionsCapacity = state.KvPositionsCapacity,
        KvBytesInUse = state.KvBytesInUse,
        KvBytesPeak = state.KvBytesPeak,
        KvBytesPerPosition = state.KvBytesPerPosition,
        StepCount = state.StepCount,
        SinceLastProgressSeconds = state.SinceLastProgressMs / 1000,
    };

    private static Wire.ProcessInfo ToWire(ProcessInfo process) => new()
    {
        ResidentBytes = process.ResidentBytes,
        PeakResidentBytes = process.PeakResidentBytes,
        UptimeSeconds = process.UptimeSeconds,
    };

    private static List<ChatTurn>? ToChat(Wire.ChatMessages? chat) => chat is null ? null : [.. chat.Messages.Select(turn => new ChatTurn(turn.Role, turn.Content))];

    private static List<double>? ToNumbers(Wire.TokenIds? ids) => ids is null ? null : [.. ids.Ids.Select(id => (double)id)];

    private void RequireCodebook()
    {
        if (latents.Refusal is { } refusal)
        {
            throw GrpcFailure.ToStatus(refusal);
        }
    }

    private static GrpcStatusException Refuse(List<FieldProblem> problems) => GrpcFailure.ToStatus(ApiFailure.FromProblems(problems));
}
