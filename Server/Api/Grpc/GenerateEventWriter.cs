using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;
using Wire = Tessera.Protos.V1;

namespace Tessera.Server.Api.Grpc;

/// <summary>Turns the events of one response into <c>GenerateEvent</c> messages, or a whole one into a <c>GenerateResponse</c>.</summary>
/// <param name="request">The effective request, echoed in Accepted.</param>
/// <param name="model">Name of the served model.</param>
internal sealed class GenerateEventWriter(GenerationRequest request, string model)
{
    /// <summary>The message of an event; a Finished event must be one that ended well.</summary>
    public Wire.GenerateEvent ToMessage(GenerationEvent happened)
    {
        var message = ToContent(happened);
        message.Choice = (uint)happened.Choice;
        return message;
    }

    /// <summary>The message of a whole response that ended well.</summary>
    public Wire.GenerateResponse ToMessage(GatheredResponse response) => new()
    {
        Accepted = ToAccepted(response.Accepted!),
        Choices = { response.Choices.Select(ToChoice) },
        Finished = ToFinished(response.Finished),
    };

    private Wire.GenerateEvent ToContent(GenerationEvent happened) => happened switch
    {
        AcceptedEvent accepted => new() { Accepted = ToAccepted(accepted) },
        LatentEvent latent => new() { Latent = ToLatent(latent) },
        LatentHintEvent hint => new() { Latent = ToHint(hint) },
        ReasoningTextEvent text => new() { Reasoning = ToReasoning(text.Text, text.TokenIds, text.Logprobs) },
        AnswerTextEvent text => new() { Answer = ToAnswer(text.Text, text.TokenIds, text.Logprobs) },
        ChoiceFinishedEvent end => new() { ChoiceFinished = new() { Reason = NameOf(end.Reason), Usage = ToUsage(end.Usage), Savings = ToSavings(end.Savings) } },
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
            MinP = sampling.MinP,
            RepetitionPenalty = sampling.RepetitionPenalty,
            FrequencyPenalty = sampling.FrequencyPenalty,
            PresencePenalty = sampling.PresencePenalty,
            MinTokens = (uint)request.MinTokens,
            N = (uint)request.N,
        };
        if (reasoning.LatentBudget is { } latentBudget)
        {
            effective.LatentBudget = (uint)latentBudget;
        }

        if (reasoning.ThinkingBudget is { } thinkingBudget)
        {
            effective.ThinkingBudget = (uint)thinkingBudget;
        }

        if (request.Logprobs is { } logprobs)
        {
            effective.Logprobs = (uint)logprobs;
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

    private static Wire.LatentDelta ToLatent(LatentEvent latent) => new()
    {
        Span = (uint)latent.Span,
        Index = (uint)latent.Index,
        Codes = { (uint)latent.Code },
        Logprobs = { ToLogprobs(latent.Logprobs) },
    };

    private static Wire.LatentDelta ToHint(LatentHintEvent hint) => new()
    {
        Span = (uint)hint.Span,
        Index = (uint)hint.Index,
        Codes = { (uint)hint.Code },
        Hint = hint.Hint,
        Confidence = hint.Confidence,
    };

    private static Wire.ReasoningDelta ToReasoning(string text, IReadOnlyList<int> ids, IReadOnlyList<TokenLogprob>? logprobs) =>
        new() { Text = text, TokenIds = { ids.Select(id => (uint)id) }, Logprobs = { ToLogprobs(logprobs) } };

    private static Wire.AnswerDelta ToAnswer(string text, IReadOnlyList<int> ids, IReadOnlyList<TokenLogprob>? logprobs) =>
        new() { Text = text, TokenIds = { ids.Select(id => (uint)id) }, Logprobs = { ToLogprobs(logprobs) } };

    private static IEnumerable<Wire.TokenLogprob> ToLogprobs(IReadOnlyList<TokenLogprob>? logprobs) => (logprobs ?? []).Select(entry => new Wire.TokenLogprob
    {
        Id = (uint)entry.Id,
        Logprob = entry.Logprob,
        Top = { entry.Top.Select(top => new Wire.TokenLogprob.Types.Alternative { Id = (uint)top.Id, Logprob = top.Logprob }) },
    });

    private static Wire.Choice ToChoice(GatheredChoice choice) => new()
    {
        Index = (uint)choice.Index,
        Spans = { choice.Spans.Select(ToSpan) },
        Reasoning = choice.Reasoning is null ? null : ToReasoning(choice.Reasoning, choice.ReasoningIds, choice.ReasoningLogprobs),
        Answer = ToAnswer(choice.Answer, choice.AnswerIds, choice.AnswerLogprobs),
        Reason = NameOf(choice.End!.Reason),
        Usage = ToUsage(choice.End.Usage),
        Savings = ToSavings(choice.End.Savings),
    };

    private static Wire.LatentSpan ToSpan(GatheredSpan span)
    {
        var message = new Wire.LatentSpan { Codes = { span.Codes.Select(code => (uint)code) }, Logprobs = { ToLogprobs(span.Logprobs) } };
        if (span.HintCount > 0)
        {
            message.Hints.AddRange(span.Codes.Select((_, index) => span.HintAt(index)).Select(
                hint => hint is null ? new Wire.LatentHint() : new Wire.LatentHint { Text = hint.Hint, Confidence = hint.Confidence, Present = true }));
        }

        return message;
    }

    private static Wire.Finished ToFinished(FinishedEvent finished) => new()
    {
        Reason = NameOf(finished.Reason),
        Usage = ToUsage(finished.Usage),
        Savings = ToSavings(finished.Savings),
        Timings = ToTimings(finished.Timings),
    };

    private static string NameOf(FinishReason reason) => reason == FinishReason.Length ? "length" : "stop";

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
