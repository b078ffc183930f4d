using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Deploy;

/// <summary>What dashboards, alerts and autoscalers of <c>deploy/</c> ask for is what a live <c>/metrics</c> has.</summary>
public sealed partial class DeployedSeriesTests
{
    // Added by whoever scrapes, or by the type of the series.
    private static readonly string[] OtherLabels = ["instance", "job", "le", "namespace", "pod"];

    [Fact]
    public async Task Expressions_EverySeriesAndLabel_IsOnALiveMetricsPage()
    {
        var live = await ReadSeriesAsync();
        var expressions = DashboardExpressions().Concat(AlertExpressions()).ToList();

        Assert.True(expressions.Count > 30, $"only {expressions.Count} expressions were found");
        Assert.All(expressions, expression => AssertIsLive(expression, live));
    }

    [Fact]
    public async Task AutoscalerAndGateway_EverySeriesTheyName_IsOnALiveMetricsPage()
    {
        var live = await ReadSeriesAsync();
        var named = new[] { "autoscaler.yaml", "inference-gateway.yaml" }
            .SelectMany(file => Series().Matches(File.ReadAllText(Path.Combine(Deploy, "kubernetes", file))).Select(match => match.Value))
            .Where(name => name != "tessera_kv_cache_usage") // the name that the adapter gives
            .Distinct().ToList();

        Assert.Equal(["tessera_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:num_requests_running", "vllm:num_requests_waiting"], named.Order(StringComparer.Ordinal));
        Assert.All(named, name => Assert.True(live.ContainsKey(name), $"{name} is not on /metrics"));
    }

    private static string Deploy
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "Inference.sln")))
            {
                folder = folder.Parent ?? throw new InvalidOperationException($"no Inference.sln above {AppContext.BaseDirectory}");
            }
            return Path.Combine(folder.FullName, "deploy");
        }
    }

    private static void AssertIsLive(string expression, Dictionary<string, HashSet<string>> live)
    {
        var names = Series().Matches(Quoted().Replace(expression, "")).Select(match => match.Value).ToList();
        Assert.True(names.Count > 0 || expression.StartsWith("up{", StringComparison.Ordinal), $"no series in {expression}");
        Assert.All(names, name => Assert.True(live.ContainsKey(name), $"{name} is not on /metrics: {expression}"));

        var labels = Selected().Matches(expression).Select(match => match.Groups[1].Value)
            .Concat(Grouped().Matches(expression).SelectMany(match => match.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries)))
            .Except(OtherLabels);
        Assert.All(labels, label => Assert.True(names.Exists(name => live[name].Contains(label)), $"no series has the label {label}: {expression}"));
    }

    private static IEnumerable<string> DashboardExpressions()
    {
        var dashboard = JsonNode.Parse(File.ReadAllText(Path.Combine(Deploy, "grafana", "dashboards", "tessera.json")))!;
        return dashboard["panels"]!.AsArray().SelectMany(panel => panel!["targets"]?.AsArray() ?? []).Select(target => (string)target!["expr"]!);
    }

    private static IEnumerable<string> AlertExpressions() =>
        Alert().Matches(File.ReadAllText(Path.Combine(Deploy, "prometheus", "alerts.yml"))).Select(match => match.Groups[1].Value);

    /// <summary>Sample names with their labels, after one answer, one cut by a limit, and one refusal.</summary>
    private static async Task<Dictionary<string, HashSet<string>>> ReadSeriesAsync()
    {
        await using var server = await TestServer.StartAsync();
        await server.CompleteAsync(TestServer.Body());
        await server.CompleteAsync(TestServer.Body("\"max_tokens\":1"));
        using var refused = await server.PostAsync(TestServer.Body("\"max_tokens\":-1"));

        var series = new Dictionary<string, HashSet<string>>();
        foreach (var line in (await server.Client.GetStringAsync("/metrics")).Split('\n').Where(line => line.Length > 0 && line[0] != '#'))
        {
            var name = line[..line.IndexOfAny(['{', ' '])];
            series.TryAdd(name, []);
            series[name].UnionWith(Label().Matches(line).Select(match => match.Groups[1].Value));
        }
        return series;
    }

    [GeneratedRegex("\\b(?:tessera_|process_|vllm:)[a-z_]+")]
    private static partial Regex Series();

    [GeneratedRegex("\"[^\"]*\"")]
    private static partial Regex Quoted();

    [GeneratedRegex("[{,]([a-z_]+)=~?\"")]
    private static partial Regex Selected();

    [GeneratedRegex("\\bby \\(([a-z_, ]+)\\)")]
    private static partial Regex Grouped();

    [GeneratedRegex("expr: (.+)")]
    private static partial Regex Alert();

    [GeneratedRegex("[{,]([a-z_]+)=\"")]
    private static partial Regex Label();
}
