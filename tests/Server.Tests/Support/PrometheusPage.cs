using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Tessera.Server.Tests.Support;

/// <summary>One sample of a Prometheus page: name, labels in the order of the page, value.</summary>
internal sealed record PrometheusSample(string Name, IReadOnlyList<KeyValuePair<string, string>> Labels, double Value)
{
    public string? this[string label] => Labels.FirstOrDefault(entry => entry.Key == label).Value;
}

/// <summary>One family: its type, its help and its samples.</summary>
internal sealed record PrometheusFamily(string Name, string Type, string Help, IReadOnlyList<PrometheusSample> Samples);

/// <summary>A strict reader of Prometheus' text format 0.0.4: what a scraper could misread is a failure here.</summary>
internal sealed partial class PrometheusPage
{
    private readonly Dictionary<string, PrometheusFamily> _families = [];

    private PrometheusPage(IEnumerable<PrometheusFamily> families)
    {
        foreach (var family in families)
        {
            Require(_families.TryAdd(family.Name, family), $"{family.Name} is there twice");
        }
    }

    public IReadOnlyDictionary<string, PrometheusFamily> Families => _families;

    /// <summary>Reads a page.</summary>
    /// <exception cref="FormatException">A line is not what the format allows there.</exception>
    public static PrometheusPage Parse(string text)
    {
        Require(text.EndsWith('\n'), "the last line has no end");
        Require(!text.Contains('\r', StringComparison.Ordinal), "a line ends with a carriage return");
        var lines = text[..^1].Split('\n');
        var families = new List<PrometheusFamily>();
        for (var i = 0; i < lines.Length;)
        {
            families.Add(ParseFamily(lines, ref i));
        }

        return new PrometheusPage(families);
    }

    /// <summary>Value of the one sample of a counter or gauge with these labels, and perhaps others.</summary>
    public double Value(string name, params (string Label, string Value)[] labels) => Assert.Single(Find(name, name, labels)).Value;

    /// <summary>Sum over the samples of a counter or gauge with these labels.</summary>
    public double Sum(string name, params (string Label, string Value)[] labels) => Find(name, name, labels).Sum(sample => sample.Value);

    /// <summary>Observations of a histogram.</summary>
    public double Count(string name, params (string Label, string Value)[] labels) => Find(name, name + "_count", labels).Sum(sample => sample.Value);

    private IEnumerable<PrometheusSample> Find(string family, string name, (string Label, string Value)[] labels) =>
        _families[family].Samples.Where(sample => sample.Name == name && labels.All(label => sample[label.Label] == label.Value));

    private static PrometheusFamily ParseFamily(string[] lines, ref int i)
    {
        var help = Match(HelpLine(), lines, i++);
        var type = Match(TypeLine(), lines, i++);
        var name = help.Groups["name"].Value;
        Require(type.Groups["name"].Value == name, $"TYPE of {type.Groups["name"].Value} follows HELP of {name}");
        Require(help.Groups["text"].Value.Trim().Length > 0, $"{name} has no help");
        var samples = new List<PrometheusSample>();
        while (i < lines.Length && !lines[i].StartsWith('#'))
        {
            samples.Add(ParseSample(lines[i++]));
        }

        var family = new PrometheusFamily(name, type.Groups["type"].Value, help.Groups["text"].Value, samples);
        Check(family);
        return family;
    }

    private static PrometheusSample ParseSample(string line)
    {
        var match = SampleLine().Match(line);
        Require(match.Success, $"'{line}' is no sample");
        var labels = match.Groups["label"].Captures.Zip(match.Groups["value"].Captures, (label, value) => KeyValuePair.Create(label.Value, Unescape(value.Value))).ToList();
        Require(labels.Select(label => label.Key).Distinct().Count() == labels.Count, $"'{line}' has a label twice");
        return new(match.Groups["name"].Value, labels, Number(match.Groups["number"].Value));
    }

    private static void Check(PrometheusFamily family)
    {
        var keys = family.Samples.Select(KeyOf).ToList();
        Require(keys.Distinct().Count() == keys.Count, $"{family.Name} has a series twice");
        Require(family.Type == "counter" == family.Name.EndsWith("_total", StringComparison.Ordinal), $"{family.Name} is a {family.Type}");
        if (family.Type == "histogram")
        {
            foreach (var series in family.Samples.GroupBy(sample => KeyOf(sample with { Name = "", Labels = [.. sample.Labels.Where(label => label.Key != "le")] })))
            {
                CheckHistogram(family.Name, [.. series]);
            }

            return;
        }

        Require(family.Samples.All(sample => sample.Name == family.Name), $"{family.Name} has samples of another name");
        Require(family.Type != "counter" || family.Samples.All(sample => sample.Value >= 0), $"{family.Name} is negative");
    }

    private static void CheckHistogram(string name, List<PrometheusSample> series)
    {
        var buckets = series.Where(sample => sample.Name == name + "_bucket").ToList();
        var bounds = buckets.Select(bucket => Number(bucket["le"] ?? "")).ToList();
        Require(bounds.SequenceEqual(bounds.Order()) && bounds.Distinct().Count() == bounds.Count && bounds[^1] == double.PositiveInfinity, $"{name}: buckets {string.Join(' ', bounds)}");
        Require(buckets.Select(bucket => bucket.Value).SequenceEqual(buckets.Select(bucket => bucket.Value).Order()), $"{name}: buckets do not add up");
        var count = Assert.Single(series, sample => sample.Name == name + "_count").Value;
        var sum = Assert.Single(series, sample => sample.Name == name + "_sum").Value;
        Require(buckets[^1].Value == count && (count > 0 || sum == 0), $"{name}: {buckets[^1].Value} in buckets, {count} counted, sum {sum}");
        Require(series.Count == buckets.Count + 2, $"{name} has samples of another name");
    }

    private static string KeyOf(PrometheusSample sample) =>
        sample.Name + "|" + string.Join('|', sample.Labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}"));

    private static Match Match(Regex pattern, string[] lines, int i)
    {
        Require(i < lines.Length, "the page ends inside a family");
        var match = pattern.Match(lines[i]);
        Require(match.Success, $"'{lines[i]}' does not begin a family as {pattern} does");
        return match;
    }

    private static string Unescape(string value)
    {
        var text = new StringBuilder();
        for (var i = 0; i < value.Length; i++)
        {
            text.Append(value[i] != '\\' ? value[i] : value[++i] switch { 'n' => '\n', var c => c });
        }

        return text.ToString();
    }

    private static double Number(string text) => text switch
    {
        "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        _ => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture),
    };

    private static void Require(bool condition, string problem)
    {
        if (!condition)
        {
            throw new FormatException(problem);
        }
    }

    [GeneratedRegex(@"^# HELP (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<text>(?:[^\\]|\\\\|\\n)*)$")]
    private static partial Regex HelpLine();

    [GeneratedRegex("^# TYPE (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<type>counter|gauge|histogram)$")]
    private static partial Regex TypeLine();

    [GeneratedRegex(
        """^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?:(?<label>[a-zA-Z_][a-zA-Z0-9_]*)="(?<value>(?:[^"\\]|\\\\|\\"|\\n)*)"(?:,(?=[a-zA-Z_])|(?=\})))+\})? (?<number>[+-]Inf|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)$""")]
    private static partial Regex SampleLine();
}
