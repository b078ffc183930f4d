using System.Text.Json.Nodes;
using Tessera.EndToEnd.Tests.Support;

namespace Tessera.EndToEnd.Tests;

/// <summary>The official gRPC client for JavaScript in every shape of call, half-closed and reset streams included.</summary>
public sealed class GrpcJsShapesTests(GrpcJsShapesTests.Fixture fixture) : IClassFixture<GrpcJsShapesTests.Fixture>
{
    private const int Ok = 0;
    private const int Cancelled = 1;
    private const int InvalidArgument = 3;
    private const int DeadlineExceeded = 4;
    private const int NotFound = 5;
    private const int ResourceExhausted = 8;
    private const int Unimplemented = 12;

    [Fact]
    public void OneMessage_AnyShape_GetsTheSameAnswer()
    {
        var once = Message("unary");
        var streamed = Messages("serverStream");

        Assert.Equal(Ok, Code("unary"));
        Assert.Equal(Ok, Code("serverStream"));
        Assert.Equal(Ok, Code("clientStreamOfOne"));
        Assert.Equal(Ok, Code("bidiHalfClosed"));
        var answer = (string?)once["choices"]![0]!["answer"]!["text"];
        Assert.NotEmpty(answer!);
        Assert.Equal(answer, string.Concat(streamed.Select(message => (string?)message!["answer"]?["text"])));
        Assert.Equal(answer, string.Concat(Messages("bidiHalfClosed").Select(message => (string?)message!["answer"]?["text"])));
        Assert.Equal(answer, (string?)Message("clientStreamOfOne")["choices"]![0]!["answer"]!["text"]);
    }

    [Fact]
    public async Task Usage_GenerateOnceGenerateAndRest_AreIdentical()
    {
        var rest = Said.FromCompletion(await fixture.Server.CompleteAsync(fixture.RestRequest("auto")));
        var once = Message("unary");

        var stream = Said.FromGrpc([.. Messages("serverStream").Select(message => message!)]);
        Assert.Equal(rest, stream);
        foreach (var name in (string[])["prompt_tokens", "completion_tokens", "latent_tokens", "control_tokens", "reasoning_text_tokens", "answer_tokens"])
        {
            Assert.Equal((int)Messages("serverStream")[^1]!["finished"]!["usage"]![name]!, (int)once["finished"]!["usage"]![name]!);
            Assert.Equal((int)once["choices"]![0]!["usage"]![name]!, (int)once["finished"]!["usage"]![name]!);
        }
        Assert.Equal(rest.Reasoning, (string?)once["choices"]![0]!["reasoning"]?["text"] ?? "");
    }

    [Theory]
    [InlineData("clientStreamOfNone", Unimplemented, "body: expected exactly one request message, found none")]
    [InlineData("clientStreamOfTwo", Unimplemented, "body: expected exactly one request message, found more")]
    public void WrongNumberOfMessages_UnaryMethod_IsUnimplemented(string scenario, int code, string details) =>
        Assert.Equal((code, details), (Code(scenario), (string?)fixture.Saw[scenario]["details"]));

    [Theory]
    [InlineData("bidiResetBeforeHalfClose", Cancelled)]
    [InlineData("resetMidStream", Cancelled)]
    [InlineData("deadline", DeadlineExceeded)]
    [InlineData("watch", Cancelled)]
    public async Task EndedByTheClient_AnyWay_FreesTheSlotAndTheServerGoesOn(string scenario, int code)
    {
        Assert.Equal(code, Code(scenario));
        Assert.Equal("SERVING", (string?)Message("still")["status"]);
        await fixture.Server.WaitUntilIdleAsync();
    }

    [Fact]
    public void Bidi_QuestionAfterAnswer_IsAnsweredBeforeTheHalfClose()
    {
        Assert.Equal(Ok, Code("bidiPingPong"));
        Assert.Equal(["list_services_response", "file_descriptor_response", "file_descriptor_response"], Messages("bidiPingPong").Select(m => (string)m!["message_response"]!));
        Assert.Equal(
            ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "tessera.v1.Inference"],
            Messages("bidiPingPong")[0]!["list_services_response"]!["service"]!.AsArray().Select(service => (string)service!["name"]!));
    }

    [Fact]
    public void Reflected_ClientWithoutProtoFiles_CallsTheServer() =>
        Assert.Equal((Ok, "wumpus"), (Code("reflected"), ((string?)Message("reflected")["text"])!.Trim()));

    [Fact]
    public void Tools_TokenizeDetokenizeModelsInfo_Agree()
    {
        var (tokens, text, models, info) = (Messages("tools")[0]!, Messages("tools")[1]!, Messages("tools")[2]!, Messages("tools")[3]!);

        Assert.Equal(Ok, Code("tools"));
        Assert.Equal("Every lempus is a wumpus.", ((string?)text["text"])!.TrimStart());
        Assert.Equal(tokens["ids"]!.AsArray().Count, tokens["tokens"]!.AsArray().Count);
        Assert.Equal(fixture.Model, (string?)Assert.Single(models["models"]!.AsArray())!["id"]);
        Assert.Equal(fixture.Model, (string?)info["model"]!["name"]);
        Assert.Equal((int)tokens["max_positions"]!, (int)info["limits"]!["max_positions"]!);
    }

    [Fact]
    public void Latents_DecodedAlone_HaveTheHintsOfTheirGenerationAndEncodeBack()
    {
        var (span, decoded, encoded) = (Messages("latents")[0]!, Messages("latents")[1]!, Messages("latents")[2]!);

        Assert.Equal(Ok, Code("latents"));
        Assert.NotEmpty(span["codes"]!.AsArray());
        Assert.Equal(
            span["hints"]!.AsArray().Select(hint => ((string?)hint!["text"], (float)hint["confidence"]!)),
            decoded["hints"]!.AsArray().Select(hint => ((string?)hint!["text"], (float)hint["confidence"]!)));

        // Hints are lossy, but what the decoder is sure of the encoder finds again.
        var sure = Enumerable.Range(0, span["codes"]!.AsArray().Count).Where(i => (float)span["hints"]![i]!["confidence"]! > 0.99f).ToList();
        Assert.NotEmpty(sure);
        Assert.All(sure, i => Assert.Equal((int)span["codes"]![i]!, (int)encoded["codes"]![i]!));
    }

    [Fact]
    public void Error_BadFields_AreInMessageAndDetails()
    {
        Assert.Equal(InvalidArgument, Code("badField"));
        var details = (string)fixture.Saw["badField"]["details"]!;
        Assert.Contains("sampling.temperature: ", details, StringComparison.Ordinal);
        Assert.Contains("sampling.top_p: ", details, StringComparison.Ordinal);
        var status = Protos.Rpc.Status.Parser.ParseFrom(Convert.FromBase64String((string)fixture.Saw["badField"]["trailers"]!["grpc-status-details-bin"]!));
        Assert.Equal((InvalidArgument, details), (status.Code, status.Message));
        var bad = status.Details.Single(detail => detail.TryUnpack<Protos.Rpc.BadRequest>(out _)).Unpack<Protos.Rpc.BadRequest>();
        Assert.Equal(["sampling.temperature", "sampling.top_p"], bad.FieldViolations.Select(violation => violation.Field));
        Assert.Equal(NotFound, Code("otherModel"));
    }

    [Fact]
    public void Metadata_RequestId_IsEchoedOrRefused()
    {
        Assert.Equal((Ok, "my-request-1"), (Code("metadata"), (string?)fixture.Saw["metadata"]["headers"]!["x-request-id"]));
        Assert.Equal(InvalidArgument, Code("metadataBad"));
        Assert.StartsWith("X-Request-Id: ", (string)fixture.Saw["metadataBad"]["details"]!, StringComparison.Ordinal);
    }

    [Fact]
    public void Gzip_CompressedRequest_IsRead()
    {
        Assert.Equal(Ok, Code("gzip"));
        Assert.InRange((int)Messages("gzip")[0]!, 400 * 5, 400 * 20);
    }

    [Fact]
    public void Gzip_LongAnswer_ComesCompressed()
    {
        Assert.Equal(Ok, Code("gzipAnswer"));
        var answer = Messages("gzipAnswer")[0]!;
        Assert.Equal((int)Messages("gzip")[0]!, (int)answer["ids"]!);
        Assert.InRange((int)answer["bytes"]!, 1, (int)answer["size"]! / 2);
    }

    [Fact]
    public void TooLarge_EitherWay_IsResourceExhausted()
    {
        Assert.Equal(ResourceExhausted, Code("tooLargeToSend"));
        Assert.Contains("at most 1048576 are allowed", (string)fixture.Saw["tooLargeToSend"]["details"]!, StringComparison.Ordinal);
        Assert.Equal(ResourceExhausted, Code("tooLargeToReceive"));
    }

    private int Code(string scenario) => (int)fixture.Saw[scenario]["code"]!;

    private JsonArray Messages(string scenario) => fixture.Saw[scenario]["messages"]!.AsArray();

    private JsonNode Message(string scenario) => Assert.Single(Messages(scenario))!;

    /// <summary>A server, and what the client's script saw of it.</summary>
    public sealed class Fixture : ServerFixture
    {
        internal IReadOnlyDictionary<string, JsonNode> Saw { get; private set; } = null!;

        public override async ValueTask InitializeAsync()
        {
            await base.InitializeAsync();
            Saw = await NodeScript.RunAsync("grpc-shapes.mjs", Server.Grpc.Authority, GrpcRequest("auto").ToJsonString());
        }
    }
}
