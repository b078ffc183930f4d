using System.Text.Json;
using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Reporting;

/// <summary>report.json against its schema, report.html, and the charts as PNG.</summary>
public sealed class ReportFilesTests : IDisposable
{
    private const string Metrics = "process_resident_memory_bytes 5\ntessera_kv_cache_bytes_in_use 6\n";

    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    private string Page => File.ReadAllText(Path.Combine(_run.Folder, "out", "report.html"));

    // Two loads, three arms, failures and a wrong usage; reads of /metrics in every phase.
    private async Task SweepAsync(string model = "tiny")
    {
        await using var server = await ScriptedServer.StartAsync(
            async (request, context) =>
            {
                if (request is { IsLatent: false, Prompt: "question 2" })
                {
                    await ScriptedServer.WriteErrorAsync(context, 429, """{"error":{"message":"the queue is full"}}""");
                    return;
                }

                var usage = request is { IsLatent: true, Prompt: "question 1" } ? Usage.Of(20, 1, 1, 1) with { Total = 1 } : null;
                await ScriptedServer.WriteEventsAsync(context, Transcript.Response(request.IsLatent ? 1 : 0, 1, request.Prompt.Split(' ')[1], usage: usage));
            },
            models: JsonSerializer.Serialize(new { data = new[] { new { id = model } } }),
            metrics: () => Metrics);
        var exitCode = await _run.CompareAsync(
            server.Url, Samples.Jsonl(3), "--concurrency", "1,2", "--latent-budget", "0,all", "--warmup", "0", "--goodput", "e2e:60000");
        Assert.Equal(ExitCodes.Flawed, exitCode);
    }

    private static List<string> CheckSchema(string report)
    {
        using var schema = JsonDocument.Parse(File.ReadAllText(Repository.Find("docs", "reference", "load-report.schema.json")));
        using var document = JsonDocument.Parse(report);
        return [.. SchemaCheck.Problems(document.RootElement, schema.RootElement)];
    }

    [Fact]
    public async Task Compare_Sweep_FitsTheDocumentedSchema()
    {
        await SweepAsync();

        Assert.Empty(CheckSchema(_run.ReportText));
        Assert.Equal(["text", "latent:0", "latent"], _run.Report.Points[1].Arms.Select(arm => arm.Arm));
        Assert.Equal(["latent:0", "latent"], _run.Report.Points[1].Comparisons.Select(comparison => comparison.Arm));
        Assert.Single(CheckSchema(_run.ReportText.Replace("\"command\"", "\"comand\"", StringComparison.Ordinal)), problem => problem.Contains("missing", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_OpenLoop_FitsTheDocumentedSchema()
    {
        await using var server = await ScriptedServer.StartAsync(_ => Transcript.Response(1, 1, "1"));

        await _run.LoadAsync(server.Url, Samples.Jsonl(30), "--rate", "500", "--ramp-from", "100", "--ramp", "exponential", "--warmup", "0");

        Assert.Empty(CheckSchema(_run.ReportText));
        Assert.Equal((100, "exponential"), (_run.Point.Load.RampFrom!.Value, _run.Point.Load.RampShape));
        Assert.NotNull(_run.Point.Arms[0].Saturation);
    }

    [Fact]
    public async Task Schema_Command_PrintsASchemaThatTheReportFits()
    {
        using var schema = JsonDocument.Parse(ReportSchema.Build());
        await SweepAsync();

        using var report = JsonDocument.Parse(_run.ReportText);
        Assert.Empty(SchemaCheck.Problems(report.RootElement, schema.RootElement));
    }

    [Fact]
    public async Task Compare_Page_HoldsTheReportAndNeedsNothingElse()
    {
        await SweepAsync();

        var page = Page;
        var start = page.IndexOf("id=\"report\">", StringComparison.Ordinal) + "id=\"report\">".Length;
        using var embedded = JsonDocument.Parse(page[start..page.IndexOf("</script>", start, StringComparison.Ordinal)]);
        using var written = JsonDocument.Parse(_run.ReportText);
        Assert.True(JsonElement.DeepEquals(written.RootElement, embedded.RootElement));
        Assert.DoesNotContain("{{", page.Replace(page[start..page.IndexOf("</script>", start, StringComparison.Ordinal)], "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("<link", page, StringComparison.Ordinal);
        Assert.DoesNotContain(" src=", page, StringComparison.Ordinal);
        Assert.DoesNotContain("@import", page, StringComparison.Ordinal);
        Assert.Contains("default-src 'none'", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_PageWithNpm_CarriesTheChartLibraryAndItsLicence()
    {
        await SweepAsync();

        // A build without node_modules has tables alone; then there is nothing to carry.
        var hasLibrary = File.Exists(Repository.Find("node_modules", "uplot", "dist", "uPlot.iife.min.js"));
        Assert.Equal(hasLibrary, Page.Contains("var uPlot=", StringComparison.Ordinal));
        Assert.Equal(hasLibrary, Page.Contains("Permission is hereby granted, free of charge", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Compare_HostileModelName_CannotLeaveItsData()
    {
        const string hostile = "</script><script>alert(1)</script>{{script}}";

        await SweepAsync(hostile);

        Assert.Equal(hostile, _run.Report.Run.Model);
        Assert.DoesNotContain("<script>alert", Page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WriteCharts_Browser_DrawsEachChartOfThePage()
    {
        await SweepAsync();
        var folder = Path.Combine(_run.Folder, "out");

        var line = await ChartImages.WriteAsync(
            folder, _run.Report, Repository.Find("tests", "LoadTests.Tests", "Support", "stand-in-browser.sh"), TestContext.Current.CancellationToken);

        var charts = HtmlReport.Charts(_run.Report);
        Assert.Equal(["latency", "first-answer", "tokens", "dial"], charts.Take(4));
        Assert.Equal(["throughput", "in-flight"], charts.TakeLast(2));
        Assert.Equal(string.Join(", ", charts.Select(chart => $"chart-{chart}.png")), line);
        foreach (var chart in charts)
        {
            var address = await File.ReadAllTextAsync(Path.Combine(folder, $"chart-{chart}.png"), TestContext.Current.CancellationToken);
            Assert.Equal($"{new Uri(Path.Combine(folder, "report.html")).AbsoluteUri}#chart={chart}", address);
        }
    }

    [Fact]
    public async Task WriteCharts_BrowserFails_SaysWhichOne()
    {
        await SweepAsync();
        var folder = Path.Combine(_run.Folder, "out");
        await File.WriteAllTextAsync(Path.Combine(folder, "fail"), "", TestContext.Current.CancellationToken);
        var browser = Repository.Find("tests", "LoadTests.Tests", "Support", "stand-in-browser.sh");

        var line = await ChartImages.WriteAsync(folder, _run.Report, browser, TestContext.Current.CancellationToken);

        Assert.Equal($"chart-in-flight.png failed: {browser}: no picture, exit code 7", line);
    }

    [Theory]
    [InlineData(null, "none: PNG needs Chromium or Chrome; install one, or name it in TESSERA_CHROMIUM")]
    [InlineData("/no/such/browser", "chart-latency.png failed: /no/such/browser: cannot be started")]
    public async Task WriteCharts_NoBrowser_SaysWhatToDo(string? browser, string expected)
    {
        await SweepAsync();

        Assert.Equal(expected, await ChartImages.WriteAsync(Path.Combine(_run.Folder, "out"), _run.Report, browser, TestContext.Current.CancellationToken));
    }
}
