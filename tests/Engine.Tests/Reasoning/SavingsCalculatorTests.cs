using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;

namespace Tessera.Engine.Tests.Reasoning;

public sealed class SavingsCalculatorTests
{
    private static readonly SavingsCalculator Calculator = new(textTokensPerLatent: 8.5, kvBytesPerPosition: 1000);
    private static readonly TimeSpan InterToken = TimeSpan.FromMilliseconds(20);

    [Fact]
    public void Estimate_WithoutHints_UsesTokensPerLatent()
    {
        var savings = Calculator.Estimate(new Usage(10, 0, 4, 3, 5, 8), latentDelimiterCount: 2, hintTokenCount: null, InterToken);

        Assert.Equal(new Savings(4, 34, 28, 28.0 / 48, 28, 28_000, 0.56, SavingsBasis.Estimated), savings with { SecondsSaved = Math.Round(savings.SecondsSaved, 9) });
    }

    [Fact]
    public void Estimate_WithAllHints_UsesTheirTokens()
    {
        var savings = Calculator.Estimate(new Usage(10, 0, 4, 3, 5, 8), latentDelimiterCount: 2, hintTokenCount: 20, InterToken);

        Assert.Equal((20.0, 14.0, 14.0 / 34), (savings.TextEquivalentTokens, savings.TokensSaved, savings.FractionSaved));
    }

    [Fact]
    public void Estimate_OfHintsShorterThanTheLatents_IsNegative()
    {
        var savings = Calculator.Estimate(new Usage(10, 0, 4, 3, 0, 3), latentDelimiterCount: 2, hintTokenCount: 4, InterToken);

        Assert.Equal((-2.0, -2.0 / 8), (savings.TokensSaved, savings.FractionSaved));
    }

    [Fact]
    public void Estimate_WithoutLatents_IsZero() =>
        Assert.Equal(new Savings(0, 0, 0, 0, 0, 0, 0, SavingsBasis.Estimated), Calculator.Estimate(new Usage(10, 0, 0, 1, 5, 8), 0, 0, InterToken));

    [Fact]
    public void Estimate_OfNothingLeftInTheBaseline_HasNoFraction()
    {
        var savings = Calculator.Estimate(new Usage(10, 0, 1, 1, 0, 0), latentDelimiterCount: 1, hintTokenCount: 0, InterToken);

        Assert.Equal((-2.0, 0.0), (savings.TokensSaved, savings.FractionSaved));
    }
}
