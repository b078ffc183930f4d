using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Graphs.Formats;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Tests.Support;
using Tessera.Exporter.Verification;
using Tessera.Exporter.Weights;
using Tessera.Models;
using Tessera.Models.Packaging;
using Tessera.Protos.Onnx;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Exporter.Tests.Graphs;

public sealed class DecoderGraphTests : IDisposable
{
    private const int PadId = 0;

    private static readonly int[] Ids = [5, 17, 3, 88, 41, 2, 63, 9, 30, 75, 12];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(4, 2, 0, false)]
    [InlineData(4, 1, 2, false)]
    [InlineData(2, 2, 3, true)]
    [InlineData(3, 3, 0, true)]
    public void Write_AnyHeadsNgramsAndHead_ComputesWhatTheFormulasSay(int heads, int kvHeads, int ngrams, bool tiedHead)
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(ngrams) with { HeadCount = heads, KvHeadCount = kvHeads }, seed: 3);
        if (tiedHead)
            TinyCheckpoint.TieHead(weights);
        var graph = TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead);

        using var runner = new OnnxModelRunner(graph, weights.Architecture, PadId, new EngineOptions { MaxSlots = 2, Threads = 1 });

        Assert.InRange(Difference(weights, Ids.AsSpan(0, 8), runner.Run(new StepPlan([], new SequenceSlice(0, Ids, 0, 8, true)))), 0, 1e-4);
        Assert.InRange(Difference(weights, Ids.AsSpan(0, 9), runner.Run(new StepPlan([new SequenceSlice(0, Ids, 8, 1, true)], null))), 0, 1e-4);
    }

    [Fact]
    public void Write_PrefillWithoutLogits_RunsAndTheNextChunkAgrees()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(3), seed: 4);
        var graph = TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false);

        using var runner = new OnnxModelRunner(graph, weights.Architecture, PadId, new EngineOptions { MaxSlots = 2, Threads = 1 });

        Assert.Equal(0, runner.Run(new StepPlan([], new SequenceSlice(1, Ids, 0, 6, false))).Length);
        Assert.InRange(Difference(weights, Ids, runner.Run(new StepPlan([], new SequenceSlice(1, Ids, 6, Ids.Length - 6, true)))), 0, 1e-4);
    }

    [Fact]
    public void Write_Graph_DropsUnwantedRowsBeforeTheLastMlpAndTheHead()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(), seed: 5);
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false)));

        var order = model.Graph.Node.Select(node => node.Name).ToList();
        var gathers = model.Graph.Node.Where(node => node.OpType == "Gather" && node.Input[1] == "logits_rows").Select(node => order.IndexOf(node.Name)).ToList();
        Assert.Equal(2, gathers.Count);
        Assert.All(gathers, gather => Assert.InRange(gather, order.IndexOf("layers.1.attention"), order.IndexOf("layers.1.silu")));
        Assert.Equal("logits", order[^1]);
    }

    [Fact]
    public void Write_SinglePrecision_CopiesNothingBetweenProducts()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(3), seed: 5);
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false)));

        // The two that flatten rows and positions before the wanted ones are taken.
        Assert.Equal(
            ["layers.1.attention_input.residual.flat", "layers.1.attention.flat"],
            model.Graph.Node.Where(node => node.OpType is "Reshape" or "Transpose" or "Split" or "Shape").Select(node => node.Name));
    }

    [Fact]
    public void Write_TiedHead_StoresTheTableOnce()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(), seed: 6);
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: true)));

        Assert.Equal(2, model.Graph.Node.Count(node => node.Input.Contains("model.embed_tokens.weight")));
        Assert.DoesNotContain(model.Graph.Initializer, tensor => tensor.Name.StartsWith("lm_head", StringComparison.Ordinal));
    }

    [Fact]
    public void Write_LargeTensorsInSinglePrecision_StayInTheCheckpointsFile()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(vocabularySize: 1000), seed: 7);
        var graph = TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false);
        var external = External(graph);

        Assert.Equal(["lm_head.weight", "model.embed_tokens.weight"], external.Select(tensor => tensor.Name).Order());
        using var file = SafeTensorsFile.Open(_folder["model.safetensors"]);
        foreach (var tensor in external)
        {
            var entries = tensor.ExternalData.ToDictionary(entry => entry.Key, entry => entry.Value);
            Assert.Equal(("model.safetensors", "128000"), (entries["location"], entries["length"]));
            Assert.Equal(file.Tensors[tensor.Name].Offset, long.Parse(entries["offset"]));
        }

        Assert.False(File.Exists(graph + ".data"));
    }

    [Fact]
    public void Write_LargeQuantisedTensors_GoToTheDataFileOnPages()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(vocabularySize: 9000), seed: 7);
        var external = External(TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false, new DecoderPrecision("int4")));

        Assert.Equal(["lm_head.blocks", "lm_head.weight", "model.embed_tokens.weight"], external.Select(tensor => tensor.Name).Order());
        foreach (var tensor in external)
        {
            var entries = tensor.ExternalData.ToDictionary(entry => entry.Key, entry => entry.Value);
            Assert.Equal(("decoder.onnx.data", "144000"), (entries["location"], entries["length"]));
            Assert.Equal(0, long.Parse(entries["offset"]) % ExternalDataFile.Alignment);
        }
    }

    [Fact]
    public void Write_TiedHeadInBlocks_StoresTheBytesOnce()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(vocabularySize: 9000), seed: 8);
        TinyCheckpoint.TieHead(weights);
        var external = External(TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: true, new DecoderPrecision("int4")));

        Assert.Equal(["lm_head.blocks", "model.embed_tokens.weight"], external.Select(tensor => tensor.Name).Order());
        Assert.Single(external.Select(tensor => tensor.ExternalData.Single(entry => entry.Key == "offset").Value).Distinct());
        Assert.Equal(144_000, new FileInfo(_folder["decoder.onnx.data"]).Length);
    }

    /// <summary>Quantised weights of random numbers: what is wrong by more than rounding is far beyond these limits.</summary>
    [Theory]
    [InlineData("int8", "f32", 0, false, 0.04)]
    [InlineData("int8", "f32", 16, true, 0.04)]
    [InlineData("int4", "f32", 32, false, 0.35)]
    [InlineData("int4", "f32", 16, true, 0.35)]
    [InlineData("w8a8", "f32", 0, false, 0.06)]
    [InlineData("w8a8", "f32", 0, true, 0.06)]
    [InlineData("fp32", "f16", 0, true, 0.01)]
    [InlineData("w8a8", "f16", 0, false, 0.06)]
    public void Write_AnyPrecision_ComputesNearlyWhatTheFormulasSay(string precision, string kv, int block, bool tiedHead, double limit)
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(2), seed: 9);
        if (tiedHead)
            TinyCheckpoint.TieHead(weights);
        var graph = TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead, DecoderPrecision.Create(precision, kv, "cpu", block));

        using var runner = new OnnxModelRunner(graph, weights.Architecture, PadId, new EngineOptions { MaxSlots = 2, Threads = 1 }, kv);

        Assert.InRange(RelativeError(weights, Ids.AsSpan(0, 8), runner.Run(new StepPlan([], new SequenceSlice(0, Ids, 0, 8, true)))), 1e-7, limit);
        Assert.Equal(0, runner.Run(new StepPlan([], new SequenceSlice(1, Ids, 0, 8, false))).Length);
        var both = runner.Run(new StepPlan([new SequenceSlice(0, Ids, 8, 1, true), new SequenceSlice(1, Ids, 8, 1, true)], null));
        Assert.InRange(RelativeError(weights, Ids.AsSpan(0, 9), both[..weights.Architecture.VocabularySize]), 1e-7, limit);
        Assert.InRange(RelativeError(weights, Ids.AsSpan(0, 9), both[weights.Architecture.VocabularySize..]), 1e-7, limit);
    }

    /// <summary>Rows of a batch have nothing to do with each other, also where activations are rounded.</summary>
    [Theory]
    [InlineData("int8")]
    [InlineData("int4")]
    [InlineData("w8a8")]
    public void Write_Quantised_ARowDoesNotDependOnItsNeighbour(string precision)
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(), seed: 10);
        var graph = TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false, new DecoderPrecision(precision));
        int[] other = [90, 90, 90];

        using var runner = new OnnxModelRunner(graph, weights.Architecture, PadId, new EngineOptions { MaxSlots = 2, Threads = 1 });
        runner.Run(new StepPlan([], new SequenceSlice(0, Ids, 0, 2, false)));
        runner.Run(new StepPlan([], new SequenceSlice(1, Ids, 0, 2, false)));
        var same = runner.Run(new StepPlan([new SequenceSlice(0, Ids, 2, 1, true), new SequenceSlice(1, Ids, 2, 1, true)], null))[..96].ToArray();
        var different = runner.Run(new StepPlan([new SequenceSlice(0, Ids, 2, 1, true), new SequenceSlice(1, other, 2, 1, true)], null))[..96].ToArray();

        Assert.Equal(same, different);
    }

    [Theory]
    [InlineData("fp16", 10, "f16")]
    [InlineData("bf16", 16, "bf16")]
    [InlineData("int4", 10, "f16")]
    public void Write_Cuda_KeepsEveryNumberInHalfPrecisionAndLogitsInSingle(string precision, int type, string kv)
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(2), seed: 11);
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(
            TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false, DecoderPrecision.Create(precision, null, "cuda", 0))));

        GraphContract.CheckDecoder(model.Graph, weights.Architecture, kv);
        Assert.All(model.Graph.Initializer.Where(tensor => tensor.DataType is 1 or 10 or 16), tensor => Assert.Equal(type, tensor.DataType));
        Assert.Equal("Cast", model.Graph.Node[^1].OpType);
        Assert.DoesNotContain(model.Graph.Node, node => node.OpType == "Shape");
        Assert.All(
            model.Graph.Node.Where(node => node.OpType == "Reshape"),
            node => Assert.Contains(model.Graph.Initializer, tensor => tensor.Name == node.Input[1]));
        Assert.DoesNotContain(model.Graph.Node, node => node.Attribute.Any(attribute => attribute is { Name: "accuracy_level", I: not 0 }));
    }

    [Fact]
    public void Write_CudaHalf_ComputesNearlyWhatTheFormulasSayOnACpu()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(), seed: 12);
        var graph = TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false, DecoderPrecision.Create("fp16", null, "cuda", 0));

        using var runner = new OnnxModelRunner(graph, weights.Architecture, PadId, new EngineOptions { MaxSlots = 2, Threads = 1 }, "f16");

        Assert.InRange(RelativeError(weights, Ids.AsSpan(0, 8), runner.Run(new StepPlan([], new SequenceSlice(0, Ids, 0, 8, true)))), 1e-7, 0.01);
    }

    [Fact]
    public void Write_CudaWithBiases_AddsThemBesideProductsThatTakeNone()
    {
        using var graph = new Onnx.OnnxGraphBuilder(_folder["biases.onnx"], "biases");
        graph.Input("x", OnnxElementType.Float16, "B", "S", 32);
        graph.Output("y", OnnxElementType.Float16, "B", "S", 8);
        File.WriteAllBytes(_folder["model.safetensors"], new SafeTensorsWriter().Add("w", new float[8 * 32], 8, 32).ToBytes());
        using var weights = CheckpointWeights.Open(_folder.FullPath);
        var bias = graph.Stored("b", OnnxElementType.Float16, [8], stream => stream.Write(new byte[16]));

        foreach (var (name, precision) in new[] { ("block", "int4"), ("y", "fp16") })
            WeightFormat.Create(graph, DecoderPrecision.Create(precision, null, "cuda", 0)).Linear(name, "x", new WeightMatrix(weights, "w", 8, 32), bias);

        graph.Save();
        var nodes = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder["biases.onnx"])).Graph.Node;
        Assert.Equal(["MatMulNBits", "Add", "FusedMatMul", "Add"], nodes.Select(node => node.OpType));
        Assert.Equal([3, 2, 2, 2], nodes.Select(node => node.Input.Count));
    }

    [Theory]
    [InlineData("fp16", null, "cpu", 0, "--precision")]
    [InlineData("fp32", null, "cuda", 0, "--precision")]
    [InlineData("fp32", null, "tpu", 0, "--device")]
    [InlineData("fp32", "bf16", "cpu", 0, "--kv")]
    [InlineData("bf16", "f16", "cuda", 0, "--kv")]
    [InlineData("int4", null, "cpu", 33, "--block-size")]
    [InlineData("w8a8", null, "cpu", 32, "--block-size")]
    public void Create_NoSuchCombination_NamesTheOption(string weights, string? kv, string device, int block, string option) =>
        Assert.Equal(option, Assert.Throws<ExportException>(() => DecoderPrecision.Create(weights, kv, device, block)).Field);

    private static List<TensorProto> External(string graph) =>
        [.. ModelProto.Parser.ParseFrom(File.ReadAllBytes(graph)).Graph.Initializer.Where(tensor => tensor.DataLocation == TensorProto.Types.DataLocation.External)];

    private static double RelativeError(TinyDecoderWeights weights, ReadOnlySpan<int> ids, ReadOnlySpan<float> logits)
    {
        var meter = new DifferenceMeter();
        meter.Add(Array.ConvertAll(TinyDecoderReference.Logits(weights, ids, PadId), value => (float)value), logits);
        return meter.ToRow("", "", new Tolerance(1, IsRelative: true)).Difference;
    }

    private static double Difference(TinyDecoderWeights weights, ReadOnlySpan<int> ids, ReadOnlySpan<float> logits)
    {
        var expected = TinyDecoderReference.Logits(weights, ids, PadId);
        Assert.Equal(expected.Length, logits.Length);
        var most = 0.0;
        for (var i = 0; i < expected.Length; i++)
            most = Math.Max(most, Math.Abs(expected[i] - logits[i]));
        return most;
    }
}
