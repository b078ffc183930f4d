using System.Text.Json.Nodes;
using Tessera.EndToEnd.Tests.Support;
using Tessera.Page.Tests.Support;

namespace Tessera.Page.Tests;

[Collection(BrowserTests.Name)]
public sealed class KeyAndCurlTests(BrowserFixture browser)
{
    [Fact]
    public async Task Key_Typed_IsSentAsBearerAndKeptInThisTabOnly()
    {
        await using var gate = await Gate.StartAsync(browser.Server.Rest);
        await using var visit = await browser.OpenAsync(gate.Address);
        await visit.RunAsync();
        await visit.Page.ClickAsync("#key-field summary");
        await visit.Page.FillAsync("#key", "sk-test-123");

        await visit.RunAsync();

        Assert.Equal(["", "Bearer sk-test-123"], gate.Authorizations);
        Assert.Equal("password", await visit.Page.GetAttributeAsync("#key", "type"));
        Assert.Equal(["0", "", "sk-test-123"], await visit.Page.EvaluateAsync<string[]>(
            "[String(localStorage.length), document.cookie, ...Object.values(sessionStorage)]"));
        await visit.Page.ReloadAsync();
        await visit.Page.WaitForSelectorAsync("body.ready");
        Assert.Equal("sk-test-123", await visit.Page.InputValueAsync("#key"));
    }

    [Fact]
    public async Task Key_ServerAsksForOne_PageSaysSoAndRunsOnceItIsTyped()
    {
        var folder = Directory.CreateTempSubdirectory("tessera-page-");
        try
        {
            var file = Path.Combine(folder.FullName, "keys.json");
            var key = (await RunAsync(DotNet, Repository.ServerAssembly, "keys", "add", "page", "--Security:KeyFile", file))[0];
            await using var server = await ServerProcess.StartAsync("--Security:KeyFile", file);
            await using var visit = await browser.OpenAsync(server.Rest, expectsFailures: true);
            Assert.Equal("This server asks for an API key.", await visit.Page.InnerTextAsync("#model"));
            Assert.True(await visit.Page.Locator("#key").IsVisibleAsync());
            await visit.Page.ClickAsync("#run");
            await visit.WaitForStateAsync("failed");

            await visit.Page.FillAsync("#key", key);
            await visit.RunAsync();

            Assert.True(await visit.Tiles.CountAsync() > 0);
            await Microsoft.Playwright.Assertions.Expect(visit.Page.Locator("#model")).ToContainTextAsync(" latents");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task CopyAsCurl_RunByAShell_StreamsTheAnswerOfThePage()
    {
        await using var visit = await browser.OpenAsync();
        // A quote in the prompt must survive the shell.
        await visit.Page.FillAsync("#prompt", "Rex's friend: every jompus is a wumpus. Rex is a jompus. Is Rex a wumpus or lempus?");
        await visit.Page.Locator("#budget").FillAsync("2");
        await visit.RunAsync();
        var shown = await visit.Page.InnerTextAsync(".said");

        await visit.Page.ClickAsync("#curl");
        await visit.Page.Locator("#curl-note", new() { HasText = "Copied." }).WaitForAsync();
        var line = await visit.Page.InnerTextAsync("#curl-text");

        Assert.Equal(line, await visit.Page.EvaluateAsync<string>("navigator.clipboard.readText()"));
        var said = (await RunAsync("bash", "-c", line)).Where(data => data.StartsWith("data: ", StringComparison.Ordinal)).ToList();
        Assert.Equal("data: [DONE]", said[^1]);
        var chunks = said.SkipLast(1).Select(data => JsonNode.Parse(data["data: ".Length..])!).ToList();
        Assert.Equal(2, (int)chunks[0]["reasoning"]!["latent_budget"]!);
        Assert.Equal(shown, string.Concat(chunks.Select(chunk => (string?)chunk["choices"]!.AsArray().FirstOrDefault()?["delta"]?["content"])));
    }

    [Fact]
    public async Task CopyAsCurl_WithAKey_NamesAVariableInstead()
    {
        await using var visit = await browser.OpenAsync();
        await visit.Page.ClickAsync("#key-field summary");
        await visit.Page.FillAsync("#key", "sk-test-123");

        await visit.Page.ClickAsync("#curl");
        await visit.Page.Locator("#curl-box").WaitForAsync();

        var line = await visit.Page.InnerTextAsync("#curl-text");
        Assert.Contains("Authorization: Bearer $TESSERA_API_KEY", line, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-test-123", line, StringComparison.Ordinal);
    }

    private static string DotNet => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    /// <summary>Runs a program to its end and gives what it printed.</summary>
    private static async Task<List<string>> RunAsync(string program, params string[] arguments)
    {
        await using var child = ChildProcess.Start(program, arguments);
        var lines = new List<string>();
        while (await child.ReadLineAsync() is { } line)
        {
            lines.Add(line);
        }
        var code = await child.WaitForExitAsync();
        Assert.True(code == 0, $"{program} ended with {code}: {string.Join('\n', child.Errors)}");
        return lines;
    }
}
