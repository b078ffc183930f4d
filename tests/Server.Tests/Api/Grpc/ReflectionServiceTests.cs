using System.Net;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Tessera.Protos.Grpc;
using Tessera.Protos.Reflection.V1;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Grpc;

public sealed class ReflectionServiceTests : IAsyncLifetime
{
    private const string Path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData(Path)]
    [InlineData("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")]
    public async Task ListServices_EitherName_GivesEveryService(string path)
    {
        var response = Assert.Single(await AskAsync(path, new ServerReflectionRequest { Host = "here", ListServices = "" }));

        Assert.Equal(
            ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "tessera.v1.Inference"],
            response.ListServicesResponse.Service.Select(service => service.Name));
        Assert.Equal(("here", ServerReflectionRequest.MessageRequestOneofCase.ListServices), (response.ValidHost, response.OriginalRequest.MessageRequestCase));
    }

    [Fact]
    public async Task EveryMethodOfTheServer_FileContainingItsService_DescribesIt()
    {
        var methods = Tessera.Server.Api.Grpc.GrpcMethods.Create(_server.Host.Services).Where(method => !method.Service.Contains("v1alpha", StringComparison.Ordinal));
        var files = new Dictionary<string, FileDescriptorProto>();
        foreach (var method in methods)
        {
            if (!files.TryGetValue(method.Service, out var file))
            {
                var response = Assert.Single(await AskAsync(Path, new ServerReflectionRequest { FileContainingSymbol = method.Service }));
                files[method.Service] = file = FileDescriptorProto.Parser.ParseFrom(response.FileDescriptorResponse.FileDescriptorProto[0]);
            }

            var service = file.Service.Single(candidate => $"{file.Package}.{candidate.Name}" == method.Service);
            Assert.Contains(method.Name, service.Method.Select(candidate => candidate.Name));
        }

        Assert.Equal(3, files.Count);
        Assert.Equal(files.Values.Sum(file => file.Service.Sum(service => service.Method.Count)), methods.Count());
    }

    [Fact]
    public async Task SeveralQuestions_InOneCall_AreAnsweredInOrder()
    {
        var answers = await AskAsync(
            Path,
            new ServerReflectionRequest { FileContainingSymbol = "tessera.v1.Inference.Generate" },
            new ServerReflectionRequest { FileContainingSymbol = "tessera.v1.TokenLogprob.Alternative" },
            new ServerReflectionRequest { FileByFilename = "google/rpc/status.proto" },
            new ServerReflectionRequest { AllExtensionNumbersOfType = "tessera.v1.Usage" },
            new ServerReflectionRequest { FileByFilename = "nowhere.proto" },
            new ServerReflectionRequest { FileContainingSymbol = "tessera.v1.Nothing" },
            new ServerReflectionRequest { FileContainingExtension = new() { ContainingType = "tessera.v1.Usage", ExtensionNumber = 5 } },
            new ServerReflectionRequest());

        Assert.Equal("tessera/v1/inference.proto", FilesOf(answers[0])[0]);
        Assert.Equal("tessera/v1/inference.proto", FilesOf(answers[1])[0]);
        Assert.Equal(["google/rpc/status.proto", "google/protobuf/any.proto"], FilesOf(answers[2]));
        Assert.Equal("tessera.v1.Usage", answers[3].AllExtensionNumbersResponse.BaseTypeName);
        Assert.All(answers.Skip(4).Take(3), answer => Assert.Equal(5, answer.ErrorResponse.ErrorCode));
        Assert.Equal(3, answers[7].ErrorResponse.ErrorCode);
    }

    private static List<string> FilesOf(ServerReflectionResponse response) =>
        [.. response.FileDescriptorResponse.FileDescriptorProto.Select(file => FileDescriptorProto.Parser.ParseFrom(file).Name)];

    private async Task<List<ServerReflectionResponse>> AskAsync(string path, params ServerReflectionRequest[] questions)
    {
        using var response = await _server.SendAsync(path, [.. questions.SelectMany(GrpcCalls.Frame)]);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var body = await response.Content.ReadAsByteArrayAsync();
        Assert.Equal(["0"], response.TrailingHeaders.GetValues("grpc-status"));
        var answers = new List<ServerReflectionResponse>();
        for (var at = 0; at < body.Length;)
        {
            var length = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(body.AsSpan(at + 1));
            answers.Add(ServerReflectionResponse.Parser.ParseFrom(body, at + GrpcFrame.PrefixBytes, length));
            at += GrpcFrame.PrefixBytes + length;
        }

        return answers;
    }
}
