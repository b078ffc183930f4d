using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Tessera.EndToEnd.Tests.Support;

namespace Tessera.Page.Tests.Support;

/// <summary>One server with the shipped model and one browser for all tests; each test gets a page of its own.</summary>
public sealed class BrowserFixture : IAsyncLifetime
{
    // Without these the browser would look for its maker's services, which are no part of the page.
    private static readonly string[] Arguments =
    [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    internal ServerProcess Server { get; private set; } = null!;

    /// <summary>Where pictures of the page go.</summary>
    internal static string Results { get; } = Environment.GetEnvironmentVariable("TESSERA_PAGE_RESULTS") ?? Path.Combine(Repository.Root, "results", "page");

    public async ValueTask InitializeAsync()
    {
        Server = await ServerProcess.StartAsync();
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Environment.GetEnvironmentVariable("TESSERA_CHROMIUM") ?? "/usr/bin/chromium",
            Args = Arguments,
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }
        _playwright?.Dispose();
        if (Server is not null)
        {
            await Server.DisposeAsync();
        }
    }

    /// <summary>Opens the page and waits until it can be used.</summary>
    /// <param name="address">The server, or a gate before it.</param>
    /// <param name="width">Width of the window in CSS pixels.</param>
    /// <param name="dark">Whether the user prefers dark colours.</param>
    /// <param name="expectsFailures">Whether requests fail on purpose.</param>
    internal async Task<Visit> OpenAsync(Uri? address = null, int width = 1280, bool dark = false, bool expectsFailures = false)
    {
        var context = await _browser!.NewContextAsync(new()
        {
            ViewportSize = new() { Width = width, Height = width < 600 ? 740 : 900 },
            ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
            HasTouch = width < 600,
            ReducedMotion = ReducedMotion.Reduce,
            Permissions = ["clipboard-read", "clipboard-write"],
        });
        var page = await context.NewPageAsync();
        page.SetDefaultTimeout(60_000);
        var visit = new Visit(page, address ?? Server.Rest) { ExpectsFailures = expectsFailures };
        await page.GotoAsync(visit.Origin.ToString());
        await page.WaitForSelectorAsync("body.ready");
        return visit;
    }

    /// <summary>What the server answers over REST to the same question.</summary>
    internal Task<JsonNode> AskAsync(string prompt, string mode, int? latentBudget = null) => Server.CompleteAsync(new JsonObject
    {
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = prompt }),
        ["reasoning"] = new JsonObject { ["mode"] = mode, ["latent_budget"] = latentBudget },
    });
}

[CollectionDefinition(Name)]
public sealed class BrowserTests : ICollectionFixture<BrowserFixture>
{
    public const string Name = "browser";
}
