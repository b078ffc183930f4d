using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Tests.Support;
using Tessera.Models;
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
        Assert.All(gathers, gather => Assert.InRange(gather, order.IndexOf("layers.1.attention"), order.IndexOf("layers.1.gate_proj")));
        Assert.Equal("logits", order[^1]);
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
    public void Write_LargeTensors_GoToTheDataFileOnPages()
    {
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(vocabularySize: 1000), seed: 7);
        var graph = TinyCheckpoint.WriteDecoder(_folder.FullPath, weights, tiedHead: false);
        var external = ModelProto.Parser.ParseFrom(File.ReadAllBytes(graph)).Graph.Initializer
            .Where(tensor => tensor.DataLocation == TensorProto.Types.DataLocation.External).ToList();

        Assert.Equal(["lm_head.weight", "model.embed_tokens.weight"], external.Select(tensor => tensor.Name).Order());
        foreach (var tensor in external)
        {
            var entries = tensor.ExternalData.ToDictionary(entry => entry.Key, entry => entry.Value);
            Assert.Equal("decoder.onnx.data", entries["location"]);
            Assert.Equal(0, long.Parse(entries["offset"]) % ExternalDataFile.Alignment);
            Assert.Equal("128000", entries["length"]);
        }
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
