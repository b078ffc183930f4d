using System.Net;
using Tessera.Engine;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Hosting;

/// <summary>Every bound on a field of a generation, on both fronts: what is at the bound is answered, one more is refused with the field's name.</summary>
public sealed class FieldLimitTests(FieldLimitTests.Shared shared) : IClassFixture<FieldLimitTests.Shared>
{
    private const int TokensLimit = 100;
    private const int BiasLimit = 20;

    // The tiny model's 256 positions, <think> and one token of an answer not counted.
    private const int PromptLimit = 254;

    private static readonly int LetterId = TinyTokenizer.FirstByteId + 'a';

    private static readonly Dictionary<string, FieldLimit> Limits = new()
    {
        ["max_tokens"] = FieldLimit.OfChat(TokensLimit, "max_tokens", count => $"\"max_tokens\":{count}", (request, count) => request.MaxTokens = (uint)count),
        ["n"] = FieldLimit.OfChat(new EngineOptions().MaxChoices, "n", count => $"\"n\":{count}", (request, count) => request.N = (uint)count),
        ["top_logprobs"] = FieldLimit.OfChat(
            new EngineOptions().MaxTopLogprobs, "top_logprobs", count => $"\"logprobs\":true,\"top_logprobs\":{count}",
            (request, count) => request.Logprobs = (uint)count, "logprobs"),
        ["logit_bias"] = FieldLimit.OfChat(
            BiasLimit, "logit_bias", count => $"\"logit_bias\":{{{string.Join(',', Enumerable.Range(LetterId, count).Select(id => $"\"{id}\":-1"))}}}",
            (request, count) => request.Sampling = BiasOf(count), "sampling.logit_bias"),
        ["stop, texts"] = FieldLimit.OfChat(
            4, "stop", count => $"\"stop\":[{string.Join(',', Enumerable.Repeat("\"zz\"", count))}]", (request, count) => request.Stop.Add(Enumerable.Repeat("zz", count))),
        ["stop, characters"] = FieldLimit.OfChat(
            64, "stop[0]", count => $"\"stop\":\"{new string('z', count)}\"", (request, count) => request.Stop.Add(new string('z', count))),
        ["stop ids"] = FieldLimit.OfChat(
            new EngineOptions().MaxStopTokenIds, "stop_token_ids", count => $"\"stop_token_ids\":[{string.Join(',', Enumerable.Repeat(LetterId, count))}]",
            (request, count) => request.StopTokenIds.Add(Enumerable.Repeat((uint)LetterId, count))),
        ["prompt"] = new(
            PromptLimit, "/v1/completions", count => $"{{\"model\":\"tiny\",\"prompt\":[{string.Join(',', Enumerable.Repeat(LetterId, count))}]}}", "prompt",
            (request, count) => request.PromptIds = new() { Ids = { Enumerable.Repeat((uint)LetterId, count) } }, "prompt_ids.ids"),
    };

    private readonly TestServer _server = shared.Server;

    public static TheoryData<string> Names => [.. Limits.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Rest_AtTheBoundAndPastIt_IsAnsweredAndRefusedByName(string name)
    {
        var limit = Limits[name];

        using var within = await _server.PostToAsync(limit.Path, limit.Body(limit.Bound));
        using var past = await _server.PostToAsync(limit.Path, limit.Body(limit.Bound + 1));

        Assert.True(within.StatusCode == HttpStatusCode.OK, await within.Content.ReadAsStringAsync());
        var message = await ErrorAssert.IsAsync(past, HttpStatusCode.BadRequest, "invalid_value", limit.Param);
        Assert.Contains($"{limit.Bound}", message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Grpc_AtTheBoundAndPastIt_IsAnsweredAndRefusedWithAViolation(string name)
    {
        var limit = Limits[name];
        var (within, past) = (GrpcCalls.NewRequest(), GrpcCalls.NewRequest());
        limit.Set(within, limit.Bound);
        limit.Set(past, limit.Bound + 1);

        var events = await _server.GenerateAsync(within);
        var error = await _server.FailAsync(past);

        Assert.NotNull(events[^1].Finished);
        Assert.Equal(GrpcStatusCode.InvalidArgument, error.Code);
        var details = StatusDetails.Of(error);
        Assert.Equal("invalid_value", details.Reason);
        var violation = Assert.Single(details.Violations);
        Assert.Equal(limit.Violation, violation.Field);
        Assert.Contains($"{limit.Bound}", violation.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LatentCodes_AtTheBoundAndPastIt_AreAnsweredAndRefusedOnBothFronts()
    {
        var bound = (int)(await _server.InfoAsync())["limits"]!["max_latent_codes"]!;
        string Body(int count) => $"{{\"prompt\":\"Tom?\",\"codes\":[{string.Join(',', Enumerable.Repeat(0, count))}]}}";
        DecodeLatentsRequest Message(int count) => new() { Text = "Tom?", Codes = { Enumerable.Repeat(0u, count) } };
        using var client = _server.NewClient();
        Task<DecodeLatentsResponse> CallAsync(int count) => client.UnaryAsync("/tessera.v1.Inference/DecodeLatents", Message(count), DecodeLatentsResponse.Parser);

        using var within = await _server.PostToAsync("/v1/latents/decode", Body(bound));
        using var past = await _server.PostToAsync("/v1/latents/decode", Body(bound + 1));
        var answered = await CallAsync(bound);
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => CallAsync(bound + 1));

        Assert.Equal(HttpStatusCode.OK, within.StatusCode);
        await ErrorAssert.IsAsync(past, HttpStatusCode.BadRequest, "invalid_value", "codes");
        Assert.Equal(bound, answered.Hints.Count);
        Assert.Equal((GrpcStatusCode.InvalidArgument, "codes"), (error.Code, Assert.Single(StatusDetails.Of(error).Violations).Field));
    }

    private static Sampling BiasOf(int count)
    {
        var sampling = new Sampling();
        foreach (var id in Enumerable.Range(LetterId, count))
        {
            sampling.LogitBias[(uint)id] = -1;
        }

        return sampling;
    }

    /// <summary>A bound on a field: how a request that has so many of it looks on both fronts, and what a refusal calls the field.</summary>
    private sealed record FieldLimit(int Bound, string Path, Func<int, string> Body, string Param, Action<GenerateRequest, int> Set, string Violation)
    {
        public static FieldLimit OfChat(int bound, string param, Func<int, string> more, Action<GenerateRequest, int> set, string? violation = null) =>
            new(bound, "/v1/chat/completions", count => TestServer.Body(more(count)), param, set, violation ?? param);
    }

    public sealed class Shared : IAsyncLifetime
    {
        internal TestServer Server { get; private set; } = null!;

        // Where the tiny model is smaller than the default, the bound is set below it; LimitTableTests looks at the defaults.
        public async ValueTask InitializeAsync() => Server = await TestServer.StartAsync(
            engine: new EngineOptions { MaxSlots = 8, MaxTokensLimit = TokensLimit, MaxLogitBiasEntries = BiasLimit });

        public ValueTask DisposeAsync() => Server.DisposeAsync();
    }
}
