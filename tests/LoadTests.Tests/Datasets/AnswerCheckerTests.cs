using Tessera.LoadTests.Datasets;

namespace Tessera.LoadTests.Tests.Datasets;

public sealed class AnswerCheckerTests
{
    [Theory]
    [InlineData("True", "true", true)]
    [InlineData("True", " True.\n", true)]
    [InlineData("True", "False", false)]
    [InlineData("True", "True or False", false)]
    [InlineData("True", "", false)]
    [InlineData("Paris", "\"paris\".", true)]
    [InlineData("Paris", "It is Paris", false)]
    [InlineData("two  words", "Two words", true)]
    public void ExactRule_Text_MatchesNormalisedOnly(string expected, string answer, bool isCorrect) =>
        Assert.Equal(isCorrect, AnswerChecker.IsCorrect(AnswerRule.ExactOrFinalNumber, expected, answer));

    [Theory]
    [InlineData("72", "72", true)]
    [InlineData("72", "She sold 48 + 24 = 72 clips.", true)]
    [InlineData("72", "72 clips, that is 6 dozen", false)]
    [InlineData("1,000", "the total is $1000.00", true)]
    [InlineData("1000", "1,000.", true)]
    [InlineData("$18", "18 dollars", true)]
    [InlineData("-5", "minus: -5", true)]
    [InlineData("3", "10-3", true)]
    [InlineData("5", "-5", false)]
    [InlineData("0.5", ".5 is 0.50", true)]
    [InlineData("72", "none", false)]
    [InlineData("72", "720", false)]
    public void ExactRule_Number_MatchesTheLastNumber(string expected, string answer, bool isCorrect) =>
        Assert.Equal(isCorrect, AnswerChecker.IsCorrect(AnswerRule.ExactOrFinalNumber, expected, answer));

    [Theory]
    [InlineData("Tom is a lempus.", "Tom is a lempus.", true)]
    [InlineData("Tom is a lempus.", " tom is a  lempus", true)]
    [InlineData("Tom is a lempus.", "Every brimpus is a lempus. Tom is a lempus.", true)]
    [InlineData("Tom is a lempus.", "Tom is a lempus. Tom is a scrompus.", false)]
    [InlineData("Tom is a lempus.", "Tom is a scrompus.", false)]
    [InlineData("Tom is a lempus.", "Tom is a lempus or scrompus.", false)]
    [InlineData("Tom is a lempus.", "", false)]
    [InlineData("Tom is a lempus.", "...", false)]
    public void SentenceRule_LastSentence_Decides(string expected, string answer, bool isCorrect) =>
        Assert.Equal(isCorrect, AnswerChecker.IsCorrect(AnswerRule.FinalSentence, expected, answer));
}
