using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Tessera.LoadTests.Tests.Support;

/// <summary>Writes the server-sent events of one response as a Tessera server sends them.</summary>
public sealed class Transcript
{
    private readonly StringBuilder _events = new();

    public static string Done => "data: [DONE]\n\n";

    /// <summary>A whole response: latents (with the hints that follow), reasoning words, answer words, usage.</summary>
    public static string Response(int latents, int reasoningWords, string answer, int promptTokens = 20, string finishReason = "stop", Usage? usage = null)
    {
        var transcript = new Transcript().Role();
        for (var i = 0; i < latents; i++)
        {
            transcript.Latent(i, 40 + i);
        }

        for (var i = 0; i < latents; i++)
        {
            transcript.Hint(i, 40 + i, "a hint");
        }

        for (var i = 0; i < reasoningWords; i++)
        {
            transcript.Reasoning($" step{i}");
        }

        var words = answer.Split(' ');
        for (var i = 0; i < words.Length; i++)
        {
            transcript.Answer(i == 0 ? words[i] : " " + words[i]);
        }

        return transcript.Finish(finishReason).Tokens(usage ?? Usage.Of(promptTokens, latents, reasoningWords, words.Length)).ToString() + Done;
    }

    public Transcript Role() => Delta(new JsonObject { ["role"] = "assistant", ["content"] = "" });

    public Transcript Latent(int index, int code) =>
        Delta(new JsonObject { ["latent_reasoning"] = new JsonObject { ["span"] = 0, ["index"] = index, ["codes"] = new JsonArray(code) } });

    public Transcript Hint(int index, int code, string hint) => Delta(new JsonObject
    {
        ["latent_reasoning"] = new JsonObject { ["span"] = 0, ["index"] = index, ["codes"] = new JsonArray(code), ["hint"] = hint, ["confidence"] = 0.5 },
    });

    public Transcript Reasoning(string text) => Delta(new JsonObject { ["reasoning"] = text, ["reasoning_content"] = text });

    public Transcript Answer(string text) => Delta(new JsonObject { ["content"] = text });

    public Transcript Finish(string reason) => Event(new JsonObject
    {
        ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = new JsonObject(), ["finish_reason"] = reason }),
    });

    public Transcript Tokens(Usage usage) => Event(new JsonObject { ["choices"] = new JsonArray(), ["usage"] = usage.ToJson() });

    public Transcript Raw(string text)
    {
        _events.Append(text);
        return this;
    }

    public override string ToString() => _events.ToString();

    private Transcript Delta(JsonObject delta) => Event(new JsonObject
    {
        ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = delta, ["finish_reason"] = null }),
    });

    private Transcript Event(JsonObject chunk)
    {
        chunk["id"] = "chatcmpl-1";
        chunk["object"] = "chat.completion.chunk";
        return Raw(string.Create(CultureInfo.InvariantCulture, $"data: {chunk.ToJsonString()}\n\n"));
    }
}

/// <summary>The usage object of a response.</summary>
public sealed record Usage(int Prompt, int Completion, int Total, int Reasoning, int Latent, int ReasoningText, int Control)
{
    /// <summary>Right counts: a latent span has two delimiters, the reasoning one, the answer one end of sequence.</summary>
    public static Usage Of(int prompt, int latents, int reasoningText, int answerWords)
    {
        var control = latents > 0 ? 3 : 1;
        var reasoning = latents + reasoningText + control;
        var completion = reasoning + answerWords + 1;
        return new Usage(prompt, completion, prompt + completion, reasoning, latents, reasoningText, control);
    }

    public JsonObject ToJson() => new()
    {
        ["prompt_tokens"] = Prompt,
        ["completion_tokens"] = Completion,
        ["total_tokens"] = Total,
        ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = 4 },
        ["completion_tokens_details"] = new JsonObject
        {
            ["reasoning_tokens"] = Reasoning,
            ["latent_tokens"] = Latent,
            ["reasoning_text_tokens"] = ReasoningText,
            ["control_tokens"] = Control,
        },
    };
}
