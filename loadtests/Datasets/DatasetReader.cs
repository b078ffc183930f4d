using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Tessera.LoadTests.Datasets;

/// <summary>Reads dataset files; every error names the file, the line or entry, and the field.</summary>
public static class DatasetReader
{
    // What precedes the answer in GSM8K's solutions.
    private const string FinalAnswerMark = "####";

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a file; the layout follows from its first character.</summary>
    /// <exception cref="LoadTestException">The file is missing, unreadable, empty or malformed.</exception>
    public static PromptDataset Read(string path)
    {
        var bytes = ReadBytes(path);
        var text = Decode(path, bytes);
        var layout = text.AsSpan().TrimStart().StartsWith("[") ? DatasetLayout.ProsQa : DatasetLayout.Jsonl;
        var cases = layout == DatasetLayout.ProsQa ? ReadArray(path, text) : ReadLines(path, text);
        return cases.Count == 0
            ? throw new LoadTestException($"{path}: no problem in it; expected JSONL lines with \"prompt\" and \"answer\", or the ProsQA JSON array")
            : new PromptDataset(Path.GetFileName(path), Convert.ToHexStringLower(SHA256.HashData(bytes)), layout, cases, RuleFor(layout));
    }

    private static AnswerRule RuleFor(DatasetLayout layout) =>
        layout == DatasetLayout.ProsQa ? AnswerRule.FinalSentence : AnswerRule.ExactOrFinalNumber;

    private static byte[] ReadBytes(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new LoadTestException($"--dataset: {path}: no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LoadTestException($"--dataset: {path}: cannot be read (a folder, or no permission)", e);
        }
    }

    private static string Decode(string path, byte[] bytes)
    {
        try
        {
            var start = bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
            return StrictUtf8.GetString(bytes.AsSpan(start));
        }
        catch (DecoderFallbackException e)
        {
            throw new LoadTestException($"{path}: not UTF-8 (byte {e.Index})", e);
        }
    }

    private static List<PromptCase> ReadLines(string path, string text)
    {
        var cases = new List<PromptCase>();
        var number = 0;

        // Only line feeds end a line: U+2028 and the like may stand inside JSON strings.
        foreach (var line in text.Split('\n'))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            using var document = Parse($"{path}: line {number}", line);
            cases.Add(ReadCase($"{path}: line {number}", document.RootElement, number));
        }

        return cases;
    }

    private static List<PromptCase> ReadArray(string path, string text)
    {
        using var document = Parse(path, text);
        var cases = new List<PromptCase>();
        foreach (var entry in document.RootElement.EnumerateArray())
        {
            var number = cases.Count + 1;
            cases.Add(ReadCase($"{path}: entry {number}", entry, number));
        }

        return cases;
    }

    private static JsonDocument Parse(string place, string json)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new LoadTestException($"{place}: not valid JSON (line {(e.LineNumber ?? 0) + 1}, byte {e.BytePositionInLine ?? 0})", e);
        }
    }

    private static PromptCase ReadCase(string place, JsonElement entry, int number)
    {
        if (entry.ValueKind != JsonValueKind.Object)
        {
            throw new LoadTestException($"{place}: expected an object with \"prompt\" and \"answer\", found {Describe(entry)}");
        }

        // GSM8K and ProsQA call the prompt "question".
        var prompt = entry.TryGetProperty("prompt", out _) || !entry.TryGetProperty("question", out _) ? "prompt" : "question";
        var answer = ReadText(place, entry, "answer", allowNumber: true);
        var mark = answer.LastIndexOf(FinalAnswerMark, StringComparison.Ordinal);
        return new PromptCase(number, ReadText(place, entry, prompt, allowNumber: false), mark < 0 ? answer : answer[(mark + FinalAnswerMark.Length)..].Trim());
    }

    private static string ReadText(string place, JsonElement entry, string name, bool allowNumber)
    {
        if (!entry.TryGetProperty(name, out var value))
        {
            throw new LoadTestException($"{place}: \"{name}\" is missing");
        }

        if (allowNumber && value.ValueKind == JsonValueKind.Number)
        {
            return value.GetRawText();
        }

        if (value.ValueKind != JsonValueKind.String || value.ValueEquals(""))
        {
            throw new LoadTestException($"{place}: \"{name}\": expected a non-empty string, found {Describe(value)}");
        }

        try
        {
            var text = value.GetString()!;
            return text.AsSpan().IsWhiteSpace() ? throw new LoadTestException($"{place}: \"{name}\": expected a non-empty string, found white space") : text;
        }
        catch (InvalidOperationException e)
        {
            throw new LoadTestException($"{place}: \"{name}\": half a surrogate pair is not text", e);
        }
    }

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.ValueEquals("") ? "an empty string" : "a string",
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.Null => "null",
        JsonValueKind.Number => "a number",
        _ => "a boolean",
    };
}
