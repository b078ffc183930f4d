using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>A started engine on a scripted runner, with its bookkeeping checked after every step.</summary>
internal sealed class EngineHarness : IAsyncDisposable
{
    private EngineHarness(InferenceEngine engine, ScriptedModelRunner runner)
    {
        Engine = engine;
        Runner = runner;
        engine.Faulted += (_, fault) =>
        {
            lock (Faults)
            {
                Faults.Add(fault.Exception);
            }
        };
    }

    public InferenceEngine Engine { get; }

    public ScriptedModelRunner Runner { get; }

    public List<Exception> Faults { get; } = [];

    public static Task<EngineHarness> StartAsync(EngineOptions? options = null, ICodebook? codebook = null, TimeProvider? time = null) =>
        StartAsync(new ScriptedModelRunner(TestModel.Package, TestModel.TwoSteps), options, codebook, time);

    public static Task<EngineHarness> StartForPromptsAsync(
        EngineOptions? options = null, ICodebook? codebook = null, TimeProvider? time = null, bool sharesPrefixes = false, bool sharesTime = false)
    {
        var runner = new ScriptedModelRunner(TestModel.Vocabulary.Size, TestModel.NextForPrompt) { CacheSlotCount = 4 };
        return StartAsync(runner, options, codebook, time, sharesPrefixes, sharesTime);
    }

    public static async Task<EngineHarness> StartAsync(
        ScriptedModelRunner runner,
        EngineOptions? options = null,
        ICodebook? codebook = null,
        TimeProvider? time = null,
        bool sharesPrefixes = false,
        bool sharesTime = false)
    {
        // Shared prefixes and the share of the prompts have tests of their own; elsewhere every prompt is run, and as soon as it can be.
        options = (options ?? new EngineOptions()) with { ChecksEveryStep = true };
        options = sharesPrefixes ? options : options with { PrefixCacheEntries = 0 };
        options = sharesTime ? options : options with { PrefillShare = 1 };
        var harness = new EngineHarness(new InferenceEngine(TestModel.Package, runner, codebook, options, time ?? TimeProvider.System), runner);
        Assert.Equal(EngineState.Ready, await harness.Engine.WaitUntilStartedAsync());
        return harness;
    }

    /// <summary>A valid request; the prompt has as many tokens as it has words of the tiny tokenizer.</summary>
    public GenerationRequest Request(GenerationInput input)
    {
        var isValid = GenerationRequest.TryCreate(input, TestModel.Package, Engine.Options, GenerationFieldNames.Rest, out var request, out var problems);
        Assert.True(isValid, string.Join("; ", problems));
        return request!;
    }

    public GenerationRequest Request(string mode = "auto", string prompt = " Tom", double? maxTokens = null) =>
        Request(new GenerationInput { Prompt = prompt, Mode = mode, MaxTokens = maxTokens });

    public Generation Submit(GenerationRequest request) => Assert.IsType<SubmitResult.Accepted>(Engine.Submit(request)).Generation;

    public Task<Response> RunAsync(GenerationInput input) => Response.ReadAsync(Submit(Request(input)));

    public Task<Response> RunAsync(string mode, double? latentBudget = null, double? thinkingBudget = null, double? maxTokens = null) =>
        RunAsync(new GenerationInput { Prompt = " Tom", Mode = mode, LatentBudget = latentBudget, ThinkingBudget = thinkingBudget, MaxTokens = maxTokens });

    /// <summary>Nothing is in use any more.</summary>
    public void AssertEmpty()
    {
        var status = Engine.GetStatus();
        Assert.Equal((0, 0, 0L, 0L), (status.RunningCount, status.WaitingCount, status.KvPositionsInUse, status.KvBytesInUse));
        Assert.Equal(0, Runner.StoredPositionCount);
    }

    public ValueTask DisposeAsync() => Engine.DisposeAsync();
}
