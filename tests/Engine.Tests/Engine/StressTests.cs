using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class StressTests
{
    private const int RequestCount = 400;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Requests_UnderCancelsAndFailures_EachGetExactlyOneLastEvent(int seed)
    {
        var decodeCount = 0;
        var codebook = new ScriptedCodebook { BeforeDecode = _ => FailEvery(ref decodeCount, 5) };
        await using var harness = await EngineHarness.StartForPromptsAsync(
            new EngineOptions { MaxSlots = 6, MaxQueuedRequests = RequestCount, MaxKvPositions = 160, PrefillChunk = 3 }, codebook);
        var stepCount = 0;
        harness.Runner.BeforeRun = _ => FailEvery(ref stepCount, 37);

        var random = new Random(seed);
        var readers = new List<Task<Response>>();
        for (var i = 0; i < RequestCount; i++)
        {
            var generation = harness.Submit(harness.Request(RandomInput(random)));
            readers.Add(random.Next(4) == 0 ? ReadAndCancelAsync(generation, random.Next(6)) : Response.ReadAsync(generation));
        }

        var responses = await Task.WhenAll(readers);

        // Response.ReadAsync has checked: one last event, in the right place, with usage that adds up.
        Assert.Equal(RequestCount, responses.Length);
        Assert.Equal(EngineState.Ready, harness.Engine.GetStatus().State);
        Assert.Contains(responses, response => response.Finished.Reason == FinishReason.Stop);
        Assert.Contains(responses, response => response.Finished.Reason == FinishReason.Length);
        Assert.Contains(responses, response => response.Finished.Reason == FinishReason.Cancelled);
        Assert.Contains(responses, response => response.Finished.Reason == FinishReason.Error);
        Assert.All(harness.Faults, fault => Assert.Equal("planned", fault.Message));
        harness.AssertEmpty();
    }

    private static void FailEvery(ref int count, int period)
    {
        if (++count % period == 0)
        {
            throw new InvalidOperationException("planned");
        }
    }

    private static GenerationInput RandomInput(Random random)
    {
        var mode = new[] { "auto", "latent", "text", "none" }[random.Next(4)];
        return new GenerationInput
        {
            Prompt = string.Concat(Enumerable.Repeat(" Tom", random.Next(1, 12))),
            Mode = mode,
            LatentBudget = mode is "auto" or "latent" && random.Next(2) == 0 ? random.Next(4) : null,
            ThinkingBudget = mode != "none" && random.Next(3) == 0 ? random.Next(3, 9) : null,
            MaxTokens = random.Next(1, 30),
            Temperature = random.Next(2),
            Seed = random.Next(1000),
            Stop = random.Next(4) == 0 ? ["es n"] : null,
            Explain = random.Next(4) != 0,
        };
    }

    private static async Task<Response> ReadAndCancelAsync(Generation generation, int afterYields)
    {
        for (var i = 0; i < afterYields; i++)
        {
            await Task.Yield();
        }

        generation.Cancel();
        return await Response.ReadAsync(generation);
    }
}
