using System.Globalization;
using System.Text;

namespace Tessera.Models;

/// <summary>
/// Unicode normalization form C. The platform's own needs ICU, which a build with invariant globalization does without; the tables are embedded.
/// </summary>
internal sealed class FormC
{
    private const string Resource = "Tessera.Models.form-c.txt";

    // Up to here no character composes with the one before it or loses its form: most text needs no more than this look.
    private const char LastThatStays = '\u02FF';

    private static readonly Lazy<FormC> Instance = new(() => new FormC());

    private readonly Dictionary<int, int[]> _decompositions = [];
    private readonly Dictionary<(int First, int Second), int> _compositions = [];
    private readonly Dictionary<int, byte> _classes = [];

    private FormC()
    {
        using var stream = typeof(FormC).Assembly.GetManifestResourceStream(Resource) ?? throw new InvalidOperationException($"{Resource} is not embedded.");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line[0] != '#')
            {
                Read(line.Split(' '));
            }
        }
    }

    /// <summary>The text in form C; half surrogate pairs become U+FFFD where anything changes.</summary>
    public static string Normalize(string text) =>
        text.AsSpan().IndexOfAnyExceptInRange('\0', LastThatStays) < 0 ? text : Instance.Value.Compose(text);

    private void Read(string[] line)
    {
        if (line[0] == "c")
        {
            for (var code = Hex(line[1]); code <= Hex(line[2]); code++)
            {
                _classes[code] = byte.Parse(line[3], CultureInfo.InvariantCulture);
            }

            return;
        }

        int[] parts = [.. line.Skip(2).Select(Hex)];
        _decompositions[Hex(line[1])] = parts;
        if (line[0] == "d")
        {
            _compositions[(parts[0], parts[1])] = Hex(line[1]);
        }
    }

    private string Compose(string text)
    {
        var codes = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            Decompose(rune.Value, codes);
        }

        Order(codes);
        var composed = new StringBuilder(text.Length);
        foreach (var code in Compose(codes))
        {
            composed.Append(new Rune(code).ToString());
        }

        return composed.ToString();
    }

    private void Decompose(int code, List<int> codes)
    {
        if (Hangul.TryDecompose(code, codes))
        {
            return;
        }

        if (!_decompositions.TryGetValue(code, out var parts))
        {
            codes.Add(code);
            return;
        }

        foreach (var part in parts)
        {
            Decompose(part, codes);
        }
    }

    /// <summary>Marks behind a character go by their class, and those of one class stay in their order.</summary>
    private void Order(List<int> codes)
    {
        for (var start = 0; start < codes.Count; start++)
        {
            if (ClassOf(codes[start]) == 0)
            {
                continue;
            }

            var end = start;
            while (end < codes.Count && ClassOf(codes[end]) != 0)
            {
                end++;
            }

            var sorted = codes[start..end].OrderBy(ClassOf).ToList();
            for (var i = start; i < end; i++)
            {
                codes[i] = sorted[i - start];
            }

            start = end;
        }
    }

    private List<int> Compose(List<int> codes)
    {
        var result = new List<int>(codes.Count);
        var starter = -1;
        foreach (var code in codes)
        {
            // Nothing between the starter and this mark may have its class or a higher one, nor may another starter stand there.
            var isBlocked = starter < 0 || (result.Count - 1 > starter && ClassOf(result[^1]) >= ClassOf(code));
            if (!isBlocked && TryCompose(result[starter], code) is { } whole)
            {
                result[starter] = whole;
                continue;
            }

            if (ClassOf(code) == 0)
            {
                starter = result.Count;
            }

            result.Add(code);
        }

        return result;
    }

    private int? TryCompose(int first, int second) =>
        Hangul.TryCompose(first, second) ?? (_compositions.TryGetValue((first, second), out var whole) ? whole : null);

    private int ClassOf(int code) => _classes.GetValueOrDefault(code);

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    /// <summary>Korean syllables are made of letters by a rule.</summary>
    private static class Hangul
    {
        private const int Syllables = 0xAC00;
        private const int Leading = 0x1100;
        private const int Vowels = 0x1161;
        private const int Trailing = 0x11A7;
        private const int LeadingCount = 19;
        private const int VowelCount = 21;
        private const int TrailingCount = 28;
        private const int SyllableCount = LeadingCount * VowelCount * TrailingCount;

        public static bool TryDecompose(int code, List<int> codes)
        {
            var index = code - Syllables;
            if (index is < 0 or >= SyllableCount)
            {
                return false;
            }

            codes.Add(Leading + (index / (VowelCount * TrailingCount)));
            codes.Add(Vowels + (index / TrailingCount % VowelCount));
            if (index % TrailingCount > 0)
            {
                codes.Add(Trailing + (index % TrailingCount));
            }

            return true;
        }

        public static int? TryCompose(int first, int second)
        {
            var (leading, vowel) = (first - Leading, second - Vowels);
            if (leading is >= 0 and < LeadingCount && vowel is >= 0 and < VowelCount)
            {
                return Syllables + (((leading * VowelCount) + vowel) * TrailingCount);
            }

            var (syllable, trailing) = (first - Syllables, second - Trailing);
            return syllable is >= 0 and < SyllableCount && syllable % TrailingCount == 0 && trailing is > 0 and < TrailingCount ? first + trailing : null;
        }
    }
}
