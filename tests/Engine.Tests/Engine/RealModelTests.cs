using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Engine.Tests.Caching;
using Tessera.Models;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Engine;

/// <summary>The engine on real graphs in ONNX Runtime.</summary>
public sealed class RealModelTests
{
    [Fact]
    public async Task Engine_StartedOnAPackage_SaysWhatItsGraphsSay()
    {
        using var folder = new TemporaryFolder();
        var package = new PackageBuilder().Load(folder.FullPath);
        await using var engine = InferenceEngine.Start(package, new EngineOptions { MaxSlots = 2, Threads = 1 }, TimeProvider.System);
        Assert.Equal(EngineState.Ready, await engine.WaitUntilStartedAsync());

        var response = await RunAsync(engine, new GenerationInput { Prompt = " Tom" });

        Assert.Equal([0, 1], response.Codes);
        Assert.Equal("Every wumpus.", response.Reasoning);
        Assert.Equal("True", response.Answer);
        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.Equal(["Tom is a lempus.", "Every wumpus is a lempus."], response.Hints.Select(hint => hint.Hint));
        Assert.Equal(10, response.Finished.Savings.TextEquivalentTokens);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task Decoder_WithAttention_SaysTheSameAloneAndBatched(int ngramEmbeddings)
    {
        using var folder = new TemporaryFolder();
        var architecture = TinyDecoderArchitecture(ngramEmbeddings);
        TinyDecoderGraph.Save(folder["decoder.onnx"], architecture);
        var options = new EngineOptions { MaxSlots = 4, PrefillChunk = 3, Threads = 1, ChecksEveryStep = true };
        var runner = new OnnxModelRunner(folder["decoder.onnx"], architecture, TestModel.Vocabulary.PadId, options);
        await using var engine = new InferenceEngine(TestModel.Package, runner, null, options, TimeProvider.System);
        var inputs = Enumerable.Range(1, 8).Select(InputOf).ToList();

        var alone = new List<string>();
        foreach (var input in inputs)
        {
            alone.Add((await RunAsync(engine, input)).Fingerprint);
        }

        var batched = await Task.WhenAll(inputs.Select(input => RunAsync(engine, input)));

        Assert.Equal(alone, batched.Select(response => response.Fingerprint));
        Assert.True(alone.Distinct().Count() > 4, "the responses are too much alike to show anything");
        Assert.Equal(0, engine.GetStatus().KvPositionsInUse);
    }

    [Fact]
    public async Task Memory_AfterABurst_GoesBack()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "memory is given back on Linux only");
        using var folder = new TemporaryFolder();
        var architecture = TinyDecoderArchitecture(0);
        TinyDecoderGraph.Save(folder["decoder.onnx"], architecture);
        var options = new EngineOptions { MaxSlots = 8, Threads = 1, PrefixCacheEntries = 0, SpareKvMiB = 0, ChecksEveryStep = true };
        var runner = new OnnxModelRunner(folder["decoder.onnx"], architecture, TestModel.Vocabulary.PadId, options);
        await using var engine = new InferenceEngine(TestModel.Package, runner, null, options, TimeProvider.System);
        await engine.WaitUntilStartedAsync();

        var inputs = Enumerable.Range(0, 12).Select(i => InputOf(i + 1) with { Prompt = string.Concat(Enumerable.Repeat(" Tom", 150)), MaxTokens = 100 });
        await Task.WhenAll(inputs.Select(input => RunAsync(engine, input)));

        var status = engine.GetStatus();
        Assert.True(status.KvBytesPeak > 300 * runner.KvBytesPerPosition, $"the burst was none: {status}");
        Assert.Equal(0, status.KvBytesResident);

        // Slots of this small shape share pages with their neighbours, which stay until both are free in one call: one page per border at most.
        Assert.InRange(KvCacheTests.ResidentKiB(runner.Cache), 0, 4 * 9);
    }

    private static Architecture TinyDecoderArchitecture(int ngramEmbeddings) =>
        TinyDecoderWeights.Small(ngramEmbeddings, maxPositions: 256, vocabularySize: TestModel.Vocabulary.Size);

    private static GenerationInput InputOf(int i) => new()
    {
        Prompt = string.Concat(Enumerable.Repeat(i % 2 == 0 ? " Tom" : " Every", i)),
        Mode = i % 3 == 0 ? "latent" : "text",
        LatentBudget = i % 3 == 0 ? i : null,
        ThinkingBudget = 12,
        MaxTokens = 24 + i,
        Temperature = i % 2,
        Seed = i,
    };

    private static Task<Response> RunAsync(InferenceEngine engine, GenerationInput input)
    {
        var isValid = GenerationRequest.TryCreate(input, engine.Package, engine.Options, GenerationFieldNames.Rest, out var request, out var problems);
        Assert.True(isValid, string.Join("; ", problems));
        return Response.ReadAsync(Assert.IsType<SubmitResult.Accepted>(engine.Submit(request!)).Generation);
    }
}
