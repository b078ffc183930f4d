using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Tessera.LoadTests.Commands;

/// <summary>
/// Options whose errors are our own: name, what was expected, what was found. The library's messages name the .NET type, and its converters throw when a
/// validator reads the value.
/// </summary>
internal static class OptionParsing
{
    /// <summary>Reads one value; false when it is not what is expected.</summary>
    public delegate bool TryParse<T>(string text, out T value);

    public static Option<int?> Count(string name, string description, int least, int most = int.MaxValue) => Value<int?>(
        name, description, "n", Range(least, most), (string text, out int? value) => TryParseCount(text, least, most, out value));

    public static Option<List<int>> Counts(string name, string description, int least, int most) => Value<List<int>>(
        name, description, "n[,n..]", $"{Range(least, most)}, or several with commas",
        (string text, out List<int> values) => TryParseList(text, (string part, out int value) =>
        {
            var known = TryParseCount(part, least, most, out var count);
            value = count ?? 0;
            return known;
        }, out values));

    public static Option<double?> Number(string name, string description, string helpName, double least, double most, string expected) => Value<double?>(
        name, description, helpName, expected, (string text, out double? value) =>
        {
            var known = TryParseNumber(text, least, most, out var number);
            value = number;
            return known;
        });

    public static Option<Uri?> Address(string name, string description, string example) => new(name)
    {
        Description = description,
        HelpName = "url",
        CustomParser = result =>
        {
            if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var url)
                && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps)
                && url is { AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "" })
            {
                return url;
            }

            // The text is not repeated: a refused address may carry a password.
            result.AddError($"{name}: expected an address like {example} without path, query and password");
            return null;
        },
    };

    /// <summary>An option with a parser of its own.</summary>
    /// <param name="name">Name with dashes.</param>
    /// <param name="description">One sentence for --help.</param>
    /// <param name="helpName">What stands for the value in --help.</param>
    /// <param name="expected">What the value must be, for the error.</param>
    /// <param name="tryParse">Reads the value.</param>
    public static Option<T> Value<T>(string name, string description, string helpName, string expected, TryParse<T> tryParse) => new(name)
    {
        Description = description,
        HelpName = helpName,
        CustomParser = result => tryParse(result.Tokens[0].Value, out var value) ? value : Refuse<T>(result, name, expected),
    };

    /// <summary>Reads values between commas; false when one of them is not what is expected.</summary>
    public static bool TryParseList<T>(string text, TryParse<T> tryParse, out List<T> values)
    {
        values = [];
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (!tryParse(part, out var value))
            {
                return false;
            }

            values.Add(value);
        }

        return values.Count == values.Distinct().Count();
    }

    public static bool TryParseNumber(string text, double least, double most, out double value) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value) && value >= least && value <= most;

    public static bool TryParseCount(string text, int least, int most, out int? value)
    {
        var known = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var count) && count >= least && count <= most;
        value = known ? count : null;
        return known;
    }

    private static string Range(int least, int most) => most == int.MaxValue ? $"a whole number, {least} or more" : $"a whole number, {least} to {most}";

    private static T Refuse<T>(ArgumentResult result, string name, string expected)
    {
        result.AddError($"{name}: expected {expected}, found {result.Tokens[0].Value}");
        return default!;
    }
}
