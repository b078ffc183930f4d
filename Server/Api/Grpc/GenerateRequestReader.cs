using System.Globalization;
using Tessera.Engine.Requests;
using Tessera.Models;
using Wire = Tessera.Protos.V1;

namespace Tessera.Server.Api.Grpc;

/// <summary>Turns a <c>GenerateRequest</c> into the engine's input; every check is the engine's.</summary>
internal static class GenerateRequestReader
{
    private const ulong SeedLimit = 1UL << 53;

    /// <summary>The names of the fields in problems.</summary>
    public static readonly GenerationFieldNames Names = GenerationFieldNames.Grpc with { PromptIds = "prompt_ids.ids", Logprobs = "logprobs" };

    /// <summary>The input of a message.</summary>
    /// <param name="message">What the client sent.</param>
    /// <param name="callId">Id of the call, used when the message has none.</param>
    public static GenerationInput Read(Wire.GenerateRequest message, string callId)
    {
        var input = new GenerationInput
        {
            RequestId = message.RequestId.Length > 0 ? message.RequestId : callId,
            Prompt = message.InputCase == Wire.GenerateRequest.InputOneofCase.Prompt ? message.Prompt : null,
            Chat = message.InputCase == Wire.GenerateRequest.InputOneofCase.Chat
                ? [.. message.Chat.Messages.Select(turn => new ChatTurn(turn.Role, turn.Content))]
                : null,
            PromptIds = message.InputCase == Wire.GenerateRequest.InputOneofCase.PromptIds ? ToIds(message.PromptIds.Ids) : null,
            MaxTokens = message.MaxTokens == 0 ? null : message.MaxTokens,
            MinTokens = message.HasMinTokens ? message.MinTokens : null,
            Stop = message.Stop,
            StopTokenIds = message.StopTokenIds.Count == 0 ? null : ToIds(message.StopTokenIds),
            Logprobs = message.HasLogprobs ? message.Logprobs : null,
            N = message.HasN ? message.N : null,
            CacheSalt = message.HasCacheSalt ? message.CacheSalt : null,
        };
        return AddSampling(AddReasoning(input, message.Reasoning), message.Sampling);
    }

    private static GenerationInput AddReasoning(GenerationInput input, Wire.Reasoning? reasoning) => reasoning is null ? input : input with
    {
        Mode = ModeName(reasoning.Mode),
        LatentBudget = reasoning.HasLatentBudget ? reasoning.LatentBudget : null,
        ThinkingBudget = reasoning.HasThinkingBudget ? reasoning.ThinkingBudget : null,
        Explain = reasoning.HasExplain ? reasoning.Explain : null,
    };

    private static GenerationInput AddSampling(GenerationInput input, Wire.Sampling? sampling) => sampling is null ? input : input with
    {
        Temperature = sampling.HasTemperature ? sampling.Temperature : null,
        TopK = sampling.HasTopK ? sampling.TopK : null,
        TopP = sampling.HasTopP ? sampling.TopP : null,
        Seed = sampling.HasSeed ? ToNumber(sampling.Seed) : null,
        MinP = sampling.HasMinP ? sampling.MinP : null,
        RepetitionPenalty = sampling.HasRepetitionPenalty ? sampling.RepetitionPenalty : null,
        FrequencyPenalty = sampling.HasFrequencyPenalty ? sampling.FrequencyPenalty : null,
        PresencePenalty = sampling.HasPresencePenalty ? sampling.PresencePenalty : null,
        LogitBias = sampling.LogitBias.Count == 0 ? null : sampling.LogitBias.ToDictionary(entry => ToId(entry.Key), entry => (double)entry.Value),
    };

    // proto3 enums are open: a number without a name reaches the engine's check as it is.
    private static string? ModeName(Wire.ReasoningMode mode) => mode switch
    {
        Wire.ReasoningMode.Unspecified => null,
        Wire.ReasoningMode.Auto => "auto",
        Wire.ReasoningMode.Latent => "latent",
        Wire.ReasoningMode.Text => "text",
        Wire.ReasoningMode.None => "none",
        _ => ((int)mode).ToString(CultureInfo.InvariantCulture),
    };

    // 2^53 + 1 would round to 2^53, which is allowed: it must stay too large.
    private static double ToNumber(ulong seed) => seed > SeedLimit ? Math.Max(seed, Math.BitIncrement((double)SeedLimit)) : seed;

    private static int[] ToIds(IEnumerable<uint> ids) => [.. ids.Select(ToId)];

    // What is above every vocabulary stays above it.
    private static int ToId(uint id) => (int)Math.Min(id, int.MaxValue);
}
