using Tessera.Server.Api;
using Tessera.Server.Api.Grpc;
using Tessera.Server.Api.Rest;
using Tessera.Server.Api.Rest.Describing;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api;

/// <summary>The reference in docs against the tables of the server.</summary>
public sealed class ReferenceTests(ReferenceTests.Shared shared) : IClassFixture<ReferenceTests.Shared>
{
    private static string Read(string name) => File.ReadAllText(Path.Combine(RepositoryFolder.Path, "docs", "reference", name));

    [Fact]
    public void Rest_EveryRouteFieldAndError_IsInTheReference()
    {
        var reference = Read("rest.md");

        var described = RestRoutes.Create(shared.Server.Host.Services).Where(route => route.About is not null).ToList();
        Assert.All(described, route => Assert.Contains(OpenApiDocument.PathOf(route), reference, StringComparison.Ordinal));
        Assert.All(described.SelectMany(route => route.About!.Body).Select(field => field.Name).Distinct(), name => Assert.Contains($"{name}", reference, StringComparison.Ordinal));
        Assert.All(ErrorCatalog.Entries.Where(entry => entry.Kind != ErrorKind.Cancelled), entry => Assert.Contains($"| {entry.HttpStatus} |", reference, StringComparison.Ordinal));
        Assert.All(ErrorCatalog.Entries.Where(entry => entry.Kind != ErrorKind.Cancelled), entry => Assert.Contains($"`{entry.Code}`", reference, StringComparison.Ordinal));
    }

    [Fact]
    public void Grpc_EveryMethodAndStatus_IsInTheReference()
    {
        var reference = Read("grpc.md");

        Assert.All(GrpcMethods.Create(shared.Server.Host.Services), method => Assert.Contains(method.Service.Contains("reflection", StringComparison.Ordinal) ? "ServerReflection" : $"`{method.Name}`", reference, StringComparison.Ordinal));
        Assert.All(
            ErrorCatalog.Entries.Select(entry => entry.GrpcStatus).Distinct(),
            status => Assert.Contains($"`{string.Concat(status.ToString().Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{c}" : $"{char.ToUpperInvariant(c)}"))}`", reference, StringComparison.Ordinal));
    }

    public sealed class Shared : SharedServer;
}
