using System.Globalization;
using Tessera.Engine.Requests;
using Tessera.Models;
using Wire = Tessera.Protos.V1;

namespace Tessera.Server.Api.Grpc;

/// <summary>Turns a <c>GenerateRequest</c> into the engine's input; every check is the engine's.</summary>
internal static class GenerateRequestReader
{
    private const ulong SeedLimit = 1UL << 53;

    /// <summary>The input of a message.</summary>
    /// <param name="message">What the client sent.</param>
    /// <param name="callId">Id of the call, used when the message has none.</param>
    public static GenerationInput Read(Wire.GenerateRequest message, string callId) => new()
    {
        RequestId = message.RequestId.Length > 0 ? message.RequestId : callId,
        Prompt = message.InputCase == Wire.GenerateRequest.InputOneofCase.Prompt ? message.Prompt : null,
        Chat = message.InputCase == Wire.GenerateRequest.InputOneofCase.Chat
            ? [.. message.Chat.Messages.Select(turn => new ChatTurn(turn.Role, turn.Content))]
            : null,
        MaxTokens = message.MaxTokens == 0 ? null : message.MaxTokens,
        Mode = ModeName(message.Reasoning?.Mode ?? Wire.ReasoningMode.Unspecified),
        LatentBudget = message.Reasoning is { HasLatentBudget: true } latent ? latent.LatentBudget : null,
        ThinkingBudget = message.Reasoning is { HasThinkingBudget: true } thinking ? thinking.ThinkingBudget : null,
        Explain = message.Reasoning is { HasExplain: true } explain ? explain.Explain : null,
        Temperature = message.Sampling is { HasTemperature: true } temperature ? temperature.Temperature : null,
        TopK = message.Sampling is { HasTopK: true } topK ? topK.TopK : null,
        TopP = message.Sampling is { HasTopP: true } topP ? topP.TopP : null,
        Seed = message.Sampling is { HasSeed: true } seed ? ToNumber(seed.Seed) : null,
        Stop = message.Stop,
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
}
