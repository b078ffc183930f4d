using Microsoft.Playwright;

namespace Tessera.Page.Tests.Support;

/// <summary>One user's visit; at its end nothing may have left the origin, and the browser may have had nothing to complain about.</summary>
internal sealed class Visit : IAsyncDisposable
{
    private readonly List<string> _foreign = [];
    private readonly List<string> _complaints = [];

    public Visit(IPage page, Uri origin)
    {
        Page = page;
        Origin = origin;
        page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(origin.ToString(), StringComparison.Ordinal))
            {
                _foreign.Add(request.Url);
            }
        };
        // A status of 400 or more is reported as an error too; a test that provokes one says so.
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning" && !ExpectsFailures)
            {
                _complaints.Add(message.Text);
            }
        };
        page.PageError += (_, error) => _complaints.Add(error);
    }

    public IPage Page { get; }

    public Uri Origin { get; }

    /// <summary>Whether the test makes requests fail on purpose.</summary>
    public bool ExpectsFailures { get; init; }

    public ILocator Lane(int index = 0) => Page.Locator(".lane").Nth(index);

    public ILocator Tiles => Page.Locator(".tile");

    /// <summary>Waits until a lane is in a state.</summary>
    public Task WaitForStateAsync(string state, int lane = 0) => Lane(lane).And(Page.Locator($"[data-state={state}]")).WaitForAsync();

    /// <summary>Waits for a whole answer, cut by the token limit or not.</summary>
    public Task WaitForEndAsync() => Page.Locator(".lane[data-state=done], .lane[data-state=length]").First.WaitForAsync();

    /// <summary>Chooses an example and gives its prompt.</summary>
    public async Task<string> ChooseAsync(string example)
    {
        await Page.SelectOptionAsync("#example", example);
        return await Page.InputValueAsync("#prompt");
    }

    /// <summary>Sets the dial.</summary>
    public Task SetModeAsync(string mode) => Page.CheckAsync($"input[name=mode][value={mode}]");

    /// <summary>Runs and waits for the answer.</summary>
    public async Task RunAsync()
    {
        await Page.ClickAsync("#run");
        await WaitForEndAsync();
    }

    /// <summary>Whether the page is wider than the window.</summary>
    public Task<bool> ScrollsSidewaysAsync() => Page.EvaluateAsync<bool>("document.documentElement.scrollWidth > document.documentElement.clientWidth");

    /// <summary>Keeps a picture of the whole page.</summary>
    public Task PictureAsync(string name) => Page.ScreenshotAsync(new() { Path = Path.Combine(BrowserFixture.Results, $"{name}.png"), FullPage = true });

    public async ValueTask DisposeAsync()
    {
        await Page.Context.CloseAsync();
        Assert.Empty(_foreign);
        Assert.Empty(_complaints);
    }
}
