using Tessera.Protos.Grpc;

namespace Tessera.Protos.Tests.Grpc;

public sealed class GrpcHeadersTests
{
    [Theory]
    [InlineData("application/grpc", true)]
    [InlineData("application/grpc+proto", true)]
    [InlineData("Application/GRPC; charset=utf-8", true)]
    [InlineData("application/grpc+json", false)]
    [InlineData("application/grpc-web", false)]
    [InlineData("application/json", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void IsGrpcContentType_Value_TakesProtobufOnly(string? contentType, bool expected) =>
        Assert.Equal(expected, GrpcHeaders.IsGrpcContentType(contentType));

    [Theory]
    [InlineData("0", GrpcStatusCode.OK)]
    [InlineData("4", GrpcStatusCode.DeadlineExceeded)]
    [InlineData("16", GrpcStatusCode.Unauthenticated)]
    [InlineData("17", GrpcStatusCode.Unknown)]
    [InlineData("-1", GrpcStatusCode.Unknown)]
    [InlineData("OK", GrpcStatusCode.Unknown)]
    [InlineData("", GrpcStatusCode.Unknown)]
    public void ParseStatus_Value_GivesKnownCodesOnly(string value, GrpcStatusCode expected) =>
        Assert.Equal(expected, GrpcHeaders.ParseStatus(value));
}
