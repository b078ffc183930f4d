using System.Net;
using System.Text.Json.Nodes;
using Tessera.Engine;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class OverloadTests
{
    [Fact]
    public async Task Post_QueueFull_IsRefusedWithTimeToComeBackAndOthersFinish()
    {
        await using var server = await TestServer.StartAsync(engine: new EngineOptions { MaxSlots = 1, MaxQueuedRequests = 1 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();

        var running = server.CompleteAsync(TestServer.Body());
        await gate.WhenArrivedAsync();
        var waiting = server.CompleteAsync(TestServer.Body());
        await server.WaitForStatusAsync(status => status.WaitingCount == 1);
        using var refused = await server.PostAsync(TestServer.Body());
        gate.Open();

        await ErrorAssert.IsAsync(refused, HttpStatusCode.TooManyRequests, "queue_full", null);
        Assert.True(refused.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        Assert.Equal("True", (string?)(await running)["choices"]![0]!["message"]!["content"]);
        Assert.Equal("True", (string?)(await waiting)["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Post_StepFails_IsAnErrorWithoutExceptionText()
    {
        await using var server = await TestServer.StartAsync();
        var failed = false;
        server.Runner.BeforeRun = _ =>
        {
            if (!failed)
            {
                failed = true;
                throw new InvalidOperationException("secret of the runtime");
            }
        };

        using var response = await server.PostAsync(TestServer.Body());

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.InternalServerError, "internal_error", null);
        Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
        Assert.Contains(server.Logs.Entries, entry => entry.Text.Contains("secret of the runtime", StringComparison.Ordinal));
        Assert.Equal("True", (string?)(await server.CompleteAsync(TestServer.Body()))["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Stop_RequestRuns_ItFinishesWhileNewOnesAreRefused()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.CompleteAsync(TestServer.Body());
        await gate.WhenArrivedAsync();

        var stopping = server.Host.StopAsync();
        await server.WaitForStatusAsync(status => status.State == EngineState.Draining);
        using var refused = await server.PostAsync(TestServer.Body());
        using var ready = await server.Client.GetAsync("/health/ready");
        using var live = await server.Client.GetAsync("/health/live");
        gate.Open();

        await ErrorAssert.IsAsync(refused, HttpStatusCode.ServiceUnavailable, "unavailable", null);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Equal("draining", (string?)JsonNode.Parse(await ready.Content.ReadAsStringAsync())!["status"]);
        Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        Assert.Equal("True", (string?)(await running)["choices"]![0]!["message"]!["content"]);
        await stopping;
    }

    [Fact]
    public async Task Stop_DrainTimeIsOver_RunningRequestsGetAFinalEvent()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { DrainSeconds = 1 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var plain = server.PostAsync(TestServer.Body());
        await gate.WhenArrivedAsync();
        var streamed = server.StreamAsync(TestServer.Body("\"stream\":true"));
        await server.WaitForStatusAsync(status => status.WaitingCount == 1);

        var stopping = server.Host.StopAsync();
        // The step hangs past the drain time and then comes back.
        await Task.Delay(TimeSpan.FromSeconds(2));
        gate.Open();
        await stopping;

        using var response = await plain;
        await ErrorAssert.IsAsync(response, HttpStatusCode.ServiceUnavailable, "unavailable", null);
        var events = await streamed;
        Assert.Equal("unavailable", (string?)JsonNode.Parse(events[^1])!["error"]!["code"]);
    }

    [Fact]
    public async Task Ready_StepHangs_IsRefusedUntilItComesBack()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { StallSeconds = 1 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.CompleteAsync(TestServer.Body());
        await server.WaitForStatusAsync(status => status.SinceLastProgress > TimeSpan.FromSeconds(1.1));

        using var stalled = await server.Client.GetAsync("/health/ready");
        using var refused = await server.PostAsync(TestServer.Body());
        gate.Open();
        await running;
        using var well = await server.Client.GetAsync("/health/ready");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, stalled.StatusCode);
        Assert.Contains("no progress", await ErrorAssert.IsAsync(refused, HttpStatusCode.ServiceUnavailable, "unavailable", null), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, well.StatusCode);
    }
}
