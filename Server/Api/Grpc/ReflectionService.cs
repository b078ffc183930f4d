using Google.Protobuf.Reflection;
using Tessera.Protos.Grpc;
using Tessera.Protos.Reflection.V1;
using HealthFile = Tessera.Protos.Health.V1.HealthReflection;
using InferenceFile = Tessera.Protos.V1.InferenceReflection;
using ReflectionFile = Tessera.Protos.Reflection.V1.ReflectionReflection;
using RpcFile = Tessera.Protos.Rpc.ErrorDetailsReflection;
using RpcStatusFile = Tessera.Protos.Rpc.StatusReflection;

namespace Tessera.Server.Api.Grpc;

/// <summary><c>grpc.reflection.v1.ServerReflection</c>: what is served, for clients that have no .proto files. Knows only this server's own files.</summary>
internal sealed class ReflectionService
{
    /// <summary>Full name of the service.</summary>
    public const string ServiceName = "grpc.reflection.v1.ServerReflection";

    // Same messages under the older name, which some clients ask for first.
    private const string OlderServiceName = "grpc.reflection.v1alpha.ServerReflection";

    // The last two are in no service's imports: status details travel in metadata.
    private static readonly FileDescriptor[] Roots =
        [InferenceFile.Descriptor, HealthFile.Descriptor, ReflectionFile.Descriptor, RpcFile.Descriptor, RpcStatusFile.Descriptor];

    private static readonly Dictionary<string, FileDescriptor> Files = Roots.SelectMany(WithImports).DistinctBy(file => file.Name).ToDictionary(file => file.Name);
    private static readonly Dictionary<string, FileDescriptor> Symbols = Files.Values.SelectMany(SymbolsOf).ToDictionary(pair => pair.Name, pair => pair.File);

    /// <summary>Methods of the service.</summary>
    public IReadOnlyList<GrpcMethod> Methods =>
        [new(ServiceName, "ServerReflectionInfo", AnswerAsync), new(OlderServiceName, "ServerReflectionInfo", AnswerAsync)];

    private async Task AnswerAsync(GrpcServerCall call)
    {
        while (await call.ReadNextAsync(ServerReflectionRequest.Parser).ConfigureAwait(false) is { } request)
        {
            var response = Answer(request);
            response.ValidHost = request.Host;
            response.OriginalRequest = request;
            call.Write(response);
            await call.FlushAsync().ConfigureAwait(false);
        }
    }

    private static ServerReflectionResponse Answer(ServerReflectionRequest request) => request.MessageRequestCase switch
    {
        ServerReflectionRequest.MessageRequestOneofCase.ListServices => new() { ListServicesResponse = Services() },
        ServerReflectionRequest.MessageRequestOneofCase.FileByFilename => FileOf(Files, request.FileByFilename, "file"),
        ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol => FileOf(Symbols, request.FileContainingSymbol.TrimStart('.'), "symbol"),
        ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType => ExtensionsOf(request.AllExtensionNumbersOfType.TrimStart('.')),
        ServerReflectionRequest.MessageRequestOneofCase.FileContainingExtension => Missing("no extension of", request.FileContainingExtension.ContainingType),
        _ => Error(GrpcStatusCode.InvalidArgument, "message_request: expected a question, found none"),
    };

    private static ListServiceResponse Services() => new()
    {
        Service =
        {
            Roots.SelectMany(file => file.Services).Select(service => new ServiceResponse { Name = service.FullName }).OrderBy(service => service.Name, StringComparer.Ordinal),
        },
    };

    private static ServerReflectionResponse FileOf(Dictionary<string, FileDescriptor> index, string name, string what) =>
        index.TryGetValue(name, out var file)
            ? new() { FileDescriptorResponse = new() { FileDescriptorProto = { WithImports(file).Distinct().Select(part => part.SerializedData) } } }
            : Missing($"unknown {what}", name);

    // No message here can be extended, so every known one has no extensions.
    private static ServerReflectionResponse ExtensionsOf(string type) =>
        Symbols.TryGetValue(type, out var file) && file.FindTypeByName<MessageDescriptor>(type[(file.Package.Length + 1)..]) is not null
            ? new() { AllExtensionNumbersResponse = new() { BaseTypeName = type } }
            : Missing("unknown message", type);

    private static ServerReflectionResponse Missing(string what, string name) => Error(GrpcStatusCode.NotFound, $"{what} '{Echo.Shorten(name)}'");

    private static ServerReflectionResponse Error(GrpcStatusCode status, string message) =>
        new() { ErrorResponse = new() { ErrorCode = (int)status, ErrorMessage = message } };

    private static IEnumerable<FileDescriptor> WithImports(FileDescriptor file) => file.Dependencies.SelectMany(WithImports).Prepend(file);

    private static IEnumerable<(string Name, FileDescriptor File)> SymbolsOf(FileDescriptor file)
    {
        var services = file.Services.SelectMany(service => service.Methods.Select(method => method.FullName).Prepend(service.FullName));
        var names = file.MessageTypes.SelectMany(NamesOf).Concat(file.EnumTypes.SelectMany(NamesOf)).Concat(services);
        return names.Select(name => (name, file));
    }

    private static IEnumerable<string> NamesOf(MessageDescriptor message) =>
        message.NestedTypes.SelectMany(NamesOf).Concat(message.EnumTypes.SelectMany(NamesOf)).Concat(message.Fields.InDeclarationOrder().Select(field => field.FullName))
            .Concat(message.Oneofs.Select(oneof => oneof.FullName)).Prepend(message.FullName);

    private static IEnumerable<string> NamesOf(EnumDescriptor type) => type.Values.Select(value => value.FullName).Prepend(type.FullName);
}
