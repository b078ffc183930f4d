using Tessera.Engine.Reasoning;

namespace Tessera.Engine.Tests.Reasoning;

public sealed class StopMatcherTests
{
    [Fact]
    public void Append_TextThatMayBecomeAStop_IsHeldBack()
    {
        var matcher = new StopMatcher(["END"]);

        Assert.Equal("a", matcher.Append("aE"));
        Assert.Equal("", matcher.Append("N"));
        Assert.Equal("ENx", matcher.Append("x"));
        Assert.Equal("", matcher.Append("EN"));
        Assert.False(matcher.IsMatched);
        Assert.Equal("EN", matcher.Flush());
    }

    [Fact]
    public void Append_AfterAMatch_GivesNothing()
    {
        var matcher = new StopMatcher(["END"]);

        Assert.Equal("a", matcher.Append("aEN"));
        Assert.Equal("", matcher.Append("Dmore"));
        Assert.True(matcher.IsMatched);
        Assert.Equal("", matcher.Append("even more"));
        Assert.Equal("", matcher.Flush());
    }

    [Fact]
    public void Append_WithoutStops_GivesEverything() => Assert.Equal("text", new StopMatcher([]).Append("text"));

    [Theory]
    [InlineData("abx", "a", "abc", "bx")]
    [InlineData("xabcd", "xa", "abcd", "bc")]
    [InlineData("aaab", "a", "aab")]
    [InlineData("xyz", "xyz", "zz")]
    [InlineData("xbc", "x", "bc", "c")]
    public void Text_InAnyPieces_GivesTheSame(string text, string expected, params string[] stops)
    {
        // All ways to cut the text: bit i of the number is a cut after character i.
        for (var cuts = 0; cuts < 1 << (text.Length - 1); cuts++)
        {
            var matcher = new StopMatcher(stops);
            var visible = string.Concat(Pieces(text, cuts).Select(matcher.Append)) + matcher.Flush();
            Assert.Equal(expected, visible);
            Assert.Equal(expected != text, matcher.IsMatched);
        }
    }

    private static IEnumerable<string> Pieces(string text, int cuts)
    {
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if ((cuts & (1 << i)) != 0 || i == text.Length - 1)
            {
                yield return text[start..(i + 1)];
                start = i + 1;
            }
        }
    }
}
