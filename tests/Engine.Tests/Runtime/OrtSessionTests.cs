using Tessera.Engine.Runtime;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Runtime;

public sealed class OrtSessionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly OrtSessionOptions _options = new(threads: 1);

    public void Dispose()
    {
        _options.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Specs_OfAGraph_GiveNamesTypesAndShapes()
    {
        using var session = LoadLookup();

        Assert.Equal(["table", "rows"], session.Inputs.Select(input => input.Name));
        Assert.Equal("F32 [?, 2]", session.Inputs[0].Describe());
        Assert.Equal("I64 [?]", session.Inputs[1].Describe());
        Assert.Equal("sum", Assert.Single(session.Outputs).Name);
        Assert.Equal("F32 [?, 2]", session.Outputs[0].Describe());
    }

    [Fact]
    public void Run_GatherAndAdd_GivesExactElements()
    {
        using var session = LoadLookup();
        using var table = OrtValue.From<float>([1, 2, 3, 4, 5, 6], 3, 2);
        using var rows = OrtValue.From<long>([2, 0], 2);

        using var sum = session.Run([("table", table), ("rows", rows)], ["sum"])[0];

        Assert.Equal([2L, 2L], sum.Shape);
        Assert.Equal([15f, 26f, 11f, 22f], sum.Elements<float>().ToArray());
    }

    [Fact]
    public void Run_Bound_WritesIntoTheCallersMemoryAndSeesNewInputs()
    {
        using var session = LoadLookup();
        using var table = OrtValue.From<float>([1, 2, 3, 4, 5, 6], 3, 2);
        using var rows = OrtValue.From<long>([1], 1);
        using var sum = OrtValue.From<float>([0, 0], 1, 2);
        using var binding = new OrtIoBinding(session);
        using var options = new OrtRunOptions();
        binding.BindInput("table", table);
        binding.BindInput("rows", rows);
        binding.BindOutput("sum", sum);

        session.Run(binding, options);
        Assert.Equal([13f, 24f], sum.Elements<float>().ToArray());
        rows.Elements<long>()[0] = 2;
        session.Run(binding, options);
        Assert.Equal([15f, 26f], sum.Elements<float>().ToArray());
    }

    [Fact]
    public void FromMemory_OffsetIntoABuffer_IsReadFromThere()
    {
        using var session = LoadLookup();
        using var buffer = OrtValue.From<float>([9, 9, 1, 2, 3, 4], 3, 2);
        using var table = OrtValue.FromMemory(buffer.Data + (2 * sizeof(float)), [2, 2], OrtElementType.F32);
        using var rows = OrtValue.From<long>([0], 1);

        using var sum = session.Run([("table", table), ("rows", rows)], ["sum"])[0];

        Assert.Equal([11f, 22f], sum.Elements<float>().ToArray());
    }

    [Fact]
    public void Run_IndexOutOfRange_GivesCodeMessageAndCall()
    {
        using var session = LoadLookup();
        using var table = OrtValue.From<float>([1, 2], 1, 2);
        using var rows = OrtValue.From<long>([5], 1);

        var error = Assert.Throws<OrtException>(() => session.Run([("table", table), ("rows", rows)], ["sum"]));

        Assert.Equal("Run", error.ApiCall);
        Assert.Equal(OrtErrorCode.InvalidArgument, error.Code);
        Assert.Contains("out of data bounds", error.Message);
    }

    [Fact]
    public void Run_AfterAFailedRun_Works()
    {
        using var session = LoadLookup();
        using var table = OrtValue.From<float>([1, 2], 1, 2);
        using var wrong = OrtValue.From<long>([5], 1);
        using var right = OrtValue.From<long>([0], 1);
        Assert.Throws<OrtException>(() => session.Run([("table", table), ("rows", wrong)], ["sum"]));

        using var sum = session.Run([("table", table), ("rows", right)], ["sum"])[0];

        Assert.Equal([11f, 22f], sum.Elements<float>().ToArray());
    }

    [Fact]
    public void Run_WrongElementType_IsAnOrtException()
    {
        using var session = LoadLookup();
        using var table = OrtValue.From<float>([1, 2], 1, 2);
        using var rows = OrtValue.From<float>([0], 1);

        var error = Assert.Throws<OrtException>(() => session.Run([("table", table), ("rows", rows)], ["sum"]));

        Assert.Equal(OrtErrorCode.InvalidArgument, error.Code);
    }

    [Fact]
    public void Run_MissingInput_IsAnOrtException()
    {
        using var session = LoadLookup();
        using var table = OrtValue.From<float>([1, 2], 1, 2);

        Assert.Throws<OrtException>(() => session.Run([("table", table)], ["sum"]));
    }

    [Fact]
    public void Run_Terminated_FailsUntilResumed()
    {
        using var session = LoadLookup();
        using var options = new OrtRunOptions();
        using var table = OrtValue.From<float>([1, 2], 1, 2);
        using var rows = OrtValue.From<long>([0], 1);
        (string, OrtValue)[] inputs = [("table", table), ("rows", rows)];
        options.Terminate();

        var error = Assert.Throws<OrtException>(() => session.Run(inputs, ["sum"], options));
        Assert.Contains("terminate", error.Message);
        options.Resume();
        using var sum = session.Run(inputs, ["sum"], options)[0];
        Assert.Equal([11f, 22f], sum.Elements<float>().ToArray());
    }

    [Fact]
    public void Bind_UnknownName_IsAnOrtException()
    {
        using var session = LoadLookup();
        using var binding = new OrtIoBinding(session);
        using var rows = OrtValue.From<long>([0], 1);

        Assert.Throws<OrtException>(() => binding.BindInput("no_such_input", rows));
    }

    [Fact]
    public void Run_BoundOutputOfAnotherShape_IsAnOrtException()
    {
        using var session = LoadLookup();
        using var table = OrtValue.From<float>([1, 2], 1, 2);
        using var rows = OrtValue.From<long>([0], 1);
        using var sum = OrtValue.From<float>([0, 0, 0, 0], 2, 2);
        using var binding = new OrtIoBinding(session);
        using var options = new OrtRunOptions();
        binding.BindInput("table", table);
        binding.BindInput("rows", rows);
        binding.BindOutput("sum", sum);

        Assert.Throws<OrtException>(() => session.Run(binding, options));
    }

    [Fact]
    public void Load_MissingFile_IsAnOrtException()
    {
        var error = Assert.Throws<OrtException>(() => new OrtSession(_folder["none.onnx"], _options));

        Assert.Equal(OrtErrorCode.NoSuchFile, error.Code);
        Assert.Equal("CreateSession", error.ApiCall);
    }

    [Fact]
    public void Load_Garbage_IsAnOrtException()
    {
        File.WriteAllText(_folder["garbage.onnx"], "this is no graph");

        Assert.Throws<OrtException>(() => new OrtSession(_folder["garbage.onnx"], _options));
    }

    [Fact]
    public void Load_PathWithUnicode_Works()
    {
        using var session = new OrtSession(Lookup().Save(_folder["größe 模型.onnx"]), _options);

        Assert.Equal(2, session.Inputs.Count);
    }

    [Fact]
    public void AddConfigEntry_EmptyKey_IsAnOrtException()
    {
        var error = Assert.Throws<OrtException>(() => _options.AddConfigEntry("", "1"));

        Assert.Equal("AddSessionConfigEntry", error.ApiCall);
    }

    [Fact]
    public void Run_Disposed_IsRefused()
    {
        var session = LoadLookup();
        session.Dispose();
        using var rows = OrtValue.From<long>([0], 1);

        Assert.Throws<ObjectDisposedException>(() => session.Run([("rows", rows)], ["sum"]));
    }

    [Fact]
    public async Task Run_FromSeveralThreads_GivesEachItsOwnResult()
    {
        using var session = LoadLookup();

        var sums = await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(() =>
        {
            var results = new List<float>();
            for (var i = 0; i < 50; i++)
            {
                using var table = OrtValue.From<float>([worker, i], 1, 2);
                using var rows = OrtValue.From<long>([0], 1);
                using var sum = session.Run([("table", table), ("rows", rows)], ["sum"])[0];
                results.AddRange(sum.Elements<float>());
            }

            return results;
        })));

        for (var worker = 0; worker < sums.Length; worker++)
            Assert.Equal(Enumerable.Range(0, 50).SelectMany(i => new[] { worker + 10f, i + 20f }), sums[worker]);
    }

    [Fact]
    public void Elements_OfAnotherType_NamesBoth()
    {
        using var rows = OrtValue.From<long>([0], 1);

        var error = Assert.Throws<InvalidOperationException>(() => rows.Elements<float>().Length);

        Assert.Equal("expected a tensor of F32, found I64", error.Message);
    }

    [Fact]
    public void From_ElementsThatDoNotFillTheShape_NamesBothCounts()
    {
        var error = Assert.Throws<ArgumentException>(() => OrtValue.From<long>([1, 2, 3], 2, 2));

        Assert.StartsWith("expected 4 elements for the shape, found 3", error.Message);
    }

    private static OnnxGraphBuilder Lookup() => new OnnxGraphBuilder()
        .Input("table", OnnxGraphBuilder.F32, "N", 2)
        .Input("rows", OnnxGraphBuilder.I64, "R")
        .Output("sum", OnnxGraphBuilder.F32, "R", 2)
        .Constant("offset", [10f, 20f], 2)
        .Node("Gather", ["table", "rows"], ["picked"])
        .Node("Add", ["picked", "offset"], ["sum"]);

    private OrtSession LoadLookup() => new(Lookup().Save(_folder["lookup.onnx"]), _options);
}
