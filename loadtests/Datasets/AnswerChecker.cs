using System.Globalization;
using System.Text.RegularExpressions;

namespace Tessera.LoadTests.Datasets;

/// <summary>How an answer is compared with the expected one.</summary>
public enum AnswerRule
{
    /// <summary>Equal after normalisation or, when a number is expected, the last number of the answer is that number.</summary>
    ExactOrFinalNumber,

    /// <summary>The last sentence of the answer equals the last sentence expected, both normalised: the concept sentence of ProsQA.</summary>
    FinalSentence,

    /// <summary>Equal after normalisation.</summary>
    Exact,

    /// <summary>The last number of the answer is the expected number.</summary>
    FinalNumber,
}

/// <summary>Decides whether an answer is right. Never lenient: an answer that merely contains the expected text is wrong.</summary>
public static partial class AnswerChecker
{
    private const NumberStyles NumberForm = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowThousands;

    private static readonly char[] SentenceEnds = ['.', '!', '?', '\n'];

    /// <summary>Whether <paramref name="answer"/> is right.</summary>
    public static bool IsCorrect(AnswerRule rule, string expected, string answer) => rule switch
    {
        AnswerRule.FinalSentence => LastSentence(answer) is { Length: > 0 } last && last == LastSentence(expected),
        AnswerRule.ExactOrFinalNumber => IsSame(Normalise(expected), Normalise(answer)) || IsSameNumber(Normalise(expected), Normalise(answer)),
        AnswerRule.Exact => IsSame(Normalise(expected), Normalise(answer)),
        AnswerRule.FinalNumber => IsSameNumber(Normalise(expected), Normalise(answer)),
        _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, null),
    };

    /// <summary>Lower case, white space collapsed, without quotes around it and without sentence ends after it.</summary>
    public static string Normalise(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var collapsed = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant();
        return collapsed.Trim('"', '\'', '`', ' ').TrimEnd('.', '!', '?', ' ').Trim('"', '\'', '`', ' ');
    }

    private static bool IsSame(string wanted, string given) => given.Length > 0 && wanted == given;

    private static bool IsSameNumber(string wanted, string given) =>
        TryReadNumber(wanted.TrimStart('$'), out var wantedNumber)
        && Number().Matches(given) is { Count: > 0 } numbers
        && TryReadNumber(numbers[^1].Value, out var givenNumber)
        && givenNumber == wantedNumber;

    private static string LastSentence(string text)
    {
        var sentences = text.Split(SentenceEnds, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return sentences.Length == 0 ? "" : Normalise(sentences[^1]);
    }

    private static bool TryReadNumber(string text, out decimal number) =>
        decimal.TryParse(text, NumberForm, CultureInfo.InvariantCulture, out number);

    // A sign counts only where a number starts: "7-3" ends in 3, not in -3.
    [GeneratedRegex(@"(?:(?<![0-9A-Za-z)])-)?[0-9][0-9,]*(?:\.[0-9]+)?", RegexOptions.CultureInvariant)]
    private static partial Regex Number();
}
