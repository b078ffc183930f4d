using Tessera.Engine.Execution;
using Tessera.Models;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Execution;

public sealed class OnnxCodebookTests : IDisposable
{
    private const int PadId = 3;
    private const int CodeCount = 6;

    // An id and its text; id 3 is the pad.
    private static readonly string[] Words = [" zero", " one", " two", "<pad>", " four", " five", " six", " seven"];

    private readonly TemporaryFolder _folder = new();
    private readonly float[] _table = new float[CodeCount * 4 * 8];
    private readonly float[] _prompt = new float[8 * 8];
    private OnnxCodebook? _codebook;

    public void Dispose()
    {
        _codebook?.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Decode_CodesOfASpan_GivesTextUpToThePad()
    {
        Say(code: 2, 1, 5, PadId, 7);
        Say(code: 4, 0, 1, 2, 4);

        var hints = Load().Decode([2, 4], [1, 1, 1]);

        Assert.Equal(["one five", "zero one two four"], hints.Select(hint => hint.Text));
        Assert.Equal([2, 4], hints.Select(hint => hint.TokenCount));
    }

    [Fact]
    public void Decode_Hint_HasTheMeanProbabilityOfItsTokens()
    {
        Say(code: 0, 1, 5, PadId, PadId);
        _table[1] = 2f;
        _table[8 + 5] = 4f;

        var hint = Assert.Single(Load().Decode([0], [1, 1, 1]));

        // Softmax of one logit among seven zeros.
        var first = Math.Exp(2) / (Math.Exp(2) + 7);
        var second = Math.Exp(4) / (Math.Exp(4) + 7);
        Assert.Equal((first + second) / 2, hint.Confidence, 1e-6);
    }

    [Fact]
    public void Decode_PadFirst_IsAnEmptyHintWithThePadsProbability()
    {
        Say(code: 0, PadId, 1, 1, 1);
        _table[PadId] = 3f;

        var hint = Assert.Single(Load().Decode([0], [1, 1, 1]));

        Assert.Equal(("", 0), (hint.Text, hint.TokenCount));
        Assert.Equal(Math.Exp(3) / (Math.Exp(3) + 7), hint.Confidence, 1e-6);
    }

    [Fact]
    public void Decode_HugeLogits_StillGiveAProbability()
    {
        Say(code: 0, 1, PadId, PadId, PadId);
        _table[1] = 500f;
        _table[2] = 500f;

        Assert.Equal(0.5f, Assert.Single(Load().Decode([0], [1, 1, 1])).Confidence);
    }

    [Fact]
    public void Decode_MoreCodesThanTheGraphTakes_HintsTheFirst()
    {
        for (var code = 0; code < CodeCount; code++)
            Say(code, code == PadId ? 7 : code, PadId, PadId, PadId);

        var hints = Load().Decode([5, 4, 2, 1, 0, 5, 99], [1, 1, 1]);

        Assert.Equal(["five", "four", "two", "one", "zero"], hints.Select(hint => hint.Text));
    }

    [Fact]
    public void Decode_ShortPrompt_IsPaddedOnTheLeft()
    {
        // Each pad in the prompt speaks for "six", each 1 against it, twice as loud.
        _prompt[(PadId * 8) + 6] = 1f;
        _prompt[(1 * 8) + 6] = -2f;
        _prompt[(1 * 8) + PadId] = 0.5f;
        var codebook = Load();

        Assert.Equal("six six six six", Assert.Single(codebook.Decode([0], [])).Text);
        Assert.Equal("six six six six", Assert.Single(codebook.Decode([0], [0])).Text);
        Assert.Equal("", Assert.Single(codebook.Decode([0], [1])).Text);
        Assert.Equal("", Assert.Single(codebook.Decode([0], [PadId, PadId, PadId, 1, 1, 1])).Text);
    }

    [Fact]
    public void DecodeSpans_OfSeveralPrompts_EqualsEachAlone()
    {
        for (var code = 0; code < CodeCount; code++)
            Say(code, code == PadId ? 7 : code, PadId, PadId, PadId);
        _prompt[(1 * 8) + 6] = 20f;
        CodedSpan[] spans = [new([0, 1, 2, 4, 5, 5, 99], [7]), new([], [1]), new([4], [1, 7, 7, 7]), new([2, 5], [7, 1]), new([1], [])];
        var codebook = Load();

        var hints = codebook.DecodeSpans(spans);

        Assert.Equal(spans.Select(span => codebook.Decode(span.Codes, span.PromptIds)), hints);
        Assert.Equal([5, 0, 1, 2, 1], hints.Select(span => span.Count));
        Assert.Equal(["zero", "four", "six six six six", "one"], [hints[0][0].Text, hints[2][0].Text, hints[3][0].Text, hints[4][0].Text]);
        Assert.Empty(codebook.DecodeSpans([]));
        Assert.Equal([0, 0], codebook.DecodeSpans([new([], [1]), new([], [2])]).Select(span => span.Count));
    }

    [Fact]
    public void Decode_NoCodes_GivesNoHints() => Assert.Empty(Load().Decode([], [1]));

    [Theory]
    [InlineData(-1)]
    [InlineData(CodeCount)]
    public void Decode_CodeOutsideOfTheCodebook_NamesIt(int code)
    {
        var error = Assert.Throws<ArgumentException>(() => Load().Decode([0, code], [1]));

        Assert.StartsWith($"code {code} at 1 is outside of 0 to 5", error.Message);
    }

    [Fact]
    public async Task Decode_FromSeveralThreads_GivesEachItsOwn()
    {
        for (var code = 0; code < CodeCount; code++)
            Say(code, code == PadId ? 7 : code, PadId, PadId, PadId);
        var codebook = Load();
        int[] codes = [0, 1, 2, 4, 5];

        var texts = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(() => codebook.Decode([codes[i % 5]], [1, 1, 1])[0].Text)));

        string[] expected = ["zero", "one", "two", "four", "five"];
        Assert.Equal(Enumerable.Range(0, 40).Select(i => expected[i % 5]), texts);
    }

    [Fact]
    public void Logits_OfCodes_AreTheGraphs()
    {
        for (var i = 0; i < _table.Length; i++)
            _table[i] = i;

        Assert.Equal([.. Enumerable.Range(32, 32), .. Enumerable.Range(0, 32)], Load().Logits([1, 0], [1, 1, 1]).Select(x => (int)x));
    }

    [Fact]
    public void Encode_Steps_ArePaddedToTheirChunks()
    {
        // Steps 1+2+pad+pad and 7+7+7+7; the prompt 5 becomes pad, pad, 5.
        var codes = Load().Encode([[1, 2], [7, 7, 7, 7]], [5]);

        Assert.Equal([1 + 2 + 3 + 3 + 11, 28 + 11], codes);
    }

    [Fact]
    public void Encode_NoSteps_GivesNoCodes() => Assert.Empty(Load().Encode([], [1]));

    [Fact]
    public void Encode_StepLongerThanAChunk_NamesIt()
    {
        var error = Assert.Throws<ArgumentException>(() => Load().Encode([[1], [1, 2, 3, 4, 5]], [1]));

        Assert.StartsWith("step 1 has 5 tokens, the codebook takes at most 4", error.Message);
    }

    [Fact]
    public void Encode_TooManySteps_NamesBothCounts()
    {
        var error = Assert.Throws<ArgumentException>(() => Load().Encode([[1], [1], [1], [1], [1], [1]], [1]));

        Assert.StartsWith("6 steps, the codebook takes at most 5", error.Message);
    }

    [Fact]
    public void Load_DecoderOfAnotherWidth_NamesFileAndBothShapes()
    {
        var error = Assert.Throws<ModelPackageException>(() => Load(TinyCodebookGraphs.Shape with { TextVocabularySize = 9 }));

        Assert.Equal("decoder.onnx: output 'text_logits': expected F32 [?, ?, 4, 9], found F32 [?, ?, 4, 8]", error.Message);
    }

    [Fact]
    public void Load_GraphsSwapped_NamesTheMissingInput()
    {
        TinyCodebookGraphs.SaveEncoder(_folder["e.onnx"]);

        var error = Assert.Throws<ModelPackageException>(
            () => new OnnxCodebook(_folder["e.onnx"], _folder["e.onnx"], TinyCodebookGraphs.Shape, CodeCount, PadId, Text));

        Assert.Equal("e.onnx: input 'codes': expected I64 [?, ?], found no such input", error.Message);
    }

    private static string Text(int[] ids) => string.Concat(ids.Select(id => Words[id]));

    private void Say(int code, params int[] tokens)
    {
        foreach (var (position, token) in tokens.Index())
            _table[(code * 32) + (position * 8) + token] = 10f;
    }

    private OnnxCodebook Load(Codebook? shape = null)
    {
        TinyCodebookGraphs.SaveDecoder(_folder["decoder.onnx"], _table, _prompt);
        TinyCodebookGraphs.SaveEncoder(_folder["encoder.onnx"]);
        return _codebook = new OnnxCodebook(
            _folder["decoder.onnx"], _folder["encoder.onnx"], shape ?? TinyCodebookGraphs.Shape, CodeCount, PadId, Text);
    }
}
