using System.Net;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Hosting;

public sealed class WatchdogTests
{
    [Fact]
    public async Task Step_Hangs_IsLoggedCountedAndAtLastNotLiveUntilItComesBack()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { StallSeconds = 1, RestartSeconds = 2 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.CompleteAsync(TestServer.Body());
        await server.WaitForStatusAsync(status => status.SinceLastProgress > TimeSpan.FromSeconds(2.1));

        using var live = await server.Client.GetAsync("/health/live");
        var page = await server.MetricsAsync(page => page.Value("tessera_stalls_total") == 1);
        await WaitForLogAsync(server, "The model has made no progress for");
        gate.Open();
        await running;
        await WaitForLogAsync(server, "The model makes progress again");
        using var after = await server.Client.GetAsync("/health/live");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, live.StatusCode);
        Assert.Equal(0, page.Value("tessera_ready"));
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
        Assert.Equal(1, (await server.MetricsAsync()).Value("tessera_stalls_total"));
    }

    private static async Task WaitForLogAsync(TestServer server, string text)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!server.Logs.Entries.Any(entry => entry.Text.Contains(text, StringComparison.Ordinal)))
        {
            await Task.Delay(20, patience.Token);
        }
    }
}
