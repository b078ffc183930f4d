using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using static Tessera.Engine.Tests.Reasoning.TestVocabulary;

namespace Tessera.Engine.Tests.Reasoning;

public sealed class TraceGrammarTests
{
    private static readonly int[] TextIds = [2, 3, 4, 5, 6, 7, 8, 9];
    private static readonly int[] LatentIds = [14, 15, 16, 17];

    [Theory]
    [InlineData(ReasoningMode.Auto, null, null, new[] { 2, 3, 4, 5, 6, 7, 8, 9, EndThink, Bo })]
    [InlineData(ReasoningMode.Auto, 0, null, new[] { 2, 3, 4, 5, 6, 7, 8, 9, EndThink })]
    [InlineData(ReasoningMode.Auto, null, 0, new[] { EndThink })]
    [InlineData(ReasoningMode.Auto, null, 2, new[] { 2, 3, 4, 5, 6, 7, 8, 9, EndThink })]
    [InlineData(ReasoningMode.Auto, null, 3, new[] { 2, 3, 4, 5, 6, 7, 8, 9, EndThink, Bo })]
    [InlineData(ReasoningMode.Latent, null, null, new[] { Bo })]
    [InlineData(ReasoningMode.Latent, 0, null, new[] { 2, 3, 4, 5, 6, 7, 8, 9 })]
    [InlineData(ReasoningMode.Text, null, null, new[] { 2, 3, 4, 5, 6, 7, 8, 9 })]
    [InlineData(ReasoningMode.None, null, null, new[] { EndThink })]
    public void Allowed_AfterThink_FollowsModeAndBudgets(ReasoningMode mode, int? latentBudget, int? thinkingBudget, int[] expected) =>
        Assert.Equal(expected, Allowed(Grammar(mode, latentBudget, thinkingBudget).Allowed));

    [Fact]
    public void Allowed_InSpan_IsLatentsAndEndAfterTheFirst()
    {
        var grammar = After(Grammar(ReasoningMode.Auto), Bo);
        Assert.Equal(LatentIds, Allowed(grammar.Allowed));

        grammar.Advance(Latent);
        Assert.Equal([Eo, .. LatentIds], Allowed(grammar.Allowed));
    }

    [Fact]
    public void Allowed_AtLatentBudget_IsTheEndOfTheSpan()
    {
        var grammar = After(Grammar(ReasoningMode.Latent, latentBudget: 2), Bo, Latent);
        Assert.Equal([Eo, .. LatentIds], Allowed(grammar.Allowed));

        grammar.Advance(Latent);
        Assert.Equal([Eo], Allowed(grammar.Allowed));
    }

    [Fact]
    public void Allowed_AfterSpan_IsTextOrEndOfThinking() =>
        Assert.Equal([.. TextIds, EndThink], Allowed(After(Grammar(ReasoningMode.Latent), Bo, Latent, Eo).Allowed));

    [Fact]
    public void Allowed_InText_HasNoLatentSpan() =>
        Assert.Equal([.. TextIds, EndThink], Allowed(After(Grammar(ReasoningMode.Auto), Text).Allowed));

    [Fact]
    public void Allowed_InTextModeAfterSomeText_HasEndOfThinking() =>
        Assert.Equal([.. TextIds, EndThink], Allowed(After(Grammar(ReasoningMode.Text), Text).Allowed));

    [Fact]
    public void Allowed_InAnswer_IsTextOrEos() =>
        Assert.Equal([Eos, .. TextIds], Allowed(After(Grammar(ReasoningMode.None), EndThink).Allowed));

    [Fact]
    public void ThinkingBudget_InSpan_ForcesEndOfSpanThenEndOfThinking()
    {
        var grammar = After(Grammar(ReasoningMode.Latent, thinkingBudget: 4), Bo, Latent, Latent);
        Assert.Equal([Eo], Allowed(grammar.Allowed));

        grammar.Advance(Eo);
        Assert.Equal([EndThink], Allowed(grammar.Allowed));
    }

    [Fact]
    public void ThinkingBudget_InText_ForcesEndOfThinking() =>
        Assert.Equal([EndThink], Allowed(After(Grammar(ReasoningMode.Text, thinkingBudget: 2), Text, Text).Allowed));

    [Fact]
    public void Advance_WithForbiddenId_Throws() =>
        Assert.Throws<InvalidOperationException>(() => Grammar(ReasoningMode.Auto).Advance(Latent));

    [Fact]
    public void Allowed_AfterEos_Throws()
    {
        var grammar = After(Grammar(ReasoningMode.None), EndThink, Eos);

        Assert.Equal(TracePhase.Done, grammar.Phase);
        Assert.Throws<InvalidOperationException>(() => grammar.Allowed);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Trace_OfRandomChoices_IsWellFormedAndWithinBudgets(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 2000; round++)
        {
            var mode = (ReasoningMode)random.Next(4);
            int? latentBudget = random.Next(2) == 0 ? random.Next(5) : null;
            int? thinkingBudget = random.Next(2) == 0 ? random.Next(3, 9) : null;
            AssertWellFormed(RandomTrace(random, Grammar(mode, latentBudget, thinkingBudget)), mode, latentBudget, thinkingBudget);
        }
    }

    private static List<int> RandomTrace(Random random, TraceGrammar grammar)
    {
        var trace = new List<int>();
        while (grammar.Phase != TracePhase.Done && trace.Count < 60)
        {
            var allowed = Allowed(grammar.Allowed);
            var id = allowed[random.Next(allowed.Length)];
            trace.Add(id);
            grammar.Advance(id);
        }

        return trace;
    }

    // The same grammar written down a second time, as a regular expression over one letter per kind.
    private static void AssertWellFormed(List<int> trace, ReasoningMode mode, int? latentBudget, int? thinkingBudget)
    {
        var letters = string.Concat(trace.Select(id => id switch { Eos => 'e', EndThink => '/', Bo => '[', Eo => ']', >= 14 and <= 17 => 'z', >= 2 and <= 9 => 't', _ => '!' }));
        var complete = letters.EndsWith('e');
        var reasoning = (mode, latentBudget) switch
        {
            (ReasoningMode.None, _) => "",
            (ReasoningMode.Text, _) or (ReasoningMode.Latent, 0) => "t+",
            (ReasoningMode.Latent, _) => @"\[z+\]t*",
            (_, 0) => "t*",
            _ => @"(\[z+\])?t*",
        };
        if (complete)
        {
            Assert.Matches($"^{reasoning}/t*e$", letters);
        }

        Assert.DoesNotContain('!', letters);
        Assert.True(letters.Count(letter => letter == 'z') <= (latentBudget ?? int.MaxValue), letters);
        var thinking = letters.Split('/')[0].Length;
        Assert.True(thinking <= (mode == ReasoningMode.None ? 0 : thinkingBudget ?? int.MaxValue), letters);
    }

    [Fact]
    public void Allowed_BeforeMinTokens_HasNoEnd()
    {
        var grammar = After(Grammar(ReasoningMode.None, end: new AnswerEnd([3, 7], 3)), EndThink);

        Assert.Equal([2, 4, 5, 6, 8, 9], Allowed(grammar.Allowed));
        grammar.Advance(Text);
        Assert.Equal([2, 4, 5, 6, 8, 9], Allowed(grammar.Allowed));
        grammar.Advance(Text);
        Assert.Equal([Eos, .. TextIds], Allowed(grammar.Allowed));
    }

    [Fact]
    public void Advance_WithStopId_EndsTheAnswerAndNothingElse()
    {
        var grammar = Grammar(ReasoningMode.Text, end: new AnswerEnd([Text], 0));

        grammar.Advance(Text);
        Assert.Equal(TracePhase.Text, grammar.Phase);
        After(grammar, EndThink, Text);
        Assert.Equal(TracePhase.Done, grammar.Phase);
    }

    private static TraceGrammar After(TraceGrammar grammar, params int[] ids)
    {
        foreach (var id in ids)
        {
            grammar.Advance(id);
        }

        return grammar;
    }
}
