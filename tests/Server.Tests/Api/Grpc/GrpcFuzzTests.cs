using System.Globalization;
using Google.Protobuf;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Api.Grpc;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Grpc;

/// <summary>Made-up bytes on every method: each call ends with one status, and never with a failure of the server's own.</summary>
public sealed class GrpcFuzzTests
{
    private const int Rounds = 20;

    [Fact]
    public async Task AnyMethod_MadeUpBytes_EndsWithOneStatusAndTheServerStaysWell()
    {
        await using var server = await TestServer.StartAsync();
        var random = new Random(8);
        byte[][] seeds =
        [
            GrpcCalls.NewRequest(ReasoningMode.Latent).ToByteArray(), new TokenizeRequest { Text = "Tom" }.ToByteArray(),
            new DecodeLatentsRequest { Text = "Tom", Codes = { 0, 1 } }.ToByteArray(), new EncodeTraceRequest { Text = "Tom", Steps = { "a" } }.ToByteArray(),
        ];
        foreach (var method in GrpcMethods.Create(server.Host.Services).Where(method => method.Name != "Watch"))
        {
            for (var round = 0; round < Rounds; round++)
            {
                var message = Damage(seeds[random.Next(seeds.Length)], random);
                var frame = new byte[GrpcFrame.PrefixBytes + message.Length];
                GrpcFrame.WritePrefix(frame, compressed: false, (uint)message.Length);
                message.CopyTo(frame, GrpcFrame.PrefixBytes);

                using var response = await server.SendAsync(method.Path, frame);

                var headers = response.TrailingHeaders.Contains("grpc-status") ? response.TrailingHeaders : response.Headers;
                var status = (GrpcStatusCode)int.Parse(headers.GetValues("grpc-status").Single(), CultureInfo.InvariantCulture);
                var detail = headers.TryGetValues("grpc-message", out var values) ? GrpcMessageEncoding.Decode(values.Single()) : "";
                var isExpected = status is GrpcStatusCode.OK or GrpcStatusCode.InvalidArgument or GrpcStatusCode.NotFound
                    || (status == GrpcStatusCode.Internal && detail.StartsWith("the received bytes are not a valid ", StringComparison.Ordinal));
                Assert.True(isExpected, $"{method.Path} {Convert.ToHexString(message)}: {status} {detail}");
            }
        }

        Assert.Equal("stop", (await server.GenerateAsync(GrpcCalls.NewRequest()))[^1].Finished.Reason);
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0 });
    }

    private static byte[] Damage(byte[] seed, Random random)
    {
        var bytes = (byte[])seed.Clone();
        switch (random.Next(4))
        {
            case 0:
                random.NextBytes(bytes);
                return bytes;
            case 1:
                return bytes[..random.Next(bytes.Length)];
            case 2:
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                return bytes;
            default:
                return bytes;
        }
    }
}
