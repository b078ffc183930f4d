using System.Text.Json;

namespace Tessera.Models.Tests.Tokenization;

public sealed class FormCTests
{
    /// <summary>Lines of fixtures/form-c.jsonl: a text, and what Python's unicodedata makes of it.</summary>
    [Fact]
    public void Normalize_RecordedTexts_GivesWhatPythonGives()
    {
        var lines = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "fixtures", "form-c.jsonl"));
        var changed = 0;
        foreach (var pair in lines.Select(line => JsonSerializer.Deserialize<string[]>(line)!))
        {
            Assert.Equal(pair[1], FormC.Normalize(pair[0]));
            changed += pair[0] == pair[1] ? 0 : 1;
        }

        Assert.InRange(changed, 200, lines.Length);
    }

    [Fact]
    public void Normalize_HalfASurrogatePair_BecomesTheReplacementCharacter() => Assert.Equal("\uFFFDé", FormC.Normalize("\uD800e\u0301"));

    [Fact]
    public void Normalize_AsciiText_IsTheSameText()
    {
        const string Text = "Every wumpus is a lempus.";

        Assert.Same(Text, FormC.Normalize(Text));
    }
}
