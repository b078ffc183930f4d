using Tessera.Engine.Runtime;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Tests.Support;
using Tessera.Exporter.Verification;
using Tessera.Exporter.Weights;
using Tessera.Protos.Onnx;
using Tessera.Testing;

namespace Tessera.Exporter.Tests.Graphs;

public sealed class CodebookGraphTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CodebookConfig _config = CodebookConfig.Read(Path.Combine(Fixture.Original, "codebook", CodebookConfig.FileName));
    private readonly CodebookCase _reference;

    public CodebookGraphTests()
    {
        using var weights = SafeTensorsFile.Open(Path.Combine(Fixture.Original, "codebook", CodebookConfig.WeightsFileName));
        CodebookDecoderGraph.Write(_folder["decoder.onnx"], _config, weights);
        CodebookEncoderGraph.Write(_folder["encoder.onnx"], _config, weights);
        _reference = ReferenceFile.Read(Path.Combine(Fixture.Original, ReferenceFile.FileName), 697, 512, _config.ChunkTokens, _config.TextVocabularySize).CodebookCases[0];
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("decoder.onnx")]
    [InlineData("encoder.onnx")]
    public void Write_Graph_HasStandardOperatorsOfOpset17Only(string file)
    {
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder[file]));

        var opset = Assert.Single(model.OpsetImport);
        Assert.Equal(("", 17L, 8L), (opset.Domain, opset.Version, model.IrVersion));
        Assert.All(model.Graph.Node, node => Assert.Equal("", node.Domain));
    }

    [Fact]
    public void Decode_SeveralTracesAtOnce_GivesEachTheLogitsThatPyTorchRecorded()
    {
        const int Count = 3;
        using var session = Load("decoder.onnx");
        using var codes = OrtValue.From<long>([.. Repeat(_reference.Codes, Count)], Count, _reference.Codes.Length);
        using var prompt = OrtValue.From<long>([.. Repeat(_reference.PromptIds, Count)], Count, _reference.PromptIds.Length);
        using var logits = session.Run([("codes", codes), ("prompt_ids", prompt)], ["text_logits"])[0];

        Assert.Equal([Count, _reference.Codes.Length, _config.ChunkTokens, _config.TextVocabularySize], logits.Shape);
        AssertClose([.. Repeat(_reference.TextLogits, Count)], logits.Elements<float>());
    }

    [Fact]
    public void Decode_FewerCodes_GivesTheSameLogitsForThem()
    {
        using var session = Load("decoder.onnx");
        using var codes = OrtValue.From<long>(_reference.Codes.AsSpan(0, 2), 1, 2);
        using var prompt = OrtValue.From<long>(_reference.PromptIds, 1, _reference.PromptIds.Length);
        using var logits = session.Run([("codes", codes), ("prompt_ids", prompt)], ["text_logits"])[0];

        AssertClose(_reference.TextLogits.AsSpan(0, 2 * _config.ChunkTokens * _config.TextVocabularySize), logits.Elements<float>());
    }

    [Fact]
    public void Decode_ShortestPrompt_SeesTheSameQuestion()
    {
        using var session = Load("decoder.onnx");
        using var codes = OrtValue.From<long>(_reference.Codes, 1, _reference.Codes.Length);
        using var prompt = OrtValue.From<long>(_reference.PromptIds.AsSpan(_reference.PromptIds.Length - _config.QuestionTokens), 1, _config.QuestionTokens);
        using var logits = session.Run([("codes", codes), ("prompt_ids", prompt)], ["text_logits"])[0];

        AssertClose(_reference.TextLogits, logits.Elements<float>());
    }

    [Fact]
    public void Encode_SeveralTracesAtOnce_GivesTheCodesThatPyTorchRecorded()
    {
        const int Count = 2;
        using var session = Load("encoder.onnx");
        using var text = OrtValue.From<long>([.. Repeat(_reference.TextIds, Count)], Count, _reference.TextIds.Length);
        using var prompt = OrtValue.From<long>([.. Repeat(_reference.PromptIds, Count)], Count, _reference.PromptIds.Length);
        using var codes = session.Run([("text_ids", text), ("prompt_ids", prompt)], ["codes"])[0];

        Assert.Equal([Count, _reference.Encoded.Length], codes.Shape);
        Assert.Equal(Repeat(_reference.Encoded, Count), codes.Elements<long>().ToArray());
    }

    private static IEnumerable<T> Repeat<T>(T[] values, int count) => Enumerable.Repeat(values, count).SelectMany(copy => copy);

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> found)
    {
        Assert.Equal(expected.Length, found.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.InRange(Math.Abs(expected[i] - found[i]), 0, CodebookVerifier.Limit.Limit);
    }

    private OrtSession Load(string file)
    {
        using var options = new OrtSessionOptions(threads: 1);
        return new OrtSession(_folder[file], options);
    }
}
