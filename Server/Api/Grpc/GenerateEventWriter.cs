using Tessera.Engine.Requests;
using Wire = Tessera.Protos.V1;

namespace Tessera.Server.Api.Grpc;

/// <summary>Turns the events of one response into <c>GenerateEvent</c> messages.</summary>
/// <param name="request">The effective request, echoed in Accepted.</param>
/// <param name="model">Name of the served model.</param>
internal sealed class GenerateEventWriter(GenerationRequest request, string model)
{
    /// <summary>The message of an event; a Finished event must be one that ended well.</summary>
    public Wire.GenerateEvent ToMessage(GenerationEvent happened) => happened switch
    {
        AcceptedEvent accepted => new() { Accepted = ToAccepted(accepted) },
        LatentEvent latent => new() { Latent = ToLatent(latent.Span, latent.Index, latent.Code) },
        LatentHintEvent hint => new() { Latent = ToHint(hint) },
        ReasoningTextEvent text => new() { Reasoning = new() { Text = text.Text, TokenIds = { text.TokenIds.Select(id => (uint)id) } } },
        AnswerTextEvent text => new() { Answer = new() { Text = text.Text, TokenIds = { text.TokenIds.Select(id => (uint)id) } } },
        FinishedEvent finished => new() { Finished = ToFinished(finished) },
        _ => throw new InvalidOperationException($"no message stands for the event {happened.GetType().Name}"),
    };

    private Wire.Accepted ToAccepted(AcceptedEvent accepted)
    {
        var (reasoning, sampling) = (request.Reasoning, request.Sampling);
        var effective = new Wire.EffectiveOptions
        {
            Mode = ToMode(reasoning.Mode),
            MaxTokens = (uint)request.MaxTokens,
            Temperature = sampling.Temperature,
            TopK = (uint)sampling.TopK,
            TopP = sampling.TopP,
            Seed = sampling.Seed,
            Explain = reasoning.Explain,
        };
        if (reasoning.LatentBudget is { } latentBudget)
        {
            effective.LatentBudget = (uint)latentBudget;
        }

        if (reasoning.ThinkingBudget is { } thinkingBudget)
        {
            effective.ThinkingBudget = (uint)thinkingBudget;
        }

        return new() { RequestId = request.RequestId, Model = model, PromptTokens = (uint)accepted.PromptTokens, Effective = effective };
    }

    private static Wire.ReasoningMode ToMode(ReasoningMode mode) => mode switch
    {
        ReasoningMode.Latent => Wire.ReasoningMode.Latent,
        ReasoningMode.Text => Wire.ReasoningMode.Text,
        ReasoningMode.None => Wire.ReasoningMode.None,
        _ => Wire.ReasoningMode.Auto,
    };

    private static Wire.LatentDelta ToLatent(int span, int index, int code) => new() { Span = (uint)span, Index = (uint)index, Codes = { (uint)code } };

    private static Wire.LatentDelta ToHint(LatentHintEvent hint)
    {
        var delta = ToLatent(hint.Span, hint.Index, hint.Code);
        delta.Hint = hint.Hint;
        delta.Confidence = hint.Confidence;
        return delta;
    }

    private static Wire.Finished ToFinished(FinishedEvent finished) => new()
    {
        Reason = finished.Reason == FinishReason.Length ? "length" : "stop",
        Usage = ToUsage(finished.Usage),
        Savings = ToSavings(finished.Savings),
        Timings = ToTimings(finished.Timings),
    };

    private static Wire.Usage ToUsage(Usage usage) => new()
    {
        PromptTokens = (uint)usage.PromptTokens,
        CompletionTokens = (uint)usage.CompletionTokens,
        LatentTokens = (uint)usage.LatentTokens,
        ControlTokens = (uint)usage.ControlTokens,
        ReasoningTextTokens = (uint)usage.ReasoningTextTokens,
        AnswerTokens = (uint)usage.AnswerTokens,
        CachedTokens = (uint)usage.CachedTokens,
    };

    private static Wire.Savings ToSavings(Savings savings) => new()
    {
        LatentTokens = (uint)savings.LatentTokens,
        TextEquivalentTokens = savings.TextEquivalentTokens,
        TokensSaved = savings.TokensSaved,
        FractionSaved = savings.FractionSaved,
        StepsSaved = savings.StepsSaved,
        KvBytesSaved = savings.KvBytesSaved,
        SecondsSaved = savings.SecondsSaved,
        Basis = savings.Basis == SavingsBasis.MeasuredPair ? "measured_pair" : "estimated",
    };

    private static Wire.Timings ToTimings(Timings timings) => new()
    {
        QueueSeconds = timings.Queue.TotalSeconds,
        PrefillSeconds = timings.Prefill.TotalSeconds,
        TimeToFirstTokenSeconds = timings.TimeToFirstToken.TotalSeconds,
        InterTokenSeconds = timings.InterTokenTime.TotalSeconds,
        TotalSeconds = timings.Total.TotalSeconds,
    };
}
