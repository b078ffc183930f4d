using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.Page.Tests.Support;

namespace Tessera.Page.Tests;

[Collection(BrowserTests.Name)]
public sealed partial class CompareTests(BrowserFixture browser)
{
    [Fact]
    public async Task Compare_OnePrompt_ShowsTheMeasuredDifferenceOfTwoRealRuns()
    {
        await using var visit = await browser.OpenAsync();
        var prompt = await visit.ChooseAsync("prontoqa-1");
        var answers = new[] { await browser.AskAsync(prompt, "text"), await browser.AskAsync(prompt, "latent") };
        var (text, latent) = (answers[0]["usage"]!, answers[1]["usage"]!);
        var said = answers.Select(answer => (string)answer["choices"]![0]!["message"]!["content"]!).Distinct().Count();

        await visit.Page.ClickAsync("#compare");
        await visit.Page.Locator("#pair").WaitForAsync();

        Assert.Equal("measured_pair", await visit.Page.InnerTextAsync(".basis"));
        Assert.Equal(["In text", "In latents"], await visit.Page.Locator(".lane h2").AllInnerTextsAsync());
        var rows = await visit.Page.Locator("#pair li").AllInnerTextsAsync();
        Assert.Equal(["Tokens", "Steps", "Time", "KV cache"], rows.Select(row => row.Split('\n')[0]));
        var (textTokens, latentTokens) = ((int)text["completion_tokens"]!, (int)latent["completion_tokens"]!);
        var saved = textTokens - latentTokens;
        var share = Significant(100.0 * saved / textTokens);
        Assert.Equal(["Tokens", $"{saved} saved ({share} %)", "Text", $"{textTokens}", "Latents", $"{latentTokens}"], Lines(rows[0]));
        Assert.Equal(["Steps", $"{saved} saved ({share} %)", "Text", $"{textTokens}", "Latents", $"{latentTokens}"], Lines(rows[1]));
        Assert.Matches("^Time\n+[0-9.]+ m?s (saved|more) \\([0-9.]+ %\\)\n", rows[2]);

        var bytesPerPosition = (long)JsonNode.Parse(await browser.Server.Http.GetStringAsync("/info"))!["engine"]!["kv_bytes_per_position"]!;
        var kv = new[] { text, latent }.Select(usage => ((int)usage["prompt_tokens"]! + (int)usage["completion_tokens"]! - 1) * bytesPerPosition).ToArray();
        Assert.Equal(
            ["KV cache", $"{Kibibytes(kv[0] - kv[1])} saved ({Significant(100.0 * (kv[0] - kv[1]) / kv[0])} %)", "Text", Kibibytes(kv[0]), "Latents", Kibibytes(kv[1])],
            Lines(rows[3]));
        Assert.Equal([$"{textTokens}", $"{latentTokens}"], await visit.Page.Locator(".lane .tokens").AllInnerTextsAsync());
        Assert.Equal([Kibibytes(kv[0]), Kibibytes(kv[1])], await visit.Page.Locator(".lane .kv").AllInnerTextsAsync());
        Assert.All(await visit.Page.Locator(".lane .time").AllInnerTextsAsync(), time => Assert.Matches("^[0-9.]+ m?s$", time));
        Assert.StartsWith(said == 1 ? "Both runs gave the same answer." : "The two runs gave different answers.", await visit.Page.InnerTextAsync("#pair .note"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_WhileItRuns_CountersAreLive()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        await using var visit = await browser.OpenAsync(gate.Address);
        var pieces = 0;
        var hold = gate.HoldAt(line => line.Contains("\"reasoning_content\"", StringComparison.Ordinal) && ++pieces == 6);

        await visit.Page.ClickAsync("#compare");
        await hold.ReachedAsync();
        await visit.WaitForStateAsync("text");

        var lane = visit.Lane();
        Assert.Equal("thinking in text", await lane.Locator(".state").InnerTextAsync());
        Assert.Equal("waiting", await visit.Lane(1).Locator(".state").InnerTextAsync());
        await visit.Page.WaitForFunctionAsync("() => Number(document.querySelector('.lane .tokens').textContent) >= 5");
        var time = await lane.Locator(".time").InnerTextAsync();
        await visit.Page.WaitForFunctionAsync("shown => document.querySelector('.lane .time').textContent !== shown", time);
        Assert.False(await visit.Page.Locator("#pair").IsVisibleAsync());

        hold.Release();
        await visit.Page.Locator("#pair").WaitForAsync();
    }

    [Fact]
    public async Task Compare_TextRunCutByTheLimit_SaysSo()
    {
        await using var visit = await browser.OpenAsync();
        var latent = await browser.AskAsync(await visit.ChooseAsync("prontoqa-1"), "latent");
        await visit.Page.ClickAsync("summary >> text=More settings");
        await visit.Page.FillAsync("#max-tokens", $"{latent["usage"]!["completion_tokens"]}");

        await visit.Page.ClickAsync("#compare");
        await visit.Page.Locator("#pair").WaitForAsync();

        Assert.Equal("cut by the token limit", await visit.Lane().Locator(".state").InnerTextAsync());
        var note = await visit.Page.InnerTextAsync("#pair .note");
        Assert.StartsWith("The two runs gave different answers. The text run was cut by the token limit", note, StringComparison.Ordinal);
    }

    private static string[] Lines(string row) => Blank().Split(row.Trim());

    private static string Kibibytes(long bytes) => $"{Significant(bytes / 1024.0)} KiB";

    // Three digits as the page has them: JavaScript's toPrecision takes the larger of two that are as close, the format G3 the even one (51.25 KiB).
    private static string Significant(double value)
    {
        var unit = value == 0 ? 1 : (decimal)Math.Pow(10, Math.Floor(Math.Log10(Math.Abs(value))) - 2);
        return (Math.Round((decimal)value / unit, MidpointRounding.AwayFromZero) * unit).ToString("0.###", CultureInfo.InvariantCulture);
    }

    [GeneratedRegex("\n+")]
    private static partial Regex Blank();
}
