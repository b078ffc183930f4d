using System.Text;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Grpc;

/// <summary>Clients that stop half-way, in either direction.</summary>
public sealed class RawHttp2Tests
{
    [Fact]
    public async Task Generate_ClientLeavesNoRoomForTheAnswer_TakesNoSlotForIt()
    {
        await using var server = await TestServer.StartAsync();
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 0);

        await connection.RequestAsync(GrpcCalls.Generate, GrpcCalls.Frame(GrpcCalls.NewRequest()), endStream: true);

        // The response began and its messages wait in the server for a window that never opens.
        await connection.ReadUntilAsync(RawHttp2Connection.Headers);
        await AssertServesAsync(server);
    }

    [Fact]
    public async Task Generate_ConnectionIsCutMidStream_FreesTheSlot()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 65_535);
        await connection.RequestAsync(GrpcCalls.Generate, GrpcCalls.Frame(GrpcCalls.NewRequest()), endStream: true);
        await gate.WhenArrivedAsync();

        connection.Abort();

        gate.Open();
        await AssertServesAsync(server);
    }

    [Fact]
    public async Task Generate_RequestNeverEnds_IsDeadlineExceeded()
    {
        await using var server = await TestServer.StartAsync();
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 65_535);

        await connection.RequestAsync(GrpcCalls.Generate, [0, 0, 0, 0, 9, 1], endStream: false, ("grpc-timeout", "1S"));

        // The status stands in the headers, in HPACK; its message is plain enough to be found.
        var headers = Encoding.ASCII.GetString((await connection.ReadUntilAsync(RawHttp2Connection.Headers)).Content);
        Assert.Contains("the deadline passed before the response was complete", headers, StringComparison.Ordinal);
        await AssertServesAsync(server);
    }

    private static async Task AssertServesAsync(TestServer server)
    {
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
        Assert.Equal("stop", (await server.GenerateAsync(GrpcCalls.NewRequest()))[^1].Finished.Reason);
    }
}
