using Tessera.Engine.Requests;

namespace Tessera.Engine.Tests.Engine;

public sealed class LogprobTests
{
    [Theory]
    [InlineData(0, 0.0)]
    [InlineData(3, 1.0)]
    public async Task Logprobs_WhenAskedFor_ComeWithEachId(int top, double temperature)
    {
        await using var harness = await EngineHarness.StartAsync();

        var plain = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "latent", Temperature = temperature, Seed = 4 });
        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "latent", Temperature = temperature, Seed = 4, Logprobs = top });

        Assert.Equal(plain.Fingerprint, response.Fingerprint);
        var latents = response.Events.OfType<LatentEvent>().Select(item => (TestModel.Vocabulary.IdOf(item.Code), item.Logprobs));
        var texts = response.Events.OfType<ReasoningTextEvent>().Where(item => item.TokenIds.Count > 0).Select(item => (item.TokenIds[0], item.Logprobs));
        var answers = response.Events.OfType<AnswerTextEvent>().Where(item => item.TokenIds.Count > 0).Select(item => (item.TokenIds[0], item.Logprobs));
        Assert.All(latents.Concat(texts).Concat(answers), item =>
        {
            var logprob = Assert.Single(item.Item2!);
            Assert.Equal(item.Item1, logprob.Id);
            Assert.InRange(logprob.Logprob, -12, 0);
            Assert.Equal(top, logprob.Top.Count);
            Assert.Equal(logprob.Top.OrderByDescending(entry => entry.Logprob), logprob.Top);
        });
    }

    [Fact]
    public async Task Logprobs_WhenNotAskedFor_AreNotMade()
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync("latent");

        Assert.All(response.Events.OfType<LatentEvent>(), item => Assert.Null(item.Logprobs));
        Assert.All(response.Events.OfType<AnswerTextEvent>(), item => Assert.Null(item.Logprobs));
    }
}
