using Tessera.Page.Tests.Support;

namespace Tessera.Page.Tests;

/// <summary>Who has no mouse, no large screen or does not see the page uses it too.</summary>
[Collection(BrowserTests.Name)]
public sealed class AccessTests(BrowserFixture browser)
{
    [Fact]
    public async Task KeyboardOnly_ChooseSetRunAndRead_Works()
    {
        await using var visit = await browser.OpenAsync();
        var keys = visit.Page.Keyboard;
        await TabToAsync(visit, "example");
        await keys.PressAsync("ArrowDown");
        Assert.Equal("prosqa-1", await visit.Page.InputValueAsync("#example"));
        await TabToAsync(visit, "prompt");
        await TabToAsync(visit, "mode");
        await keys.PressAsync("ArrowLeft");
        Assert.True(await visit.Page.IsCheckedAsync("input[value=auto]"));
        await TabToAsync(visit, "budget");
        await keys.PressAsync("ArrowLeft");
        Assert.Equal("12", await visit.Page.GetAttributeAsync("#budget", "aria-valuetext"));
        await TabToAsync(visit, "run");
        await keys.PressAsync("Enter");
        await visit.WaitForEndAsync();
        var tiles = await visit.Tiles.CountAsync();

        await TabToAsync(visit, "tile");
        await keys.PressAsync("Home");
        Assert.StartsWith($"Latent 1 of {tiles}, ", await visit.Page.InnerTextAsync(".reading-head"), StringComparison.Ordinal);
        await keys.PressAsync("ArrowRight");
        Assert.StartsWith($"Latent 2 of {tiles}, ", await visit.Page.InnerTextAsync(".reading-head"), StringComparison.Ordinal);

        // From anywhere.
        await keys.PressAsync("Control+Enter");
        await visit.WaitForEndAsync();
    }

    [Fact]
    public async Task Escape_WhileItRuns_Stops()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        await using var visit = await browser.OpenAsync(gate.Address);
        var hold = gate.HoldAt(line => line.Contains("\"codes\"", StringComparison.Ordinal));
        await visit.Page.FocusAsync("#prompt");
        await visit.Page.Keyboard.PressAsync("Control+Enter");
        await hold.ReachedAsync();

        await visit.Page.Keyboard.PressAsync("Escape");

        await visit.WaitForStateAsync("stopped");
    }

    [Fact]
    public async Task ScreenReader_Controls_AllHaveANameAndTheEndIsAnnounced()
    {
        await using var visit = await browser.OpenAsync();
        await visit.Page.ClickAsync("summary >> text=More settings");
        await visit.Page.ClickAsync("#key-field summary");
        var answer = await browser.AskAsync(await visit.ChooseAsync("prosqa-short"), "latent");
        await visit.RunAsync();

        var nameless = await visit.Page.EvaluateAsync<string[]>("""
            () => [...document.querySelectorAll('button, input, select, textarea, summary')]
              .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() && e.tagName !== 'TEXTAREA' && e.tagName !== 'SELECT' || [...e.labels ?? []].some(l => l.textContent.trim())))
              .map(e => e.outerHTML)
            """);
        Assert.Empty(nameless);
        var usage = answer["usage"]!;
        Assert.Equal(
            $"Done. {usage["completion_tokens"]} tokens, of them {usage["completion_tokens_details"]!["latent_tokens"]} latents. "
                + $"Answer: {answer["choices"]![0]!["message"]!["content"]}",
            await visit.Page.TextContentAsync("#status"));
        Assert.Equal("polite", await visit.Page.GetAttributeAsync("#status", "aria-live"));
        Assert.Equal("en", await visit.Page.GetAttributeAsync("html", "lang"));
        Assert.Equal(["Tessera"], await visit.Page.GetByRole(Microsoft.Playwright.AriaRole.Heading, new() { Level = 1 }).AllInnerTextsAsync());
    }

    [Theory]
    [InlineData(1280, false)]
    [InlineData(1280, true)]
    [InlineData(360, false)]
    [InlineData(360, true)]
    public async Task Window_EachWidthAndScheme_FitsAndCanBeRead(int width, bool dark)
    {
        await using var visit = await browser.OpenAsync(width: width, dark: dark);
        var name = $"{(width < 600 ? "phone" : "desktop")}-{(dark ? "dark" : "light")}";
        await AssertFitsAsync(visit, $"{name}-1-start");

        await visit.ChooseAsync("prosqa-1");
        await visit.RunAsync();
        await AssertFitsAsync(visit, $"{name}-2-run");
        await visit.Page.ClickAsync(".unfold");
        Assert.False(await visit.ScrollsSidewaysAsync());

        await visit.ChooseAsync("prontoqa-1");
        await visit.Page.ClickAsync("#compare");
        await visit.Page.Locator("#pair").WaitForAsync();
        await AssertFitsAsync(visit, $"{name}-3-compare");

        await visit.Page.ClickAsync("#curl");
        await visit.Page.Locator("#curl-box").WaitForAsync();
        Assert.False(await visit.ScrollsSidewaysAsync());
    }

    /// <summary>Presses Tab until the focus is on an element with this id, name or class, and checks that it can be seen there.</summary>
    private static async Task TabToAsync(Visit visit, string target)
    {
        for (var presses = 0; presses < 40; presses++)
        {
            await visit.Page.Keyboard.PressAsync("Tab");
            var there = await visit.Page.EvaluateAsync<bool>(
                "target => { const e = document.activeElement; return e.id === target || e.name === target || e.classList.contains(target); }", target);
            if (there)
            {
                // A radio button shows its focus on the label's text, which lies over it.
                Assert.NotEqual("none", await visit.Page.EvaluateAsync<string>(
                    "() => { const e = document.activeElement; return getComputedStyle(e.type === 'radio' ? e.nextElementSibling : e).outlineStyle; }"));
                return;
            }
        }
        Assert.Fail($"Tab never reaches {target}.");
    }

    private static async Task AssertFitsAsync(Visit visit, string name)
    {
        await visit.PictureAsync(name);
        Assert.False(await visit.ScrollsSidewaysAsync());
        Assert.Empty(await visit.Page.EvaluateAsync<string[]>(LowContrast));
        Assert.Empty(await visit.Page.EvaluateAsync<string[]>(SmallTargets));
    }

    /// <summary>Text whose contrast with what lies behind it is below 4.5 to 1 (WCAG AA); controls that are switched off are exempt.</summary>
    private const string LowContrast = """
        () => {
          const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
          const rgba = (colour) => { pixel.clearRect(0, 0, 1, 1); pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); return [...pixel.getImageData(0, 0, 1, 1).data]; };
          const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const behind = (element) => { for (let e = element; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255, 255]; };
          const low = [];
          for (const element of document.querySelectorAll('body *')) {
            const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
            if (!own || !element.checkVisibility() || element.closest('.hidden, .skip, :disabled, .off, option, script, template')) continue;
            const [front, back] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
            const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
            if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
          }
          return low;
        }
        """;

    /// <summary>Things to press that are smaller than 24 CSS pixels (WCAG 2.2 AA).</summary>
    private const string SmallTargets = """
        () => [...document.querySelectorAll('button, select, summary, input[type=range], .modes label')].filter(e => e.checkVisibility())
          .filter(e => { const box = e.getBoundingClientRect(); return box.width < 24 || box.height < 24; }).map(e => e.outerHTML.slice(0, 120))
        """;
}
