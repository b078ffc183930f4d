using Tessera.Protos.Grpc;
using Tessera.Server.Api;

namespace Tessera.Server.Tests.Api;

public sealed class ErrorCatalogTests
{
    [Fact]
    public void Entries_EveryKind_StandsAtItsOwnPlace() =>
        Assert.Equal(Enum.GetValues<ErrorKind>(), ErrorCatalog.Entries.Select(entry => entry.Kind));

    [Theory]
    [InlineData(ErrorKind.InvalidArgument, 400, GrpcStatusCode.InvalidArgument)]
    [InlineData(ErrorKind.ModelNotFound, 404, GrpcStatusCode.NotFound)]
    [InlineData(ErrorKind.QueueFull, 429, GrpcStatusCode.ResourceExhausted)]
    [InlineData(ErrorKind.Unavailable, 503, GrpcStatusCode.Unavailable)]
    [InlineData(ErrorKind.Internal, 500, GrpcStatusCode.Internal)]
    public void Get_Kind_HasBothStatuses(ErrorKind kind, int http, GrpcStatusCode grpc) =>
        Assert.Equal((http, grpc), (ErrorCatalog.Get(kind).HttpStatus, ErrorCatalog.Get(kind).GrpcStatus));
}
