using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tessera.Server.Api.Rest;

/// <summary>What a response object repeats of its request.</summary>
internal sealed record ResponsesEcho(
    string? Instructions, string? Effort, string? Summary, JsonElement? Metadata, bool ParallelToolCalls, string? User, bool WithLogprobs);

/// <summary>The response object of <c>POST /v1/responses</c>. Fields of OpenAI's contract without a counterpart here have their neutral value.</summary>
internal sealed record ResponseBody(string Id, string Object, long CreatedAt, string Status, string Model, IReadOnlyList<OutputItem> Output)
{
    /// <summary>Why it failed; null when it did not.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ResponseErrorBody? Error { get; init; }

    /// <summary>Why it is incomplete; null when it is not.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public IncompleteDetails? IncompleteDetails { get; init; }

    /// <summary>The system message of the request.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Instructions { get; init; }

    /// <summary>Effective limit of generated tokens, reasoning included.</summary>
    public int MaxOutputTokens { get; init; }

    /// <summary>Strings of the request, echoed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public JsonElement? Metadata { get; init; }

    /// <summary>Echoed; there are no tools.</summary>
    public bool ParallelToolCalls { get; init; }

    /// <summary>Always null: nothing is stored.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? PreviousResponseId { get; init; }

    /// <summary>Effective reasoning options.</summary>
    public required ResponseReasoning Reasoning { get; init; }

    /// <summary>Effective sampling options.</summary>
    public required EffectiveSampling Sampling { get; init; }

    /// <summary>Always false: nothing is stored.</summary>
    public bool Store { get; init; }

    /// <summary>Always false.</summary>
    public bool Background { get; init; }

    /// <summary>Effective temperature.</summary>
    public float Temperature { get; init; }

    /// <summary>Effective top-p.</summary>
    public float TopP { get; init; }

    /// <summary>Alternatives per token that were asked for.</summary>
    public int TopLogprobs { get; init; }

    /// <summary>Always plain text.</summary>
    public ResponseTextFormat Text { get; init; } = new(new("text"));

    /// <summary>Always none.</summary>
    public string ToolChoice { get; init; } = "none";

    /// <summary>Always empty.</summary>
    public IReadOnlyList<string> Tools { get; init; } = [];

    /// <summary>Always disabled: what does not fit is refused.</summary>
    public string Truncation { get; init; } = "disabled";

    /// <summary>Tokens by kind; null before the end.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ResponseUsage? Usage { get; init; }

    /// <summary>Echoed.</summary>
    public string? User { get; init; }

    /// <summary>Where the time went; left out before the end.</summary>
    public TimingsBody? Timings { get; init; }

    /// <summary>Ids of the prompt, when asked for.</summary>
    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    /// <summary>Generated ids in order, when asked for.</summary>
    public IReadOnlyList<int>? TokenIds { get; init; }
}

/// <summary>Why a response failed.</summary>
internal sealed record ResponseErrorBody(string Code, string Message);

/// <summary>Why a response is incomplete.</summary>
/// <param name="Reason">Always max_output_tokens.</param>
internal sealed record IncompleteDetails(string Reason);

/// <summary>Form of the text.</summary>
internal sealed record ResponseTextFormat(TextFormatType Format);

/// <summary>Kind of the form.</summary>
internal sealed record TextFormatType(string Type);

/// <summary>Reasoning options as given and as effective.</summary>
internal sealed record ResponseReasoning(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Effort,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Summary,
    string Mode,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] int? LatentBudget,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] int? ThinkingBudget,
    bool Explain);

/// <summary>A part of the output: reasoning or a message.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Type">reasoning or message.</param>
/// <param name="Status">in_progress, completed or incomplete.</param>
internal sealed record OutputItem(string Id, string Type, string Status)
{
    /// <summary>assistant, of a message.</summary>
    public string? Role { get; init; }

    /// <summary>Text of a message, or reasoning that was spelled out.</summary>
    public IReadOnlyList<ContentPart>? Content { get; init; }

    /// <summary>Of reasoning: the hints of its latents, when a summary was asked for.</summary>
    public IReadOnlyList<ContentPart>? Summary { get; init; }

    /// <summary>Of reasoning: its latents.</summary>
    public LatentReasoningBody? LatentReasoning { get; init; }
}

/// <summary>A piece of text.</summary>
/// <param name="Type">output_text, reasoning_text or summary_text.</param>
/// <param name="Text">The text.</param>
internal sealed record ContentPart(string Type, string Text)
{
    /// <summary>Of output_text; always empty.</summary>
    public IReadOnlyList<string>? Annotations { get; init; }

    /// <summary>Of output_text; empty when not asked for.</summary>
    public IReadOnlyList<TokenLogprobBody>? Logprobs { get; init; }
}

/// <summary>Tokens by kind, in the words of the responses route.</summary>
internal sealed record ResponseUsage(
    int InputTokens, PromptTokensDetails InputTokensDetails, int OutputTokens, CompletionTokensDetails OutputTokensDetails, int TotalTokens,
    SavingsBody? LatentSavings)
{
    /// <summary>The same numbers as those of a completion.</summary>
    public static ResponseUsage Of(UsageBody usage) => new(
        usage.PromptTokens, usage.PromptTokensDetails, usage.CompletionTokens, usage.CompletionTokensDetails, usage.TotalTokens, usage.LatentSavings);
}

/// <summary>One event of a streamed response; it has the fields of its type.</summary>
/// <param name="Type">What happened.</param>
/// <param name="SequenceNumber">From 0, one more for each event.</param>
internal sealed record ResponseEvent(string Type, int SequenceNumber)
{
    /// <summary>The response, of events about all of it.</summary>
    public ResponseBody? Response { get; init; }

    /// <summary>Place of the item in the output.</summary>
    public int? OutputIndex { get; init; }

    /// <summary>Id of the item.</summary>
    public string? ItemId { get; init; }

    /// <summary>The item, of events about all of it.</summary>
    public OutputItem? Item { get; init; }

    /// <summary>Place of the part in the item's content.</summary>
    public int? ContentIndex { get; init; }

    /// <summary>Place of the part in the item's summary.</summary>
    public int? SummaryIndex { get; init; }

    /// <summary>The part, of events about all of it.</summary>
    public ContentPart? Part { get; init; }

    /// <summary>Text that is added.</summary>
    public string? Delta { get; init; }

    /// <summary>The whole text.</summary>
    public string? Text { get; init; }

    /// <summary>Of the tokens of a text; empty when not asked for.</summary>
    public IReadOnlyList<TokenLogprobBody>? Logprobs { get; init; }

    /// <summary>A latent, or the hint of one sent before.</summary>
    public LatentDeltaBody? LatentReasoning { get; init; }
}

/// <summary>The event after which nothing comes.</summary>
internal sealed record ResponseErrorEvent(
    string Type, int SequenceNumber, string Code, string Message, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param);
