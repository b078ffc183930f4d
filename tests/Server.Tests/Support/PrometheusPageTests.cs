namespace Tessera.Server.Tests.Support;

/// <summary>The reader that the metrics tests rest on refuses what a scraper would misread.</summary>
public sealed class PrometheusPageTests
{
    [Fact]
    public void Parse_CounterGaugeAndHistogram_AreRead()
    {
        var page = PrometheusPage.Parse(
            "# HELP a_total Help\\n.\n# TYPE a_total counter\na_total{x=\"1\\\"\\\\\\n\",y=\"\"} 2\na_total 3e2\n"
            + "# HELP b Bee.\n# TYPE b gauge\nb -1.5\n"
            + "# HELP c C.\n# TYPE c histogram\nc_bucket{le=\"0.5\"} 1\nc_bucket{le=\"+Inf\"} 3\nc_sum 4\nc_count 3\n");

        Assert.Equal(2, page.Value("a_total", ("x", "1\"\\\n"), ("y", "")));
        Assert.Equal(302, page.Sum("a_total"));
        Assert.Equal(-1.5, page.Value("b"));
        Assert.Equal(3, page.Count("c"));
    }

    [Theory]
    [InlineData("# HELP a A.\n# TYPE a gauge\na 1")]
    [InlineData("# TYPE a gauge\na 1\n")]
    [InlineData("# HELP a \n# TYPE a gauge\na 1\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\na 1\na 2\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\nb 1\n")]
    [InlineData("# HELP a A.\n# TYPE a counter\na 1\n")]
    [InlineData("# HELP a_total A.\n# TYPE a_total counter\na_total -1\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\na{b=\"1\",} 1\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\na{b=\"\\x\"} 1\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\na  1\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\na 1,5\n")]
    [InlineData("# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n")]
    [InlineData("# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n")]
    [InlineData("# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n")]
    [InlineData("# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na 1\n")]
    public void Parse_WhatAScraperWouldMisread_IsRefused(string page) => Assert.Throws<FormatException>(() => PrometheusPage.Parse(page));
}
