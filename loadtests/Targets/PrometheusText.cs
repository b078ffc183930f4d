using System.Globalization;

namespace Tessera.LoadTests.Targets;

/// <summary>Reads values out of the Prometheus text format.</summary>
public static class PrometheusText
{
    /// <summary>The value of a metric, summed over its label sets; null when it is absent or no finite number.</summary>
    /// <param name="text">The whole exposition.</param>
    /// <param name="name">Name of the metric.</param>
    public static double? Read(string text, string name)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(name);
        double? sum = null;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            if (line.StartsWith(name, StringComparison.Ordinal) && TryReadValue(line[name.Length..], out var value))
            {
                sum = (sum ?? 0) + value;
            }
        }

        return sum;
    }

    // What follows the name: labels or a space, the value, perhaps a timestamp. Label values may hold any character, braces and spaces included.
    private static bool TryReadValue(ReadOnlySpan<char> rest, out double value)
    {
        value = 0;
        if (rest.StartsWith("{"))
        {
            var end = FindLabelsEnd(rest);
            if (end < 0)
            {
                return false;
            }

            rest = rest[(end + 1)..];
        }
        else if (rest.Length == 0 || !char.IsWhiteSpace(rest[0]))
        {
            return false;
        }

        rest = rest.Trim();
        var space = rest.IndexOfAny(' ', '\t');
        var number = space < 0 ? rest : rest[..space];
        return double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);
    }

    private static int FindLabelsEnd(ReadOnlySpan<char> labels)
    {
        var quoted = false;
        for (var i = 1; i < labels.Length; i++)
        {
            switch (labels[i])
            {
                case '\\' when quoted:
                    i++;
                    break;
                case '"':
                    quoted = !quoted;
                    break;
                case '}' when !quoted:
                    return i;
            }
        }

        return -1;
    }
}
