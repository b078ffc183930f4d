using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>Puts a response, as far as it has come, into the objects of the responses route.</summary>
internal sealed class ResponsesFormat(ResponseContext context)
{
    private readonly ResponsesEcho _echo = context.Parsed.Echo!;
    private readonly LogprobsFormat _logprobs = new(context.Package);
    private readonly EffectiveSampling _sampling = EffectiveSampling.Of(context.Request);
    private readonly EffectiveReasoning _reasoning = EffectiveReasoning.Of(context.Request);

    /// <summary>Id of the response.</summary>
    public string Id { get; } = $"resp_{context.Request.RequestId}";

    /// <summary>Id of its reasoning.</summary>
    public string ReasoningId { get; } = $"rs_{context.Request.RequestId}";

    /// <summary>Id of its message.</summary>
    public string MessageId { get; } = $"msg_{context.Request.RequestId}";

    /// <summary>Whether the hints of latents make a summary.</summary>
    public bool WithSummary => _echo.Summary is not null;

    /// <summary>The response before its end.</summary>
    public ResponseBody InProgress() => Body("in_progress", []);

    /// <summary>The response after an end that is no error.</summary>
    public ResponseBody Finished(GatheredResponse response)
    {
        var choice = response.Choices[0];
        var isCut = choice.End!.Reason == FinishReason.Length;
        return Body(isCut ? "incomplete" : "completed", Items(choice)) with
        {
            IncompleteDetails = isCut ? new("max_output_tokens") : null,
            Usage = ResponseUsage.Of(UsageBody.Of(response.Finished)),
            Timings = TimingsBody.Of(response.Finished.Timings),
            TokenIds = context.Parsed.ReturnTokenIds ? choice.Tokens.Ids : null,
        };
    }

    /// <summary>The response after an error.</summary>
    public ResponseBody Failed(ApiFailure error, GatheredResponse response) =>
        Body("failed", []) with
        {
            Error = new(error.Entry.Code, error.Message),
            Usage = response.IsFinished ? ResponseUsage.Of(UsageBody.Of(response.Finished)) : null,
        };

    /// <summary>Whether there is reasoning to show.</summary>
    public static bool HasReasoning(GatheredChoice choice) => choice.Spans.Count > 0 || choice.Reasoning is not null;

    /// <summary>Whether there is a message to show: an answer was begun, or it is empty.</summary>
    public static bool HasMessage(GatheredChoice choice) => choice.AnswerIds.Count > 0 || choice.Answer.Length > 0 || choice.End?.Reason == FinishReason.Stop;

    /// <summary>The reasoning as far as it has come.</summary>
    public OutputItem ReasoningItem(GatheredChoice choice, string status) => new(ReasoningId, "reasoning", status)
    {
        Summary = SummaryOf(choice) is { } summary ? [new("summary_text", summary)] : [],
        Content = choice.Reasoning is { } text ? [new("reasoning_text", text)] : null,
        LatentReasoning = LatentReasoningBody.Of(choice),
    };

    /// <summary>The hints of all latents in order, when a summary was asked for and there are some.</summary>
    public string? SummaryOf(GatheredChoice choice)
    {
        var hints = choice.Spans.Select(span => span.Hint).Where(hint => hint is not null);
        return WithSummary && hints.Any() ? string.Join(' ', hints) : null;
    }

    /// <summary>The message as far as it has come.</summary>
    public OutputItem MessageItem(GatheredChoice choice, string status) =>
        new(MessageId, "message", status) { Role = "assistant", Content = status == "in_progress" ? [] : [TextPart(choice)] };

    /// <summary>The text of the message as far as it has come.</summary>
    public ContentPart TextPart(GatheredChoice choice) =>
        new("output_text", choice.Answer) { Annotations = [], Logprobs = Logprobs(choice.AnswerLogprobs) };

    /// <summary>Log probabilities; empty when not asked for.</summary>
    public IReadOnlyList<TokenLogprobBody> Logprobs(IReadOnlyList<TokenLogprob> logprobs) => _echo.WithLogprobs ? _logprobs.Format(logprobs) : [];

    private List<OutputItem> Items(GatheredChoice choice)
    {
        var items = new List<OutputItem>(2);
        if (HasReasoning(choice))
        {
            items.Add(ReasoningItem(choice, HasMessage(choice) ? "completed" : "incomplete"));
        }
        if (HasMessage(choice))
        {
            items.Add(MessageItem(choice, choice.End!.Reason == FinishReason.Length ? "incomplete" : "completed"));
        }
        return items;
    }

    private ResponseBody Body(string status, IReadOnlyList<OutputItem> output) => new(Id, "response", context.Created, status, context.Model, output)
    {
        Instructions = _echo.Instructions,
        MaxOutputTokens = context.Request.MaxTokens,
        Metadata = _echo.Metadata,
        ParallelToolCalls = _echo.ParallelToolCalls,
        Reasoning = new(_echo.Effort, _echo.Summary, _reasoning.Mode, _reasoning.LatentBudget, _reasoning.ThinkingBudget, _reasoning.Explain),
        Sampling = _sampling,
        Temperature = _sampling.Temperature,
        TopP = _sampling.TopP,
        TopLogprobs = context.Request.Logprobs ?? 0,
        User = _echo.User,
        PromptTokenIds = context.PromptIds,
    };
}
