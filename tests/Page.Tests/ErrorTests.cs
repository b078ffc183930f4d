using Tessera.EndToEnd.Tests.Support;
using Tessera.Page.Tests.Support;

namespace Tessera.Page.Tests;

[Collection(BrowserTests.Name)]
public sealed class ErrorTests(BrowserFixture browser)
{
    [Fact]
    public async Task Run_RefusedByTheServer_ShowsItsReasonAndRequestId()
    {
        await using var visit = await browser.OpenAsync(expectsFailures: true);
        await visit.Page.ClickAsync("summary >> text=More settings");
        await visit.Page.FillAsync("#max-tokens", "999999999");

        await visit.Page.ClickAsync("#run");
        await visit.WaitForStateAsync("failed");

        var alert = visit.Page.GetByRole(Microsoft.Playwright.AriaRole.Alert);
        var lines = (await alert.InnerTextAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.StartsWith("max_tokens: ", lines[0], StringComparison.Ordinal);
        Assert.Matches("^Request [0-9a-f]{32}\\.$", lines[^1]);
        Assert.True(await visit.Page.Locator("#run").IsEnabledAsync());
        await visit.PictureAsync("error");

        // A corrected request runs.
        await visit.Page.FillAsync("#max-tokens", "");
        await visit.RunAsync();
        Assert.Equal(0, await alert.Locator("visible=true").CountAsync());
    }

    [Fact]
    public async Task Compare_RefusedByTheServer_ShowsItOnce()
    {
        await using var visit = await browser.OpenAsync(expectsFailures: true);
        await visit.Page.FillAsync("#prompt", string.Concat(Enumerable.Repeat("Every wumpus is a lempus. ", 2000)));

        await visit.Page.ClickAsync("#compare");
        await visit.WaitForStateAsync("failed");

        Assert.Contains("messages", await visit.Lane().Locator(".alert").InnerTextAsync(), StringComparison.Ordinal);
        Assert.False(await visit.Page.Locator("#pair").IsVisibleAsync());
        Assert.True(await visit.Page.Locator("#compare").IsEnabledAsync());
    }

    [Fact]
    public async Task Run_ConnectionCutInTheMiddle_KeepsTheTilesAndSaysSo()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        await using var visit = await browser.OpenAsync(gate.Address, expectsFailures: true);
        var seen = 0;
        var hold = gate.HoldAt(line => line.Contains("\"codes\"", StringComparison.Ordinal) && ++seen == 2);
        await visit.Page.ClickAsync("#run");
        await hold.ReachedAsync();
        await visit.Tiles.First.WaitForAsync();

        hold.Cut();
        await visit.WaitForStateAsync("failed");

        Assert.Equal(1, await visit.Tiles.CountAsync());
        Assert.Equal("The connection ended before the answer did.", await visit.Lane().Locator(".alert").InnerTextAsync());
    }

    [Fact]
    public async Task Run_ServerGone_SaysSo()
    {
        await using var server = await ServerProcess.StartAsync();
        await using var visit = await browser.OpenAsync(server.Rest, expectsFailures: true);
        await server.StopAsync();

        await visit.Page.ClickAsync("#run");
        await visit.WaitForStateAsync("failed");

        Assert.Equal("The server does not answer.", await visit.Lane().Locator(".alert").InnerTextAsync());
    }

    [Fact]
    public async Task Run_EmptyPrompt_IsNotSent()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        await using var visit = await browser.OpenAsync(gate.Address);
        await visit.Page.FillAsync("#prompt", "");

        await visit.Page.ClickAsync("#run");

        Assert.Equal("prompt", await visit.Page.EvaluateAsync<string>("document.activeElement.id"));
        Assert.Equal(0, await visit.Page.Locator(".lane").CountAsync());
        Assert.Empty(gate.Authorizations);
    }
}
