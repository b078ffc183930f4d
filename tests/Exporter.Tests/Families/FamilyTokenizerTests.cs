using System.Text.Json;
using Tessera.Models;

namespace Tessera.Exporter.Tests.Families;

/// <summary>The families' tokenizers give the ids that Training's own implementation gives; the fixture is its output.</summary>
public sealed class FamilyTokenizerTests
{
    private const int LineCount = 600;

    private static string Root => Path.Combine(AppContext.BaseDirectory, "fixtures", "families");

    [Fact]
    public void Encode_RandomTextsOfTheTrainingSide_GivesItsIds()
    {
        var tokenizers = new Dictionary<string, Tokenizer>(StringComparer.Ordinal);
        var lines = 0;
        foreach (var line in File.ReadLines(Path.Combine(Root, "tokenizer-reference.jsonl")))
        {
            using var document = JsonDocument.Parse(line);
            var name = document.RootElement.GetProperty("tokenizer").GetString()!;
            var text = document.RootElement.GetProperty("text").GetString()!;
            var expected = document.RootElement.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray();
            if (!tokenizers.TryGetValue(name, out var tokenizer))
            {
                tokenizers.Add(name, tokenizer = Tokenizer.Load(Path.Combine(Root, name, "tokenizer.json")));
            }

            Assert.Equal(expected, tokenizer.Encode(text));
            lines++;
        }

        Assert.Equal(LineCount, lines);
        Assert.Equal(4, tokenizers.Count);
    }
}
