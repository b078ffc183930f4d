using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>
/// Says a response as response object or as its events. The reasoning item stays open while hints of its latents are on their way, so that what is done
/// does not change any more.
/// </summary>
internal sealed class ResponsesWriter(ResponseContext context) : ResponseWriter
{
    private readonly ResponsesFormat _format = new(context);
    private int _sequence;
    private bool _isReasoningOpen;
    private bool _isReasoningTextOpen;
    private bool _isSummaryOpen;
    private bool _hasReasoning;
    private bool _hasMessage;

    // The reasoning comes first when there is any.
    private int MessageIndex => _hasReasoning ? 1 : 0;

    /// <inheritdoc/>
    public override Task WriteWholeAsync(HttpContext http, GatheredResponse response) =>
        RestResponse.WriteAsync(http, _format.Finished(response), RestJson.Wire.ResponseBody);

    /// <inheritdoc/>
    public override void Open(EventSink sink, GatheredResponse response)
    {
        Send(sink, Event("response.created") with { Response = _format.InProgress() });
        Send(sink, Event("response.in_progress") with { Response = _format.InProgress() });
    }

    /// <inheritdoc/>
    public override void Write(EventSink sink, GenerationEvent happened, GatheredResponse response)
    {
        var choice = response.Choices[0];
        switch (happened)
        {
            case LatentEvent latent:
                WriteLatent(sink, new(latent.Span, latent.Index, [latent.Code]));
                break;
            case LatentHintEvent hint:
                WriteLatent(sink, new(hint.Span, hint.Index, [hint.Code], hint.Hint, hint.Confidence));
                WriteSummary(sink, hint, choice);
                CloseReasoningWhenWhole(sink, choice);
                break;
            case ReasoningTextEvent { Text.Length: > 0 } text:
                WriteReasoningText(sink, text.Text);
                break;
            case AnswerTextEvent text when text.Text.Length > 0 || text.Logprobs is { Count: > 0 }:
                WriteAnswer(sink, text, choice);
                break;
            default:
                break;
        }
    }

    /// <inheritdoc/>
    public override void Close(EventSink sink, GatheredResponse response)
    {
        var choice = response.Choices[0];
        CloseReasoning(sink, choice, ResponsesFormat.HasMessage(choice) ? "completed" : "incomplete");
        var body = _format.Finished(response);
        if (ResponsesFormat.HasMessage(choice))
        {
            OpenMessage(sink, choice);
            CloseMessage(sink, choice, body.Status);
        }
        Send(sink, Event($"response.{body.Status}") with { Response = body });
    }

    /// <inheritdoc/>
    public override void Fail(EventSink sink, ApiFailure error, GatheredResponse response)
    {
        Send(sink, Event("response.failed") with { Response = _format.Failed(error, response) });
        // Official clients raise an error for this event alone.
        sink.Send(new ResponseErrorEvent("error", _sequence++, error.Entry.Code, error.Message, error.Field), RestJson.Wire.ResponseErrorEvent, "error");
    }

    private static void Send(EventSink sink, ResponseEvent happened) => sink.Send(happened, RestJson.Wire.ResponseEvent, happened.Type);

    private ResponseEvent Event(string type) => new(type, _sequence++);

    private ResponseEvent ReasoningEvent(string type) => Event(type) with { OutputIndex = 0, ItemId = _format.ReasoningId };

    private ResponseEvent MessageEvent(string type) => Event(type) with { OutputIndex = MessageIndex, ItemId = _format.MessageId, ContentIndex = 0 };

    private void WriteLatent(EventSink sink, LatentDeltaBody latent)
    {
        OpenReasoning(sink);
        Send(sink, ReasoningEvent("response.latent_reasoning.delta") with { LatentReasoning = latent });
    }

    private void WriteSummary(EventSink sink, LatentHintEvent hint, GatheredChoice choice)
    {
        if (!_format.WithSummary || !_isReasoningOpen)
        {
            return;
        }
        if (!_isSummaryOpen)
        {
            _isSummaryOpen = true;
            Send(sink, ReasoningEvent("response.reasoning_summary_part.added") with { SummaryIndex = 0, Part = new("summary_text", "") });
        }
        var isFirst = choice.Spans.Sum(span => span.HintCount) == 1;
        Send(sink, ReasoningEvent("response.reasoning_summary_text.delta") with { SummaryIndex = 0, Delta = isFirst ? hint.Hint : " " + hint.Hint });
    }

    private void WriteReasoningText(EventSink sink, string text)
    {
        OpenReasoning(sink);
        if (!_isReasoningTextOpen)
        {
            _isReasoningTextOpen = true;
            Send(sink, ReasoningEvent("response.content_part.added") with { ContentIndex = 0, Part = new("reasoning_text", "") });
        }
        Send(sink, ReasoningEvent("response.reasoning_text.delta") with { ContentIndex = 0, Delta = text });
    }

    private void WriteAnswer(EventSink sink, AnswerTextEvent text, GatheredChoice choice)
    {
        OpenMessage(sink, choice);
        Send(sink, MessageEvent("response.output_text.delta") with { Delta = text.Text, Logprobs = _format.Logprobs(text.Logprobs ?? []) });
    }

    private void OpenReasoning(EventSink sink)
    {
        if (!_hasReasoning)
        {
            _hasReasoning = _isReasoningOpen = true;
            Send(sink, Event("response.output_item.added") with { OutputIndex = 0, Item = new(_format.ReasoningId, "reasoning", "in_progress") { Summary = [] } });
        }
    }

    private void OpenMessage(EventSink sink, GatheredChoice choice)
    {
        if (_hasMessage)
        {
            return;
        }
        _hasMessage = true;
        CloseReasoningText(sink, choice);
        CloseReasoningWhenWhole(sink, choice);
        Send(sink, Event("response.output_item.added") with { OutputIndex = MessageIndex, Item = _format.MessageItem(choice, "in_progress") });
        Send(sink, MessageEvent("response.content_part.added") with { Part = new("output_text", "") { Annotations = [], Logprobs = [] } });
    }

    private void CloseMessage(EventSink sink, GatheredChoice choice, string status)
    {
        var part = _format.TextPart(choice);
        Send(sink, MessageEvent("response.output_text.done") with { Text = part.Text, Logprobs = part.Logprobs });
        Send(sink, MessageEvent("response.content_part.done") with { Part = part });
        Send(sink, Event("response.output_item.done") with { OutputIndex = MessageIndex, Item = _format.MessageItem(choice, status) });
    }

    private void CloseReasoningText(EventSink sink, GatheredChoice choice)
    {
        if (_isReasoningTextOpen)
        {
            _isReasoningTextOpen = false;
            Send(sink, ReasoningEvent("response.reasoning_text.done") with { ContentIndex = 0, Text = choice.Reasoning });
            Send(sink, ReasoningEvent("response.content_part.done") with { ContentIndex = 0, Part = new("reasoning_text", choice.Reasoning ?? "") });
        }
    }

    // Once the answer has begun the reasoning lacks nothing but hints.
    private void CloseReasoningWhenWhole(EventSink sink, GatheredChoice choice)
    {
        var hasAllHints = !context.Request.Reasoning.Explain || choice.Spans.All(span => span.HintCount == span.Codes.Count);
        if (_hasMessage && hasAllHints)
        {
            CloseReasoning(sink, choice, "completed");
        }
    }

    private void CloseReasoning(EventSink sink, GatheredChoice choice, string status)
    {
        if (!_isReasoningOpen)
        {
            return;
        }
        CloseReasoningText(sink, choice);
        _isReasoningOpen = false;
        var item = _format.ReasoningItem(choice, status);
        if (_isSummaryOpen)
        {
            Send(sink, ReasoningEvent("response.reasoning_summary_text.done") with { SummaryIndex = 0, Text = item.Summary![0].Text });
            Send(sink, ReasoningEvent("response.reasoning_summary_part.done") with { SummaryIndex = 0, Part = item.Summary[0] });
        }
        Send(sink, Event("response.output_item.done") with { OutputIndex = 0, Item = item });
    }
}
