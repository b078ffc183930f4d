using System.Text;
using Google.Protobuf;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Grpc;

public sealed class ToolMethodsTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Tokenize_Text_GivesIdsBytesAndKinds()
    {
        var response = await CallAsync("Tokenize", new TokenizeRequest { Text = " Tom is a", AddGenerationPrompt = true }, TokenizeResponse.Parser);

        Assert.Equal([(uint)TinyTokenizer.IdOf(" Tom"), (uint)TinyTokenizer.IdOf(" is a"), (uint)TinyTokenizer.ThinkId], response.Ids);
        Assert.Equal([" Tom", " is a", "<think>"], response.Tokens.Select(token => Encoding.UTF8.GetString(token.Bytes.Span)));
        Assert.Equal(["text", "text", "control"], response.Tokens.Select(token => token.Kind));
        Assert.Equal(256u, response.MaxPositions);
    }

    [Fact]
    public async Task Detokenize_Ids_GivesTheirText()
    {
        var request = new DetokenizeRequest { Ids = { (uint)TinyTokenizer.IdOf(" Tom"), (uint)TinyTokenizer.FirstLatentId } };

        Assert.Equal(" Tom<latent_0>", (await CallAsync("Detokenize", request, DetokenizeResponse.Parser)).Text);
        request.SkipSpecial = true;
        Assert.Equal(" Tom", (await CallAsync("Detokenize", request, DetokenizeResponse.Parser)).Text);
    }

    [Fact]
    public async Task EncodeTrace_Steps_GivesCodesAndIds()
    {
        var request = new EncodeTraceRequest { Text = "Tom?", Steps = { "Tom is a wumpus.", "Tom is a lempus." } };

        var response = await CallAsync("EncodeTrace", request, EncodeTraceResponse.Parser);

        Assert.Equal([0u, 1u], response.Codes);
        Assert.Equal([(uint)TinyTokenizer.FirstLatentId, (uint)TinyTokenizer.FirstLatentId + 1], response.Ids);
    }

    [Fact]
    public async Task DecodeLatents_Codes_GivesHints()
    {
        var request = new DecodeLatentsRequest { Ids = new() { Ids = { 3, 4 } }, Codes = { 2, 1 } };

        var response = await CallAsync("DecodeLatents", request, DecodeLatentsResponse.Parser);

        LatentHint[] expected =
        [
            new() { Text = "hint 2", Confidence = 0.5f, TokenCount = 5, Present = true },
            new() { Text = "hint 1", Confidence = 0.5f, TokenCount = 5, Present = true },
        ];
        Assert.Equal(expected, response.Hints);
        Assert.Equal(("hint 2 hint 1", 0.5f), (response.Text, response.Confidence));
    }

    [Fact]
    public async Task ListModels_Call_GivesTheServedModel()
    {
        var model = Assert.Single((await CallAsync("ListModels", new ListModelsRequest(), ListModelsResponse.Parser)).Models);

        Assert.Equal(("tiny", 256u), (model.Id, model.MaxPositions));
        Assert.True(model.Created > 0);
    }

    [Fact]
    public async Task GetInfo_Call_SaysWhatRestSays()
    {
        var rest = await _server.InfoAsync();

        var info = await CallAsync("GetInfo", new GetInfoRequest(), GetInfoResponse.Parser);

        var limits = rest["limits"]!.AsObject().Where(limit => limit.Value!.GetValueKind() == System.Text.Json.JsonValueKind.Number);
        Assert.Equal(limits.ToDictionary(limit => limit.Key, limit => (double)limit.Value!), info.Limits);
        Assert.Equal((string?)rest["version"], info.Version);
        Assert.Equal(("tiny", 4u, 4.5, true), (info.Model.Name, info.Model.LatentCount, info.Model.TextTokensPerLatent, info.Model.Hints));
        Assert.Equal(("ready", 0u, 1024L), (info.Engine.State, info.Engine.Running, info.Engine.KvBytesPerPosition));
        Assert.True(info.Process.ResidentBytes > 0);
    }

    [Fact]
    public async Task AnyMethod_WrongField_IsNamedInMessageAndDetails()
    {
        await RefusedAsync("Tokenize", new TokenizeRequest(), TokenizeResponse.Parser, "text");
        await RefusedAsync("Detokenize", new DetokenizeRequest { Ids = { 99999 } }, DetokenizeResponse.Parser, "ids[0]");
        await RefusedAsync("EncodeTrace", new EncodeTraceRequest { Text = "a" }, EncodeTraceResponse.Parser, "steps");
        await RefusedAsync("DecodeLatents", new DecodeLatentsRequest { Text = "a", Codes = { 4 } }, DecodeLatentsResponse.Parser, "codes[0]");
        await RefusedAsync("DecodeLatents", new DecodeLatentsRequest { Codes = { 1 } }, DecodeLatentsResponse.Parser, "text");
    }

    [Fact]
    public async Task AnyMethod_OtherModel_IsNotFound()
    {
        var error = await Assert.ThrowsAsync<GrpcStatusException>(
            () => CallAsync("Detokenize", new DetokenizeRequest { Model = "other" }, DetokenizeResponse.Parser));

        Assert.Equal((GrpcStatusCode.NotFound, "model: expected 'tiny', found 'other'"), (error.Code, error.Detail));
    }

    private async Task RefusedAsync<T>(string method, IMessage request, MessageParser<T> parser, string field)
        where T : class, IMessage<T>, new()
    {
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => CallAsync(method, request, parser));

        Assert.Equal(GrpcStatusCode.InvalidArgument, error.Code);
        Assert.StartsWith($"{field}: ", error.Detail, StringComparison.Ordinal);
        Assert.Equal([field], StatusDetails.Of(error).Violations.Select(violation => violation.Field));
    }

    private async Task<T> CallAsync<T>(string method, IMessage request, MessageParser<T> parser)
        where T : class, IMessage<T>, new()
    {
        using var client = _server.NewClient();
        return await client.UnaryAsync($"/tessera.v1.Inference/{method}", request, parser);
    }
}
