using System.Text;
using System.Text.Json;

namespace Tessera.LoadTests.Reporting;

/// <summary>The report as one HTML file that needs nothing else: data, style, script and chart library lie in it, and it loads nothing from anywhere.</summary>
public static class HtmlReport
{
    /// <summary>Name of the file in the output folder.</summary>
    public const string Name = "report.html";

    // The report comes last: what it holds is not looked through for other placeholders.
    private static readonly (string Placeholder, string Resource)[] Parts =
    [
        ("{{chart-library-style}}", "uplot.css"), ("{{style}}", "report.css"), ("{{chart-library-licence}}", "uplot.license"), ("{{chart-library}}", "uplot.js"), ("{{script}}", "report.js"),
    ];

    /// <summary>Names of the charts that a report has, in order.</summary>
    public static IReadOnlyList<string> Charts(LoadReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        if (report.Points.Count == 0)
        {
            return [];
        }

        var arms = report.Points[^1].Arms;
        return
        [
            "latency", "first-answer", "tokens",
            .. arms.Count > 1 ? ["dial"] : Array.Empty<string>(),
            .. arms.Any(arm => arm.Memory.KvInUse.Any(bytes => bytes is not null)) ? ["kv"] : Array.Empty<string>(),
            .. arms.Any(arm => arm.Memory.Resident.Any(bytes => bytes is not null)) ? ["resident"] : Array.Empty<string>(),
            .. report.Points.Count > 1 ? ["throughput"] : Array.Empty<string>(),
            "in-flight",
        ];
    }

    /// <summary>The whole file.</summary>
    public static byte[] Build(LoadReport report)
    {
        var page = Read("report.html") ?? throw new InvalidOperationException("report.html is not in the program");
        foreach (var (placeholder, resource) in Parts)
        {
            // Without the chart library (a build without npm) the page still has its tables.
            page = page.Replace(placeholder, Read(resource) ?? "", StringComparison.Ordinal);
        }

        // The serialiser writes < as \u003C: nothing in the data can end the script element.
        return Encoding.UTF8.GetBytes(page.Replace("{{report}}", JsonSerializer.Serialize(report, ReportJson.Default.LoadReport), StringComparison.Ordinal));
    }

    private static string? Read(string resource)
    {
        using var stream = typeof(HtmlReport).Assembly.GetManifestResourceStream(resource);
        if (stream is null)
        {
            return null;
        }

        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().TrimEnd();
    }
}
