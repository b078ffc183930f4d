using System.IO.Compression;
using System.Text.Json;

namespace Tessera.Models.Tests.Tokenization;

/// <summary>
/// Equality with the Training side. The fixture is its output: <c>python3 -m tessera_training.tokenizer_reference --tokenizer tokenizer.json --n 10000
/// --seed 1 --out tokenizer-reference.jsonl</c>, compressed by <c>gzip -9 -n</c>.
/// </summary>
public sealed class TokenizerReferenceTests
{
    private const int LineCount = 10_000;

    [Fact]
    public void Encode_10000StringsOfTheTrainingSide_GivesItsIds()
    {
        var tokenizer = Tokenizer.Load(Fixture("tokenizer.json"));
        using var reader = new StreamReader(new GZipStream(File.OpenRead(Fixture("tokenizer-reference.jsonl.gz")), CompressionMode.Decompress));
        var lines = 0;
        while (reader.ReadLine() is { } line)
        {
            using var document = JsonDocument.Parse(line);
            var text = document.RootElement.GetProperty("text").GetString()!;
            var expected = document.RootElement.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray();
            var ids = tokenizer.Encode(text);

            Assert.True(expected.SequenceEqual(ids), $"Line {lines + 1}: expected [{string.Join(", ", expected)}], found [{string.Join(", ", ids)}]");
            Assert.Equal(text, tokenizer.Decode(ids));
            lines++;
        }

        Assert.Equal(LineCount, lines);
    }

    private static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", name);
}
