namespace Tessera.LoadTests.Tests.Support;

/// <summary>Made-up datasets.</summary>
public static class Samples
{
    /// <summary>Four problems in the layout of the released ProsQA files.</summary>
    public const string ProsQa = """
        [
          {"question": "Bob is a blick. Every blick is a fep. Is Bob a fep or toma?", "answer": "Bob is a fep.", "steps": ["Bob is a blick.", "Every blick is a fep."], "root": 0, "target": 2, "neg_target": 3},
          {"question": "Ann is a wug. Every wug is a dax. Is Ann a dax or zup?", "answer": "Ann is a dax.", "steps": ["Ann is a wug.", "Every wug is a dax."], "root": 0, "target": 2, "neg_target": 3},
          {"question": "Kim is a lorp. Every lorp is a nib. Is Kim a gorp or nib?", "answer": "Kim is a nib.", "steps": ["Kim is a lorp.", "Every lorp is a nib."], "root": 1, "target": 3, "neg_target": 2},
          {"question": "Lee is a bim. Every bim is a pov. Is Lee a pov or rud?", "answer": "Lee is a pov.", "steps": ["Lee is a bim.", "Every bim is a pov."], "root": 1, "target": 3, "neg_target": 2}
        ]
        """;

    /// <summary>JSONL with <paramref name="count"/> problems "question i" whose answers are i.</summary>
    public static string Jsonl(int count) => string.Concat(Enumerable.Range(1, count).Select(i => $"{{\"prompt\":\"question {i}\",\"answer\":\"{i}\"}}\n"));
}
