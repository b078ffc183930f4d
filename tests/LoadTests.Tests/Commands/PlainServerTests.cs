using System.Text.Json.Nodes;
using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Commands;

/// <summary>A server that speaks OpenAI's contract and nothing else: no /info, no extension, reasoning in a field of its own.</summary>
public sealed class PlainServerTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    // Words of reasoning under the given field, words of answer, then a usage object in the style of the server.
    private static string Response(string field, JsonObject? usage, int reasoning = 3)
    {
        var text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n";
        for (var i = 0; i < reasoning; i++)
        {
            text += $"data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"{field}\":\"w{i} \"}},\"finish_reason\":null}}]}}\n\n";
        }

        text += "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"The answer is \"},\"finish_reason\":null}]}\n\n";
        text += "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"7.\"},\"finish_reason\":null}]}\n\n";
        text += "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        if (usage is not null)
        {
            text += new JsonObject { ["choices"] = new JsonArray(), ["usage"] = usage }.ToJsonString().Insert(0, "data: ") + "\n\n";
        }

        return text + "data: [DONE]\n\n";
    }

    private static JsonObject Usage(int prompt, int completion, int total, int? reasoning = null)
    {
        var usage = new JsonObject { ["prompt_tokens"] = prompt, ["completion_tokens"] = completion, ["total_tokens"] = total };
        if (reasoning is { } tokens)
        {
            usage["completion_tokens_details"] = new JsonObject { ["reasoning_tokens"] = tokens };
        }

        return usage;
    }

    private static Task<ScriptedServer> StartAsync(Func<string> response) =>
        ScriptedServer.StartAsync((_, context) => ScriptedServer.WriteEventsAsync(context, response()), info: null);

    private Task<int> LoadAsync(ScriptedServer server) =>
        _run.LoadAsync(server.Url, "{\"question\":\"how many?\",\"answer\":\"2 + 5 = 7 #### 7\"}", "--warmup", "0");

    [Theory]
    [InlineData("reasoning_content", null, 3.0)]
    [InlineData("reasoning", null, 3.0)]
    [InlineData("reasoning_content", 5, 5.0)]
    public async Task Run_ReasoningInItsOwnField_SplitsTheTokens(string field, int? reasoningTokens, double expected)
    {
        await using var server = await StartAsync(() => Response(field, Usage(11, 9, 20, reasoningTokens)));

        var exitCode = await LoadAsync(server);

        Assert.Equal(ExitCodes.Complete, exitCode);
        var arm = Assert.Single(_run.Point.Arms);
        Assert.Equal("plain", arm.Arm);
        Assert.Equal((1, 1), (arm.Accuracy.Correct, arm.Accuracy.N));
        Assert.Equal((11.0, expected, 9 - expected, 9.0), (arm.Tokens.Prompt, arm.Tokens.ReasoningText, arm.Tokens.Answer, arm.Tokens.Completion));
        Assert.Null(arm.Tokens.Latent);
        Assert.Null(arm.Tokens.Control);
        Assert.Equal(0, arm.KvCache.BytesPerRequest.N);
        Assert.True(arm.TimeToFirstAnswerTokenMs.Mean >= arm.TimeToFirstTokenMs.Mean);
        Assert.False(server.Requests.Single().Body.TryGetProperty("reasoning", out _));
        Assert.False(server.Requests.Single().Body.TryGetProperty("cache_salt", out _));
        Assert.False(_run.Report.Server.HasLatents);
        Assert.Contains("the server has no /info: it is taken for a plain OpenAI-compatible one, without latents and KV bytes", _run.Report.Notes);
        Assert.Matches(@"  latent\s+│\s+- │", _run.Console);
    }

    [Theory]
    [InlineData(2, 13, "usage: completion_tokens is 2, but the stream carried 5 pieces")]
    [InlineData(9, 21, "usage: prompt_tokens 11 + completion_tokens 9 = 20, but total_tokens is 21")]
    [InlineData(-1, 21, "usage: completion_tokens is missing or not a whole number")]
    public async Task Run_WrongUsage_ReportsBothCounts(int completion, int total, string expected)
    {
        await using var server = await StartAsync(() => Response("reasoning", Usage(11, completion, total)));

        var exitCode = await LoadAsync(server);

        Assert.Equal(ExitCodes.Flawed, exitCode);
        Assert.Equal(expected, Assert.Single(_run.Report.UsageProblems).Problem);
        Assert.Equal(0, _run.Point.Arms[0].Tokens.N);
    }

    [Fact]
    public async Task Run_NoUsage_SaysSo()
    {
        await using var server = await StartAsync(() => Response("reasoning", null));

        await LoadAsync(server);

        Assert.Equal("no usage chunk although stream_options.include_usage was set", Assert.Single(_run.Report.UsageProblems).Problem);
        Assert.Equal(1, _run.Point.Arms[0].EndToEndMs.N);
    }

    [Fact]
    public async Task Compare_PlainServer_IsRefusedInOneLine()
    {
        await using var server = await StartAsync(() => Response("reasoning", null));

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(2));

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: {server.Url}/: no /info: not a Tessera server, so there is no latent mode to compare; use tessera-load run", _run.Error);
    }
}
