using Tessera.Engine.Reasoning;

namespace Tessera.Engine.Tests.Reasoning;

public sealed class TokenMaskTests
{
    [Fact]
    public void Apply_ToLogits_LeavesAllowedOnesAlone()
    {
        var mask = new TokenMask(new IdRange(4, 6), new IdRange(1, 2));
        float[] logits = [1, 2, 3, 4, 5, 6, 7];

        mask.Apply(logits);

        const float Not = float.NegativeInfinity;
        Assert.Equal([Not, 2, Not, Not, 5, 6, Not], logits);
    }

    [Fact]
    public void Single_WithOneId_IsThatId()
    {
        Assert.Equal(3, new TokenMask(new IdRange(3, 4)).Single);
        Assert.Null(new TokenMask(new IdRange(3, 5)).Single);
        Assert.Null(new TokenMask(new IdRange(3, 4), new IdRange(7, 8)).Single);
    }

    [Fact]
    public void Constructor_WithNothingAllowed_Throws() => Assert.Throws<ArgumentException>(() => new TokenMask(new IdRange(3, 3)));

    [Fact]
    public void Constructor_WithOverlap_Throws() => Assert.Throws<ArgumentException>(() => new TokenMask(new IdRange(3, 5), new IdRange(4, 6)));
}
