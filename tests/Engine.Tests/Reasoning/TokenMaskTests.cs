using Tessera.Engine.Reasoning;

namespace Tessera.Engine.Tests.Reasoning;

public sealed class TokenMaskTests
{
    [Fact]
    public void Allows_EveryIdOfItsRanges_AndNoOther()
    {
        var mask = new TokenMask(new IdRange(63, 66), new IdRange(1, 2), new IdRange(200, 201));

        Assert.Equal([1, 63, 64, 65, 200], Enumerable.Range(-5, 400).Where(mask.Allows));
    }

    [Fact]
    public void Except_SomeIds_LeavesTheOthers()
    {
        var mask = new TokenMask(new IdRange(1, 2), new IdRange(60, 70));

        Assert.Equal([60, 61, 63, 64, 66, 67, 68], Enumerable.Range(0, 100).Where(mask.Except([69, 65, 62, 1, 65, 5, 99]).Allows));
        Assert.Equal([1, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69], Enumerable.Range(0, 100).Where(mask.Allows));
    }

    [Fact]
    public void Except_AllIds_IsTheMaskItself()
    {
        var mask = new TokenMask(new IdRange(1, 3));

        Assert.Same(mask, mask.Except([1, 2]));
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
