using System.Globalization;
using Tessera.LoadTests.Measurement;

namespace Tessera.LoadTests.Reporting;

/// <summary>One figure that may not get worse than the baseline by more than a margin.</summary>
/// <param name="Metric">Name of the figure, for example <c>p99_e2e</c>.</param>
/// <param name="Margin">How far it may move: up for a positive margin, down for a negative one.</param>
/// <param name="Unit">How the margin is meant.</param>
public sealed record FailRule(string Metric, double Margin, MarginUnit Unit)
{
    /// <summary>What <see cref="TryParse"/> takes.</summary>
    public const string Form = "rules like p99_e2e=+10%,accuracy=-1pt";

    /// <summary>Reads one rule.</summary>
    public static bool TryParse(string text, out FailRule rule)
    {
        ArgumentNullException.ThrowIfNull(text);
        rule = new FailRule("", 0, MarginUnit.Percent);
        var parts = text.Split('=', 2, StringSplitOptions.TrimEntries);
        if (parts.Length != 2 || Baseline.Find(parts[0]) is null || parts[1].Length < 2 || parts[1][0] is not ('+' or '-'))
        {
            return false;
        }

        MarginUnit? unit = parts[1].EndsWith('%') ? MarginUnit.Percent : parts[1].EndsWith("pt", StringComparison.Ordinal) ? MarginUnit.Points : null;
        if (unit is null || (unit == MarginUnit.Points) != Baseline.IsShare(parts[0])
            || !double.TryParse(parts[1].TrimEnd('%', 'p', 't'), NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var margin))
        {
            return false;
        }

        rule = new FailRule(parts[0], margin, unit.Value);
        return true;
    }
}

/// <summary>How a margin is meant.</summary>
public enum MarginUnit
{
    /// <summary>Percent of the baseline's value.</summary>
    Percent,

    /// <summary>Percentage points; for shares.</summary>
    Points,
}

/// <summary>One figure against its baseline.</summary>
/// <param name="Where">Arm and load.</param>
/// <param name="Rule">The rule.</param>
/// <param name="Before">The baseline's value; null when it has none.</param>
/// <param name="Now">This run's value; null when it has none.</param>
/// <param name="Fails">Whether it is worse than allowed, or cannot be told.</param>
public sealed record Regression(string Where, FailRule Rule, double? Before, double? Now, bool Fails);

/// <summary>Compares a report with an earlier one.</summary>
public static class Baseline
{
    private static readonly string[] Statistics = ["mean", "p50", "p90", "p95", "p99"];

    private static readonly Dictionary<string, Func<ArmReport, Distribution>> Times = new(StringComparer.Ordinal)
    {
        ["ttft"] = arm => arm.TimeToFirstTokenMs,
        ["ttfa"] = arm => arm.TimeToFirstAnswerTokenMs,
        ["itl"] = arm => arm.InterTokenTimeMs,
        ["tpot"] = arm => arm.TimePerOutputTokenMs,
        ["e2e"] = arm => arm.EndToEndMs,
        ["kv_bytes"] = arm => arm.KvCache.BytesPerRequest,
        ["resident_bytes"] = arm => arm.Memory.ResidentBytes,
    };

    private static readonly Dictionary<string, Func<ArmReport, double?>> Others = new(StringComparer.Ordinal)
    {
        ["accuracy"] = arm => arm.Accuracy.Value,
        ["success"] = arm => arm.Requests.Attempted == 0 ? null : (double)arm.Requests.Succeeded / arm.Requests.Attempted,
        ["goodput"] = arm => arm.Goodput?.Share,
        ["tokens"] = arm => arm.Tokens.Completion,
        ["requests_per_second"] = arm => arm.Throughput.RequestsPerSecond,
        ["tokens_per_second"] = arm => arm.Throughput.TokensPerSecond,
    };

    /// <summary>Names that <see cref="Find"/> knows, for messages.</summary>
    public static string Names => $"{{{string.Join('|', Statistics)}}}_{{{string.Join('|', Times.Keys)}}}, {string.Join(", ", Others.Keys)}";

    /// <summary>The figure of a name; null when there is none.</summary>
    public static Func<ArmReport, double?>? Find(string metric)
    {
        ArgumentNullException.ThrowIfNull(metric);
        if (Others.TryGetValue(metric, out var other))
        {
            return other;
        }

        var underscore = metric.IndexOf('_', StringComparison.Ordinal);
        if (underscore < 0 || !Statistics.Contains(metric[..underscore]) || !Times.TryGetValue(metric[(underscore + 1)..], out var times))
        {
            return null;
        }

        return metric[..underscore] switch
        {
            "mean" => arm => times(arm).Mean,
            "p50" => arm => times(arm).P50,
            "p90" => arm => times(arm).P90,
            "p95" => arm => times(arm).P95,
            _ => arm => times(arm).P99,
        };
    }

    /// <summary>Whether a figure is a share, whose margin is in points.</summary>
    public static bool IsShare(string metric) => metric is "accuracy" or "success" or "goodput";

    /// <summary>Applies every rule to every arm and load that both reports have. A figure that only one of them has fails: nobody can tell.</summary>
    /// <exception cref="LoadTestException">The reports have no arm and load in common.</exception>
    public static IReadOnlyList<Regression> Compare(LoadReport before, LoadReport now, IReadOnlyList<FailRule> rules)
    {
        ArgumentNullException.ThrowIfNull(before);
        ArgumentNullException.ThrowIfNull(now);
        ArgumentNullException.ThrowIfNull(rules);
        var common = (
            from point in now.Points
            let earlier = before.Points.FirstOrDefault(candidate => IsSameLoad(candidate.Load, point.Load))
            where earlier is not null
            from arm in point.Arms
            let earlierArm = earlier.FindArm(arm.Arm)
            where earlierArm is not null
            select (Where: $"{arm.Arm}, {ConsoleReport.Describe(point.Load)}", Before: earlierArm, Now: arm)).ToList();
        return common.Count == 0
            ? throw new LoadTestException("--baseline: it has no mode and load in common with this run")
            : [.. from rule in rules from pair in common select Judge(pair.Where, rule, Find(rule.Metric)!(pair.Before), Find(rule.Metric)!(pair.Now))];
    }

    private static Regression Judge(string where, FailRule rule, double? before, double? now)
    {
        if (before is not { } was || now is not { } @is)
        {
            return new Regression(where, rule, before, now, Fails: before is not null || now is not null);
        }

        var allowed = was + (rule.Unit == MarginUnit.Points ? rule.Margin / 100 : was * rule.Margin / 100);

        // Rounding must not make a change of exactly the margin a failure.
        var slack = 1e-9 * Math.Max(1, Math.Abs(allowed));
        return new Regression(where, rule, before, now, rule.Margin >= 0 ? @is > allowed + slack : @is < allowed - slack);
    }

    private static bool IsSameLoad(LoadShapeReport left, LoadShapeReport right) =>
        left.Kind == right.Kind && left.Concurrency == right.Concurrency && left.RequestsPerSecond == right.RequestsPerSecond;
}
