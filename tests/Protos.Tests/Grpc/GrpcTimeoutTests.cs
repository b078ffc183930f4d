using Tessera.Protos.Grpc;

namespace Tessera.Protos.Tests.Grpc;

public sealed class GrpcTimeoutTests
{
    [Theory]
    [InlineData("0n", 0L)]
    [InlineData("1n", 1L)]
    [InlineData("150n", 2L)]
    [InlineData("7u", 70L)]
    [InlineData("250m", 2_500_000L)]
    [InlineData("3S", 30_000_000L)]
    [InlineData("2M", 1_200_000_000L)]
    [InlineData("1H", 36_000_000_000L)]
    [InlineData("99999999m", 999_999_990_000L)]
    public void TryParse_EveryUnit_GivesTicks(string value, long ticks)
    {
        Assert.True(GrpcTimeout.TryParse(value, out var timeout));
        Assert.Equal(ticks, timeout.Ticks);
    }

    [Fact]
    public void TryParse_LongestOfTheWire_IsCutToTheLongestTimer()
    {
        Assert.True(GrpcTimeout.TryParse("99999999H", out var timeout));
        Assert.Equal(GrpcTimeout.Longest, timeout);
    }

    [Theory]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("5")]
    [InlineData("5s")]
    [InlineData("-5S")]
    [InlineData("+5S")]
    [InlineData(" 5S")]
    [InlineData("5 S")]
    [InlineData("5.0S")]
    [InlineData("123456789S")]
    public void TryParse_NotToTheSpecification_IsRefused(string value) => Assert.False(GrpcTimeout.TryParse(value, out _));

    [Theory]
    [InlineData(-1L, "0n")]
    [InlineData(0L, "0n")]
    [InlineData(1L, "100n")]
    [InlineData(999_999L, "99999900n")]
    [InlineData(1_000_000L, "100000u")]
    [InlineData(1_000_000_001L, "100001m")]
    [InlineData(36_000_000_000L * 24, "86400000m")]
    [InlineData(36_000_000_000L * 24 * 30, "2592000S")]
    [InlineData(36_000_000_000L * 24 * 3650, "5256000M")]
    [InlineData(36_000_000_000L * 24 * 365_000, "8760000H")]
    [InlineData(long.MaxValue, "99999999H")]
    public void Format_Ticks_UsesTheFinestUnitOfEightDigits(long ticks, string value) =>
        Assert.Equal(value, GrpcTimeout.Format(TimeSpan.FromTicks(ticks)));
}
