using Tessera.Engine.Execution;
using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Requests;
using Tessera.Engine.Tests.Execution.Devices;
using Tessera.Models;

namespace Tessera.Engine.Tests.Engine;

/// <summary>The shipped model on the real runtime: whatever a request meets, it gets the tokens that it gets alone.</summary>
public sealed class ShippedModelTests
{
    private static readonly Lazy<ModelPackage> LoadedPackage = new(() => ModelPackage.Load(Path.Combine(RepositoryFolder(), "Models", "packages", "tessera-logic")));

    private static readonly string[] Questions =
    [
        "Every shumpus is a rempus. Every shumpus is a yimpus. Every terpus is a fompus. Alex is a rempus. Tom is a terpus. Is Tom a fompus or yimpus?",
        "Every lempus is a wumpus. Every wumpus is a rorpus. Sally is a lempus. Is Sally a rorpus or gerpus?",
        "Max is a jelpus. Every jelpus is a zhorpus. Every zhorpus is a brimpus. Every brimpus is a scrompus. Max is a gwompus. Every rempus is a lorpus. "
        + "Every gwompus is a boompus. Every lorpus is a timpus. Is Max a scrompus or timpus?",
        "Rex is a sterpus. Every sterpus is a hilpus. Is Rex a hilpus or kerpus?",
    ];

    private static ModelPackage Package => LoadedPackage.Value;

    private static int EndThinkId => Package.Vocabulary.EndThinkId;

    // With a small share, long prompts get on at moments that only the clock knows: whether sequences then meet often enough to be preempted is left open.
    [Theory]
    [InlineData(1)]
    [InlineData(0.1)]
    public async Task Responses_BatchedCopiedAndPreempted_EqualThoseAlone(double prefillShare)
    {
        await using var alone = InferenceEngine.Start(Package, new EngineOptions { MaxSlots = 1, Threads = 1, PrefixCacheEntries = 0 }, TimeProvider.System);
        var options = new EngineOptions
        {
            MaxSlots = 6,
            Threads = 1,
            MaxKvPositions = 420,
            PrefillChunk = 96,
            PrefillShare = prefillShare,
            ChecksEveryStep = true,
        };
        await using var busy = InferenceEngine.Start(Package, options, TimeProvider.System);
        var inputs = Enumerable.Range(0, 20).Select(InputOf).ToList();

        var expected = new List<string>();
        foreach (var input in inputs)
        {
            expected.Add(Tokens(await RunAsync(alone, input)));
        }

        var requests = inputs.Select(input => RequestOf(busy, input)).ToList();
        var batched = await Task.WhenAll(requests.Select(request => RunAsync(busy, request)));
        var status = busy.GetStatus();

        Assert.Equal(expected, batched.Select(Tokens));
        Assert.True(expected.Distinct().Count() > 8, "the responses are too much alike to show anything");
        Assert.True(prefillShare < 1 || status is { PrefixCacheHitTokens: > 0, PreemptionCount: > 0 }, $"nothing was copied or nothing preempted: {status}");
        Assert.Equal((0, 0L), (status.RunningCount, status.KvPositionsInUse));
    }

    [Fact]
    public async Task Choices_OfShippedModel_EqualSingleResponses()
    {
        await using var engine = InferenceEngine.Start(Package, new EngineOptions { MaxSlots = 4, Threads = 1, PrefixCacheEntries = 0 }, TimeProvider.System);
        var input = InputOf(2) with { Temperature = 2, Seed = 7, Mode = "text" };
        var single = new List<IReadOnlyList<int>>();
        for (var choice = 0; choice < 4; choice++)
        {
            single.Add([.. (await RunAsync(engine, input with { Seed = 7 + choice })).OfType<ReasoningTextEvent>().SelectMany(item => item.TokenIds)]);
        }

        var events = await RunAsync(engine, input with { N = 4 });

        var together = Enumerable.Range(0, 4).Select(choice => events.OfType<ReasoningTextEvent>().Where(item => item.Choice == choice).SelectMany(item => item.TokenIds));
        Assert.Equal(single, together);
        Assert.True(single.Select(ids => string.Join(',', ids)).Distinct().Count() > 1);
    }

    [Fact]
    public void Hints_OfSpansThatAreReadTogether_EqualThoseAlone()
    {
        using var runner = OnnxModels.Load(Package, new EngineOptions { MaxSlots = 1, Threads = 1 }, out var codebook);
        using var owned = codebook!;
        var random = new Random(5);
        CodedSpan[] spans = [.. Enumerable.Range(0, 40).Select(i => new CodedSpan(
            [.. Enumerable.Range(0, 1 + (i % 9)).Select(_ => random.Next(Package.Manifest.Latents.Count))],
            Package.Tokenizer.Encode(Questions[i % Questions.Length])))];

        var hints = owned.DecodeSpans(spans);

        Assert.Equal(spans.Select(span => owned.Decode(span.Codes, span.PromptIds)), hints);
        Assert.True(hints.SelectMany(span => span).Select(hint => hint.Text).Distinct().Count() > 40, "the hints are too much alike to show anything");
    }

    [Fact]
    public async Task Responses_OnADeviceWithMemoryOfItsOwn_EqualThoseAloneInMainMemory()
    {
        await using var alone = InferenceEngine.Start(Package, new EngineOptions { MaxSlots = 1, Threads = 1, PrefixCacheEntries = 0 }, TimeProvider.System);
        var gpu = new FakeGpu { HeadSize = Package.Manifest.Architecture.HeadDim, Kv = DecoderContract.KvType(Package.Manifest.Precision.Kv) };
        await using var busy = StartOnDevice(gpu, new EngineOptions { MaxSlots = 6, MaxKvPositions = 420, PrefillChunk = 96, PrefillShare = 1, ChecksEveryStep = true });
        List<GenerationInput> inputs = [.. Enumerable.Range(0, 12).Select(InputOf), InputOf(3) with { N = 3, Temperature = 0 }];

        var expected = new List<string>();
        foreach (var input in inputs)
        {
            expected.Add(Tokens(await RunAsync(alone, input with { N = null })));
        }

        var requests = inputs.Select(input => RequestOf(busy, input)).ToList();
        var batched = await Task.WhenAll(requests.Select(request => RunAsync(busy, request)));
        var status = busy.GetStatus();

        Assert.Equal(expected[..^1], batched[..^1].Select(Tokens));
        for (var choice = 0; choice < 3; choice++)
        {
            Assert.Equal(Text(expected[^1]), Text(Tokens([.. batched[^1].Where(item => item.Choice == choice && item is not FinishedEvent)])));
        }

        Assert.True(status is { PrefixCacheHitTokens: > 0, PreemptionCount: > 0, DeviceBytes: > 0 }, $"nothing was copied or nothing preempted: {status}");
        Assert.Equal([1, 2, 4, 6], gpu.RunIds[..4]);
        Assert.Superset(new HashSet<int> { -1, 1, 2, 4, 6 }, gpu.RunIds[4..].ToHashSet());
        Assert.Single(gpu.RunThreads);

        // A greedy response three times over, without its end.
        static string Text(string tokens) => string.Join(' ', tokens.Split(' ').Where(token => token is ['z' or 'r' or 'a', ..]));
    }

    private static InferenceEngine StartOnDevice(FakeGpu gpu, EngineOptions options)
    {
        var architecture = Package.Manifest.Architecture;
        var device = new GpuDevice(gpu, new DecodeShapes(options.MaxSlots, architecture.MaxPositions, capturesGraphs: true));
        var runner = new OnnxModelRunner(Package.DecoderPath, architecture, Package.Vocabulary.PadId, options, Package.Manifest.Precision.Kv, device);
        return new InferenceEngine(Package, runner, codebook: null, options, TimeProvider.System);
    }

    private static GenerationInput InputOf(int i) => new()
    {
        Chat = [new ChatTurn("user", Questions[i % Questions.Length])],
        Mode = (i % 5) switch { 0 => "latent", 2 => "auto", _ => "text" },
        LatentBudget = i % 10 == 0 ? 2 : null,
        Temperature = i < 8 ? 0 : 2,
        TopP = i % 3 == 0 ? 0.9 : null,
        RepetitionPenalty = i % 5 == 0 ? 1.1 : null,

        // Some reason to their limit: they outgrow what admission kept free for them.
        LogitBias = i % 5 is 1 or 3 ? new Dictionary<int, double> { [EndThinkId] = -100 } : null,
        Seed = i,
        MaxTokens = 90,
        Explain = false,
    };

    private static Task<IReadOnlyList<GenerationEvent>> RunAsync(InferenceEngine engine, GenerationInput input) => RunAsync(engine, RequestOf(engine, input));

    private static GenerationRequest RequestOf(InferenceEngine engine, GenerationInput input)
    {
        var isValid = GenerationRequest.TryCreate(input, engine.Package, engine.Options, GenerationFieldNames.Rest, out var request, out var problems);
        Assert.True(isValid, string.Join("; ", problems));
        return request!;
    }

    private static async Task<IReadOnlyList<GenerationEvent>> RunAsync(InferenceEngine engine, GenerationRequest request)
    {
        var generation = Assert.IsType<SubmitResult.Accepted>(engine.Submit(request)).Generation;
        var events = new List<GenerationEvent>();
        while (events is not [.., FinishedEvent])
        {
            events.Add(await Response.NextAsync(generation.Events));
        }

        return events;
    }

    private static string Tokens(IReadOnlyList<GenerationEvent> events) => string.Concat(events.Select(item => item switch
    {
        LatentEvent latent => $"z{latent.Code} ",
        ReasoningTextEvent { TokenIds: [var id] } => $"r{id} ",
        AnswerTextEvent { TokenIds: [var id] } => $"a{id} ",
        FinishedEvent finished => $"{finished.Reason} {finished.Usage.CompletionTokens}",
        _ => "",
    }));

    private static string RepositoryFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Inference.sln")))
        {
            folder = folder.Parent ?? throw new DirectoryNotFoundException("Inference.sln is nowhere above the tests");
        }

        return folder.FullName;
    }
}
