using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.Server.Api.Page;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Page;

public sealed partial class PageTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData("/", "text/html; charset=utf-8", "<title>Tessera</title>")]
    [InlineData("/page/app.css", "text/css; charset=utf-8", "prefers-color-scheme")]
    [InlineData("/page/app.js", "text/javascript; charset=utf-8", "import")]
    [InlineData("/page/examples.json", "application/json; charset=utf-8", "prosqa")]
    [InlineData("/page/icon.svg", "image/svg+xml", "<svg")]
    public async Task File_Get_HasItsTypeAndForbidsForeignContent(string path, string type, string contains)
    {
        using var response = await _server.Client.GetAsync(path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(type, response.Content.Headers.ContentType!.ToString());
        Assert.Contains(contains, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            Assert.Single(response.Headers.GetValues("Content-Security-Policy")));
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
    }

    [Fact]
    public async Task Document_EveryReference_IsAFileOfThePage()
    {
        var document = await _server.Client.GetStringAsync("/");
        var references = Reference().Matches(document).Select(match => match.Groups[1].Value).Where(target => target[0] != '#').ToList();

        Assert.Equal(["page/icon.svg", "page/app.css", "page/app.js"], references);
        Assert.All(references, target => Assert.True(IsOfThePage($"/{target}"), target));
        // What the policy would refuse anyway must not be there in the first place.
        Assert.DoesNotMatch("<script(?![^>]* src=)|<style| style=| on[a-z]+=", document);
    }

    [Fact]
    public async Task Scripts_EveryImport_IsAFileOfThePage()
    {
        foreach (var script in PageFile.All.Where(file => file.Path.EndsWith(".js", StringComparison.Ordinal)))
        {
            var text = await _server.Client.GetStringAsync(script.Path);
            Assert.All(Import().Matches(text), match => Assert.True(IsOfThePage($"/page/{match.Groups[1].Value}"), $"{script.Path}: {match.Value}"));
        }
    }

    [Fact]
    public async Task File_KnownETag_IsNotSentAgain()
    {
        using var first = await _server.Client.GetAsync("/page/app.js");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/page/app.js");
        request.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await _server.Client.SendAsync(request);
        using var other = new HttpRequestMessage(HttpMethod.Get, "/page/app.js");
        other.Headers.IfNoneMatch.Add(new EntityTagHeaderValue("\"0000000000000000\""));
        using var third = await _server.Client.SendAsync(other);

        Assert.Equal(
            (HttpStatusCode.OK, HttpStatusCode.NotModified, HttpStatusCode.OK), (first.StatusCode, second.StatusCode, third.StatusCode));
        Assert.Empty(await second.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task File_Head_HasHeadersOnly()
    {
        using var response = await _server.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(response.Content.Headers.ContentLength > 1000);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("/page/../appsettings.json")]
    [InlineData("/page/%2e%2e/appsettings.json")]
    [InlineData("/page/index.html")]
    [InlineData("/page/")]
    public async Task OtherPath_Get_IsNotFound(string path)
    {
        var verbatim = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        using var response = await _server.Client.GetAsync(new Uri(_server.Client.BaseAddress + path.TrimStart('/'), verbatim));

        await ErrorAssert.IsAsync(response, HttpStatusCode.NotFound, "not_found", null);
    }

    [Fact]
    public async Task Document_Post_IsMethodNotAllowed()
    {
        using var response = await _server.Client.PostAsync("/", new StringContent(""));

        await ErrorAssert.IsAsync(response, HttpStatusCode.MethodNotAllowed, "method_not_allowed", null);
    }

    [Fact]
    public async Task Examples_EveryProblem_HasIdTitlePromptAndAnswer()
    {
        var tasks = JsonNode.Parse(await _server.Client.GetStringAsync("/page/examples.json"))!["tasks"]!.AsArray();
        var problems = tasks.SelectMany(task => task!["problems"]!.AsArray()).Select(problem => problem!.AsObject()).ToList();

        Assert.All(tasks, task => Assert.True(task!["id"] is not null && task["title"] is not null && task["about"] is not null));
        Assert.All(problems, problem => Assert.All(
            ["id", "title", "prompt", "answer"], name => Assert.False(string.IsNullOrWhiteSpace((string?)problem[name]), problem.ToJsonString())));
        Assert.Equal(problems.Count, problems.Select(problem => (string)problem["id"]!).Distinct().Count());
    }

    private static bool IsOfThePage(string path) => PageFile.All.Any(file => file.Path == path);

    [GeneratedRegex("(?:src|href)=\"([^\"]+)\"")]
    private static partial Regex Reference();

    [GeneratedRegex("from '\\./([^']+)'")]
    private static partial Regex Import();
}
