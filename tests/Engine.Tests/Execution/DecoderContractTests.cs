using Google.Protobuf;
using Tessera.Engine.Execution;
using Tessera.Engine.Runtime;
using Tessera.Models;
using Tessera.Protos.Onnx;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Execution;

public sealed class DecoderContractTests : IDisposable
{
    private static readonly Architecture Small = TinyDecoderWeights.Small();

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("f32", OrtElementType.F32, 4)]
    [InlineData("f16", OrtElementType.F16, 2)]
    [InlineData("bf16", OrtElementType.BF16, 2)]
    [InlineData("int8", OrtElementType.I8, 1)]
    public void KvType_OfAManifest_HasItsSize(string kv, OrtElementType type, int bytes) =>
        Assert.Equal((type, bytes), (DecoderContract.KvType(kv), OrtValue.SizeOf(DecoderContract.KvType(kv))));

    [Fact]
    public void Load_GraphOfTheManifest_IsTaken()
    {
        using var runner = Load(Small);

        Assert.Equal(96, runner.VocabularySize);
    }

    [Fact]
    public void Load_TotalLengthAsAVector_IsTakenAndRuns()
    {
        using var runner = Load(Small, change: model => Input(model, "total_sequence_length").Type.TensorType.Shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = 1 }));

        Assert.Equal(96, runner.Run(new StepPlan([], new SequenceSlice(0, new[] { 1, 2, 3 }, 0, 3, true))).Length);
    }

    [Fact]
    public void Load_OtherVocabulary_NamesLogitsAndBothWidths() => AssertRefused(
        Small with { VocabularySize = 97 }, "decoder.onnx: output 'logits': expected F32 [?, 97], found F32 [?, 96]");

    [Fact]
    public void Load_OtherHeads_NamesTheCacheAndBothShapes() => AssertRefused(
        Small with { KvHeadCount = 4 }, "decoder.onnx: input 'past_key_0': expected F32 [?, 4, 64, 16], found F32 [?, 2, 64, 16]");

    [Fact]
    public void Load_OtherPositions_NamesTheCacheAndBothShapes() => AssertRefused(
        Small with { MaxPositions = 32 }, "decoder.onnx: input 'past_key_0': expected F32 [?, 2, 32, 16], found F32 [?, 2, 64, 16]");

    [Fact]
    public void Load_MoreLayersInTheManifest_NamesTheMissingInput() => AssertRefused(
        Small with { LayerCount = 3 }, "decoder.onnx: input 'past_key_2': expected F32 [?, 2, 64, 16], found no such input");

    [Fact]
    public void Load_FewerLayersInTheManifest_NamesTheUnknownInput() => AssertRefused(
        Small with { LayerCount = 1 }, "decoder.onnx: input 'past_key_1': expected no such input, found F32 [?, 2, 64, 16]");

    [Fact]
    public void Load_NgramsOnlyInTheManifest_NamesTheMissingInput() => AssertRefused(
        Small with { NgramEmbeddings = 3 }, "decoder.onnx: input 'previous_ids': expected I64 [?, 3], found no such input");

    [Fact]
    public void Load_TotalLengthOfAnotherType_NamesBoth() => AssertRefused(
        Small, "decoder.onnx: input 'total_sequence_length': expected I32 scalar, found no such input",
        model => Input(model, "total_sequence_length").Name = Rename(model, "total_sequence_length", "total"));

    [Fact]
    public void Load_Garbage_NamesTheFile()
    {
        File.WriteAllText(_folder["decoder.onnx"], "no graph");

        var error = Assert.Throws<ModelPackageException>(() => new OnnxModelRunner(_folder["decoder.onnx"], Small, 0, new EngineOptions { MaxSlots = 1, Threads = 1 }));

        Assert.StartsWith("decoder.onnx: graph: expected a graph that ONNX Runtime loads, found ONNX Runtime: CreateSession failed", error.Message);
        Assert.IsType<OrtException>(error.InnerException);
    }

    [Fact]
    public void Run_RotaryTableTooShort_IsAnOrtExceptionOfTheAttention()
    {
        using var runner = Load(Small, change: model =>
        {
            foreach (var table in model.Graph.Initializer.Where(tensor => tensor.Name is "cos" or "sin"))
            {
                table.Dims[0] = 16;
                table.RawData = ByteString.CopyFrom(table.RawData.Span[..(16 * 8 * sizeof(float))]);
            }
        });
        var ids = new int[20];
        Assert.Equal(96, runner.Run(new StepPlan([], new SequenceSlice(0, ids, 0, 16, true))).Length);

        var error = Assert.Throws<OrtException>(() => runner.Run(new StepPlan([new SequenceSlice(0, ids, 16, 1, true)], null)).Length);

        Assert.Contains("GroupQueryAttention", error.Message);
    }

    private static ValueInfoProto Input(ModelProto model, string name) => model.Graph.Input.Single(input => input.Name == name);

    private static string Rename(ModelProto model, string from, string to)
    {
        foreach (var node in model.Graph.Node)
        {
            for (var i = 0; i < node.Input.Count; i++)
                node.Input[i] = node.Input[i] == from ? to : node.Input[i];
        }

        return to;
    }

    private void AssertRefused(Architecture manifest, string message, Action<ModelProto>? change = null)
    {
        var error = Assert.Throws<ModelPackageException>(() => Load(manifest, change));

        Assert.Equal(message, error.Message);
    }

    private OnnxModelRunner Load(Architecture manifest, Action<ModelProto>? change = null)
    {
        var model = TinyDecoderGraph.Describe(new TinyDecoderWeights(Small, seed: 1)).Build();
        change?.Invoke(model);
        File.WriteAllBytes(_folder["decoder.onnx"], model.ToByteArray());
        return new OnnxModelRunner(_folder["decoder.onnx"], manifest, padId: 0, new EngineOptions { MaxSlots = 2, Threads = 1 });
    }
}
