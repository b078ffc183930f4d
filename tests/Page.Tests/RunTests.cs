using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Tessera.Page.Tests.Support;

namespace Tessera.Page.Tests;

[Collection(BrowserTests.Name)]
public sealed class RunTests(BrowserFixture browser)
{
    [Fact]
    public async Task Run_InLatents_TilesAppearWhileTheModelStillWrites()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        await using var visit = await browser.OpenAsync(gate.Address);
        var prompt = await visit.ChooseAsync("prontoqa-1");
        var seen = 0;
        var hold = gate.HoldAt(line => IsLatent(line) && ++seen == 2);

        await visit.Page.ClickAsync("#run");
        await hold.ReachedAsync();
        await visit.WaitForStateAsync("latent");

        Assert.Equal(1, await visit.Tiles.CountAsync());
        Assert.NotEqual("0", await visit.Lane().Locator(".tokens").InnerTextAsync());
        Assert.Equal("thinking in latents", await visit.Lane().Locator(".state").InnerTextAsync());
        Assert.True(await visit.Page.Locator("#run").IsDisabledAsync());
        Assert.True(await visit.Page.Locator("#stop").IsEnabledAsync());
        Assert.False(await visit.Lane().Locator(".answer").IsVisibleAsync());

        hold.Release();
        await visit.WaitForEndAsync();
        await AssertShowsAsync(visit, await browser.AskAsync(prompt, "latent"));
    }

    [Theory]
    [InlineData("auto", "prontoqa-1")]
    [InlineData("latent", "prontoqa-1")]
    [InlineData("text", "prosqa-3")]
    [InlineData("none", "prosqa-short")]
    public async Task Run_EachMode_ShowsWhatTheServerSays(string mode, string example)
    {
        await using var visit = await browser.OpenAsync();
        var prompt = await visit.ChooseAsync(example);
        await visit.SetModeAsync(mode);

        await visit.RunAsync();

        await AssertShowsAsync(visit, await browser.AskAsync(prompt, mode));
    }

    [Fact]
    public async Task Run_BudgetOfOne_GoesOnInText()
    {
        await using var visit = await browser.OpenAsync();
        var prompt = await visit.ChooseAsync("prosqa-3");
        await visit.Page.Locator("#budget").FillAsync("1");
        Assert.Equal("1", await visit.Page.InnerTextAsync("#budget-value"));

        await visit.RunAsync();

        Assert.Equal(1, await visit.Tiles.CountAsync());
        Assert.True(await visit.Lane().Locator(".spelled").IsVisibleAsync());
        await AssertShowsAsync(visit, await browser.AskAsync(prompt, "latent", latentBudget: 1));
    }

    [Fact]
    public async Task Run_StreamInSmallPieces_ShowsTheSame()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        gate.PieceBytes = 7;
        await using var visit = await browser.OpenAsync(gate.Address);
        var prompt = await visit.ChooseAsync("prosqa-short");

        await visit.RunAsync();

        await AssertShowsAsync(visit, await browser.AskAsync(prompt, "latent"));
    }

    [Fact]
    public async Task Tile_HoverFocusAndTap_ShowItsHintAndCertainty()
    {
        await using var visit = await browser.OpenAsync();
        var prompt = await visit.ChooseAsync("prontoqa-1");
        var hints = HintsOf(await browser.AskAsync(prompt, "latent"));
        await visit.RunAsync();

        await visit.Tiles.Nth(0).HoverAsync();
        await AssertReadsAsync(visit, 0, hints);
        await visit.Tiles.Nth(1).FocusAsync();
        await AssertReadsAsync(visit, 1, hints);
        await visit.Page.Keyboard.PressAsync("End");
        await AssertReadsAsync(visit, hints.Count - 1, hints);
        await visit.Page.Keyboard.PressAsync("ArrowLeft");
        await AssertReadsAsync(visit, hints.Count - 2, hints);
        await visit.Tiles.Nth(0).ClickAsync();
        await AssertReadsAsync(visit, 0, hints);
    }

    [Fact]
    public async Task ShowAllHints_Pressed_ListsThem()
    {
        await using var visit = await browser.OpenAsync();
        var prompt = await visit.ChooseAsync("prontoqa-1");
        await visit.RunAsync();

        await visit.Page.ClickAsync(".unfold");

        Assert.Equal(HintsOf(await browser.AskAsync(prompt, "latent")), await visit.Page.Locator(".tile .hint").AllInnerTextsAsync());
        Assert.False(await visit.Page.Locator(".reading").IsVisibleAsync());
    }

    [Fact]
    public async Task Stop_InTheMiddle_KeepsWhatCameAndFreesTheServer()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        await using var visit = await browser.OpenAsync(gate.Address);
        await visit.ChooseAsync("prontoqa-1");
        var seen = 0;
        var hold = gate.HoldAt(line => IsLatent(line) && ++seen == 2);
        await visit.Page.ClickAsync("#run");
        await hold.ReachedAsync();
        await visit.Tiles.First.WaitForAsync();

        await visit.Page.ClickAsync("#stop");

        await visit.WaitForStateAsync("stopped");
        Assert.Equal(1, await visit.Tiles.CountAsync());
        await browser.Server.WaitUntilIdleAsync();
        // And it runs again.
        await visit.RunAsync();
        Assert.True(await visit.Tiles.CountAsync() > 1);
    }

    private static bool IsLatent(string line) => line.Contains("\"latent_reasoning\"", StringComparison.Ordinal) && !line.Contains("\"hint\"", StringComparison.Ordinal);

    private static List<string> HintsOf(JsonNode answer) =>
        [.. answer["choices"]![0]!["message"]!["latent_reasoning"]!["spans"]!.AsArray().SelectMany(span => span!["hints"]!.AsArray()).Select(hint => (string)hint!)];

    private static async Task AssertReadsAsync(Visit visit, int index, List<string> hints)
    {
        await Assertions.Expect(visit.Page.Locator(".reading-hint")).ToHaveTextAsync(hints[index]);
        var head = await visit.Page.InnerTextAsync(".reading-head");
        Assert.StartsWith($"Latent {index + 1} of {hints.Count}, code ", head, StringComparison.Ordinal);
        Assert.Matches("^The decoder is (over )?[0-9.]+ % sure\\.$", await visit.Page.InnerTextAsync(".sure"));
        Assert.Contains(hints[index], await visit.Tiles.Nth(index).GetAttributeAsync("aria-label"), StringComparison.Ordinal);
    }

    private static async Task AssertShowsAsync(Visit visit, JsonNode answer)
    {
        var message = answer["choices"]![0]!["message"]!;
        var usage = answer["usage"]!;
        var spans = message["latent_reasoning"]?["spans"]?.AsArray().SelectMany(span => span!["codes"]!.AsArray()) ?? [];
        Assert.Equal(spans.Select(code => code!.ToJsonString()), await visit.Page.Locator(".tile .code").AllInnerTextsAsync());
        Assert.Equal((string?)message["reasoning"] ?? "", (await visit.Page.Locator(".spelled p").TextContentAsync())!);
        Assert.Equal(message["content"]!.ToString() is { Length: > 0 } said ? said : "(no answer)", await visit.Page.InnerTextAsync(".said"));
        Assert.Equal($"{usage["completion_tokens"]}", await visit.Page.InnerTextAsync(".tokens"));

        var details = usage["completion_tokens_details"]!;
        var kinds = new[]
        {
            Kind((int)details["latent_tokens"]!, "latent", "latents"),
            Kind((int)details["control_tokens"]!, "delimiter", "delimiters"),
            Kind((int)details["reasoning_text_tokens"]!, "reasoning text", "reasoning text"),
            Kind((int)usage["completion_tokens"]! - (int)details["reasoning_tokens"]!, "answer", "answer"),
        };
        Assert.Equal(kinds.Where(kind => kind is not null), await visit.Page.Locator(".legend li").AllInnerTextsAsync());
    }

    private static string? Kind(int count, string one, string many) => count == 0 ? null : $"{count} {(count == 1 ? one : many)}";
}
