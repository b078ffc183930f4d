using System.Text;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Datasets;

public sealed class DatasetReaderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_Jsonl_GivesEveryLineWithItsNumber()
    {
        var path = _folder.Write("a.jsonl", "{\"prompt\":\"one\",\"answer\":\"1\"}\r\n\n{\"prompt\":\"t\u2028wo\",\"answer\":2.50}\n");

        var dataset = DatasetReader.Read(path);

        Assert.Equal(DatasetLayout.Jsonl, dataset.Layout);
        Assert.Equal(AnswerRule.ExactOrFinalNumber, dataset.AnswerRule);
        Assert.Equal("a.jsonl", dataset.Name);
        Assert.Equal([new PromptCase(1, "one", "1"), new PromptCase(3, "t\u2028wo", "2.50")], dataset.Cases);
    }

    [Fact]
    public void Read_SolutionsWithFinalAnswerMark_ExpectsWhatFollowsIt()
    {
        var path = _folder.Write("g.jsonl", """{"question":"How many?","answer":"48/2 = <<48/2=24>>24\n#### 72"}""");

        Assert.Equal([new PromptCase(1, "How many?", "72")], DatasetReader.Read(path).Cases);
    }

    [Fact]
    public void Read_ProsQaArray_GivesQuestionAndAnswer()
    {
        var dataset = DatasetReader.Read(_folder.Write("p.json", Samples.ProsQa));

        Assert.Equal(DatasetLayout.ProsQa, dataset.Layout);
        Assert.Equal(AnswerRule.FinalSentence, dataset.AnswerRule);
        Assert.Equal(4, dataset.Cases.Count);
        Assert.Equal(new PromptCase(2, "Ann is a wug. Every wug is a dax. Is Ann a dax or zup?", "Ann is a dax."), dataset.Cases[1]);
    }

    [Fact]
    public void Read_ByteOrderMark_IsNoPartOfTheText()
    {
        var path = _folder.Write("b.jsonl", [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes("{\"prompt\":\"p\",\"answer\":\"a\"}")]);

        Assert.Equal([new PromptCase(1, "p", "a")], DatasetReader.Read(path).Cases);
    }

    [Theory]
    [InlineData("{\"prompt\":\"p\",\"answer\":\"a\"}\n{\"prompt\":\"p\"", "line 2: not valid JSON (line 1, byte 13)")]
    [InlineData("{\"prompt\":\"p\"}", "line 1: \"answer\" is missing")]
    [InlineData("{\"answer\":\"a\"}", "line 1: \"prompt\" is missing")]
    [InlineData("\n{\"prompt\":7,\"answer\":\"a\"}", "line 2: \"prompt\": expected a non-empty string, found a number")]
    [InlineData("{\"prompt\":\" \",\"answer\":\"a\"}", "line 1: \"prompt\": expected a non-empty string, found white space")]
    [InlineData("{\"prompt\":\"p\",\"answer\":\"\"}", "line 1: \"answer\": expected a non-empty string, found an empty string")]
    [InlineData("{\"prompt\":\"\\ud800\",\"answer\":\"a\"}", "line 1: \"prompt\": half a surrogate pair is not text")]
    [InlineData("\"text\"", "line 1: expected an object with \"prompt\" and \"answer\", found a string")]
    [InlineData("[{\"question\":\"q\",\"answer\":\"a\"},{\"question\":\"q\",\"answer\":null}]", "entry 2: \"answer\": expected a non-empty string, found null")]
    [InlineData("[1]", "entry 1: expected an object with \"prompt\" and \"answer\", found a number")]
    [InlineData("[\n{]", "not valid JSON (line 2, byte 1)")]
    [InlineData("", "no problem in it; expected JSONL lines with \"prompt\" and \"answer\", or the ProsQA JSON array")]
    [InlineData("[]", "no problem in it; expected JSONL lines with \"prompt\" and \"answer\", or the ProsQA JSON array")]
    public void Read_MalformedFile_NamesFilePlaceAndField(string content, string expected)
    {
        var path = _folder.Write("bad.json", content);

        Assert.Equal($"{path}: {expected}", Assert.Throws<LoadTestException>(() => DatasetReader.Read(path)).Message);
    }

    [Fact]
    public void Read_NotUtf8_NamesTheByte()
    {
        var path = _folder.Write("l.jsonl", [(byte)'{', 0xFF]);

        Assert.Equal($"{path}: not UTF-8 (byte 1)", Assert.Throws<LoadTestException>(() => DatasetReader.Read(path)).Message);
    }

    [Fact]
    public void Choose_FewerThanThere_TakesASeededSampleAndLeavesTheRest()
    {
        var dataset = new PromptDataset("n", "h", DatasetLayout.Jsonl, [.. Enumerable.Range(1, 10).Select(i => new PromptCase(i, $"p{i}", "a"))], AnswerRule.Exact);

        var chosen = dataset.Choose(4, seed: 1, out var rest);

        Assert.Equal(4, chosen.Count);
        Assert.Equal(Enumerable.Range(1, 10), chosen.Concat(rest).Select(problem => problem.Number).Order());
        Assert.Equal(chosen, dataset.Choose(4, seed: 1, out _));
        Assert.NotEqual(chosen, dataset.Choose(4, seed: 2, out _));
    }
}
