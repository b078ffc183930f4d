using System.Text.Json.Nodes;
using Tessera.Exporter.Tests.Support;
using Tessera.Exporter.Weights;
using Tessera.Testing;

namespace Tessera.Exporter.Tests.Weights;

public sealed class CheckpointWeightsTests : IDisposable
{
    private const string First = "model-00001-of-00002.safetensors";
    private const string Second = "model-00002-of-00002.safetensors";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_Shards_FindsEveryTensorInItsFile()
    {
        WriteShards();
        using var weights = CheckpointWeights.Open(_folder.FullPath);

        Assert.Equal([("a", First), ("b", Second), ("c", Second)], weights.Parts.Select(part => (part.Tensor.Name, part.File.Name)));
        Assert.Equal([1f, 2, 3, 4], weights.ReadFloats("a", 2, 2));
        Assert.Equal(["b", "c"], weights.Unused.Select(part => part.Tensor.Name));
    }

    [Fact]
    public void ReadRows_StackOverShards_GivesOneRowAfterTheOther()
    {
        WriteShards();
        using var weights = CheckpointWeights.Open(_folder.FullPath);
        var stack = new WeightMatrix(weights, 2, [("a", 2), ("b", 1), ("c", 2)]);

        var rows = new float[6];
        stack.ReadRows(1, rows);

        Assert.Equal([3f, 4, 5, 6, 7, 8], rows);
        Assert.Null(stack.PlaceIn(TensorElementType.F32));
        Assert.NotNull(new WeightMatrix(weights, 2, [("b", 1), ("c", 2)]).PlaceIn(TensorElementType.F32));
        Assert.Null(new WeightMatrix(weights, 2, [("c", 2), ("b", 1)]).PlaceIn(TensorElementType.F32));
    }

    [Theory]
    [InlineData("b", First, "tensors that model.safetensors.index.json places here", Second, "b")]
    [InlineData("d", Second, "a tensor, as model.safetensors.index.json says", Second, "d")]
    [InlineData("c", null, "tensors that model.safetensors.index.json places here", Second, "c")]
    public void Open_IndexThatLies_NamesFileAndTensor(string tensor, string? place, string expected, string file, string field)
    {
        WriteShards(map => Place(map, tensor, place));

        var error = Assert.Throws<ExportException>(() => CheckpointWeights.Open(_folder.FullPath));

        Assert.Equal((file, field), (error.File, error.Field));
        Assert.Contains(expected, error.Message);
    }

    [Theory]
    [InlineData("../model.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("a\\b")]
    [InlineData("..")]
    [InlineData("")]
    public void Open_IndexThatLeavesTheFolder_IsRefused(string place)
    {
        WriteShards(map => map["a"] = place);

        Assert.Equal("weight_map.a", Assert.Throws<ExportException>(() => CheckpointWeights.Open(_folder.FullPath)).Field);
    }

    [Fact]
    public void Open_MissingShard_NamesIt()
    {
        WriteShards();
        File.Delete(_folder[Second]);

        Assert.Equal(Second, Assert.Throws<ExportException>(() => CheckpointWeights.Open(_folder.FullPath)).File);
    }

    [Fact]
    public void Open_NeitherFileNorIndex_NamesTheFile() =>
        Assert.Equal(CheckpointWeights.FileName, Assert.Throws<ExportException>(() => CheckpointWeights.Open(_folder.FullPath)).File);

    [Fact]
    public void ReadRows_NaN_NamesTensorAndElement()
    {
        File.WriteAllBytes(_folder[CheckpointWeights.FileName], new SafeTensorsWriter().Add("w", [1, 2, 3, float.NaN, 5, 6], 3, 2).ToBytes());
        using var weights = CheckpointWeights.Open(_folder.FullPath);
        var matrix = new WeightMatrix(weights, "w", 3, 2);

        var error = Assert.Throws<ExportException>(() => matrix.ReadRows(1, new float[4]));

        Assert.Equal("model.safetensors: w: expected finite numbers, found NaN at element 3", error.Message);
    }

    private static void Place(JsonObject map, string tensor, string? place)
    {
        map.Remove(tensor);
        if (place is not null)
            map[tensor] = place;
    }

    private void WriteShards(Action<JsonObject>? change = null)
    {
        File.WriteAllBytes(_folder[First], new SafeTensorsWriter().Add("a", [1f, 2, 3, 4], 2, 2).ToBytes());
        File.WriteAllBytes(_folder[Second], new SafeTensorsWriter().Add("b", [5f, 6], 1, 2).Add("c", [7f, 8, 9, 10], 2, 2).ToBytes());
        var map = new JsonObject { ["a"] = First, ["b"] = Second, ["c"] = Second };
        change?.Invoke(map);
        File.WriteAllText(_folder[CheckpointWeights.IndexFileName], new JsonObject { ["weight_map"] = map }.ToJsonString());
    }
}
