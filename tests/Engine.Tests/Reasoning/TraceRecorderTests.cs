using System.Text;
using System.Text.Json.Nodes;
using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Engine.Tests.Reasoning;

/// <summary>What a client sees of a model whose tokenizer puts a space before every text and spells rare characters in bytes.</summary>
public sealed class TraceRecorderTests
{
    private const int FirstByteId = 3;
    private const int Tom = 259;
    private const int Runs = 260;

    // Text, four delimiters, one latent.
    private static readonly ExtendedVocabulary Vocabulary = new(266, 0, 2, 261, 262, 263, 264, 265, 1);

    [Theory]
    [InlineData(false, " Tom runs🙂")]
    [InlineData(true, "Tom runs🙂")]
    public void Append_AnswerOfMarkedWords_KeepsItsSpacesButTheOneThatTheChatFormatStrips(bool strips, string expected)
    {
        var listener = new Listener();
        var recorder = new TraceRecorder(Vocabulary, CreateTokenizer(), strips, stops: [], minTokens: 0, listener);

        foreach (var id in (int[])[Tom, Runs, FirstByteId + 0xF0, FirstByteId + 0x9F, FirstByteId + 0x99, FirstByteId + 0x82])
            recorder.Append(id, TracePhase.Answer, isEnd: false, logprob: null);

        Assert.Equal(expected, string.Concat(listener.Answer));
        Assert.Equal(["", "", "", "🙂"], listener.Answer[2..]);
    }

    private static Tokenizer CreateTokenizer()
    {
        var vocabulary = new JsonObject { ["<unk>"] = 0, ["<s>"] = 1, ["</s>"] = 2 };
        for (var value = 0; value < 256; value++)
            vocabulary[$"<0x{value:X2}>"] = FirstByteId + value;
        vocabulary["▁Tom"] = Tom;
        vocabulary["▁runs"] = Runs;
        var added = new JsonArray();
        string[] control = ["<think>", "</think>", "<boLatent>", "<eoLatent>", "<latent_0>"];
        for (var i = 0; i < control.Length; i++)
            added.Add(new JsonObject { ["id"] = Vocabulary.ThinkId + i, ["content"] = control[i], ["special"] = true });
        var document = new JsonObject
        {
            ["added_tokens"] = added,
            ["normalizer"] = JsonNode.Parse("""{"type":"Prepend","prepend":"▁"}"""),
            ["pre_tokenizer"] = null,
            ["decoder"] = JsonNode.Parse(
                """
                {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
                 {"type":"Strip","content":" ","start":1,"stop":0}]}
                """),
            ["model"] = new JsonObject { ["type"] = "BPE", ["byte_fallback"] = true, ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        };
        return Tokenizer.Parse(Encoding.UTF8.GetBytes(document.ToJsonString()));
    }

    private sealed class Listener : ITraceListener
    {
        public List<string> Answer { get; } = [];

        public void OnDelta(GenerationEvent delta) => Answer.Add(Assert.IsType<AnswerTextEvent>(delta).Text);

        public void OnLatentSpan(LatentSpan span) => Assert.Fail("There is no latent.");
    }
}
