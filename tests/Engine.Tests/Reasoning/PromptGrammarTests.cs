using Tessera.Engine.Reasoning;
using static Tessera.Engine.Tests.Reasoning.TestVocabulary;

namespace Tessera.Engine.Tests.Reasoning;

public sealed class PromptGrammarTests
{
    private const int Think = 10;

    [Theory]
    [InlineData(new[] { 2, 3, 4 })]
    [InlineData(new[] { Eos, 2 })]
    [InlineData(new[] { 2, Think, EndThink, 5, Eos, 3 })]
    [InlineData(new[] { 2, Think, Bo, Latent, 17, Eo, EndThink, 5, Eos, 3, Think, 4, EndThink })]
    [InlineData(new[] { Think, Bo, Latent, Eo, 5, 6, EndThink })]
    public void FindProblem_InWellFormedPrompt_IsNone(int[] ids) => Assert.Null(PromptGrammar.FindProblem(Vocabulary, ids));

    [Theory]
    [InlineData(new[] { 2, Latent }, 1, "id 15 cannot stand outside of a reasoning trace")]
    [InlineData(new[] { 2, Think, 3, Latent }, 3, "id 15 cannot stand in the text of a reasoning trace")]
    [InlineData(new[] { 2, Think, 3, Bo }, 3, "id 12 cannot stand in the text of a reasoning trace")]
    [InlineData(new[] { Think, Latent }, 1, "id 15 cannot stand directly after <think>")]
    [InlineData(new[] { Think, Bo, Eo }, 2, "id 13 cannot stand inside of a latent span")]
    [InlineData(new[] { Think, Bo, Latent, 3 }, 3, "id 3 cannot stand inside of a latent span")]
    [InlineData(new[] { Think, Eos }, 1, "id 1 cannot stand directly after <think>")]
    [InlineData(new[] { EndThink }, 0, "id 11 cannot stand outside of a reasoning trace")]
    [InlineData(new[] { 0 }, 0, "id 0 cannot stand outside of a reasoning trace")]
    [InlineData(new[] { 18 }, 0, "id 18 cannot stand outside of a reasoning trace")]
    [InlineData(new[] { 2, 20 }, 1, "must be an id of the vocabulary, 0 to 19; got 20")]
    [InlineData(new[] { -1 }, 0, "must be an id of the vocabulary, 0 to 19; got -1")]
    public void FindProblem_InPromptThatTheModelCannotHaveWritten_NamesTheFirstId(int[] ids, int index, string message) =>
        Assert.Equal((index, message), PromptGrammar.FindProblem(Vocabulary, ids));

    [Fact]
    public void FindProblem_InOpenTrace_SaysSo() =>
        Assert.Equal((null, "must not end inside of a reasoning trace; <think> is added by the server"), PromptGrammar.FindProblem(Vocabulary, [2, Think]));
}
