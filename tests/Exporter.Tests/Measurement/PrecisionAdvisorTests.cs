using Tessera.Exporter.Measurement;
using Tessera.Exporter.Tests.Support;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Exporter.Tests.Measurement;

public sealed class PrecisionAdvisorTests
{
    [Fact]
    public void Choose_NothingMuchFaster_StaysExact()
    {
        var advice = PrecisionAdvisor.Choose([new("fp32", 100, 100, 100, 0), new("int8", 114, 114, 114, 0), new("int4", 110, 110, 110, 0.1)]);

        Assert.Equal(("fp32", "nothing is more than 1.15 times as fast on this machine"), (advice.Choice, advice.Reason));
    }

    [Fact]
    public void Choose_RougherButBarelyFaster_TakesTheMoreExact()
    {
        var advice = PrecisionAdvisor.Choose([new("fp32", 100, 100, 100, 0), new("int8", 200, 200, 200, 0), new("int4", 220, 220, 220, 0.1)]);

        Assert.Equal(("int8", "2.0 times as fast as fp32 on this machine"), (advice.Choice, advice.Reason));
    }

    [Fact]
    public void Choose_FastButWrong_IsNotTaken()
    {
        var advice = PrecisionAdvisor.Choose([new("fp32", 100, 100, 100, 0), new("w8a8", 900, 900, 900, 0.9), new("int4", 200, 200, 200, 0.2)]);

        Assert.Equal("int4", advice.Choice);
    }

    [Fact]
    public void Advise_SmallModel_TakesExactWeightsUnmeasured()
    {
        using var fixture = new Fixture();

        var advice = PrecisionAdvisor.Advise(fixture.Checkpoint, static (_, _, _) => { }, CancellationToken.None);

        Assert.Equal(("fp32", 0), (advice.Choice, advice.Speeds.Count));
    }

    [Fact]
    public void Advise_LargerModel_MeasuresEveryPrecisionAndLeavesNothing()
    {
        using var folder = new TemporaryFolder();
        var weights = new TinyDecoderWeights(TinyDecoderWeights.Small(vocabularySize: 80_000), seed: 1);
        TinyCheckpoint.WriteDecoder(folder.FullPath, weights, tiedHead: false);
        TinyCheckpoint.WriteConfig(folder.FullPath, weights);

        var advice = PrecisionAdvisor.Advise(folder.FullPath, static (_, _, _) => { }, CancellationToken.None);

        Assert.Equal(["fp32", "int8", "w8a8", "int4"], advice.Speeds.Select(speed => speed.Weights));
        Assert.Contains(advice.Choice, advice.Speeds.Select(speed => speed.Weights));
        Assert.All(advice.Speeds, speed => Assert.True(speed is { Decode: > 0, BatchDecode: > 0, Prefill: > 0 }));
        Assert.Equal(0, advice.Speeds[0].Error);
        Assert.All(advice.Speeds.Skip(1), speed => Assert.InRange(speed.Error, 1e-7, 0.5));
    }
}
