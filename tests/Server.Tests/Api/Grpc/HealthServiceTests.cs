using Tessera.Protos.Grpc;
using Tessera.Protos.Health.V1;
using Tessera.Server.Tests.Support;
using static Tessera.Protos.Health.V1.HealthCheckResponse.Types;

namespace Tessera.Server.Tests.Api.Grpc;

public sealed class HealthServiceTests
{
    private const string Watch = "/grpc.health.v1.Health/Watch";

    [Theory]
    [InlineData("")]
    [InlineData("tessera.v1.Inference")]
    public async Task Check_KnownService_IsServing(string service)
    {
        await using var server = await TestServer.StartAsync();

        Assert.Equal(ServingStatus.Serving, (await CheckAsync(server, service)).Status);
    }

    [Fact]
    public async Task Check_UnknownService_IsNotFound()
    {
        await using var server = await TestServer.StartAsync();

        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => CheckAsync(server, "nobody"));

        Assert.Equal((GrpcStatusCode.NotFound, "service: expected '' or 'tessera.v1.Inference', found 'nobody'"), (error.Code, error.Detail));
    }

    [Fact]
    public async Task Check_Draining_IsNotServing()
    {
        await using var server = await TestServer.StartAsync();
        await server.Engine.DrainAsync(TimeSpan.Zero);

        Assert.Equal(ServingStatus.NotServing, (await CheckAsync(server, "")).Status);
    }

    [Fact]
    public async Task Watch_ServerDrains_SendsTheChangeAndEnds()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.NewClient();
        using var call = await client.StartAsync(Watch, new HealthCheckRequest(), HealthCheckResponse.Parser);
        Assert.Equal(ServingStatus.Serving, (await call.ReadAsync())!.Status);

        await server.Engine.DrainAsync(TimeSpan.Zero);

        Assert.Equal(ServingStatus.NotServing, (await call.ReadAsync())!.Status);
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => call.ReadAsync().AsTask());
        Assert.Equal(GrpcStatusCode.Unavailable, error.Code);
    }

    [Fact]
    public async Task Watch_UnknownService_IsAStatusAndNoError()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.NewClient();
        using var call = await client.StartAsync(Watch, new HealthCheckRequest { Service = "nobody" }, HealthCheckResponse.Parser);

        Assert.Equal(ServingStatus.ServiceUnknown, (await call.ReadAsync())!.Status);
    }

    private static async Task<HealthCheckResponse> CheckAsync(TestServer server, string service)
    {
        using var client = server.NewClient();
        return await client.UnaryAsync(GrpcCalls.HealthCheck, new HealthCheckRequest { Service = service }, HealthCheckResponse.Parser);
    }
}
