using System.Text.RegularExpressions;
using Tessera.Engine;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Grpc;

public sealed class GenerateFailureTests
{
    [Fact]
    public async Task Generate_NoInput_IsInvalidAndNamesBothFields()
    {
        await using var server = await TestServer.StartAsync();

        var error = await server.FailAsync(new GenerateRequest());

        Assert.Equal(GrpcStatusCode.InvalidArgument, error.Code);
        Assert.Equal("prompt: is required: give prompt or chat.messages", error.Detail);
    }

    [Fact]
    public async Task Generate_SeveralBadFields_NamesThemAll()
    {
        await using var server = await TestServer.StartAsync();
        var request = GrpcCalls.NewRequest((ReasoningMode)17);
        request.MaxTokens = uint.MaxValue;
        request.Reasoning.LatentBudget = uint.MaxValue;
        request.Sampling = new() { Temperature = float.NaN, TopP = -1, TopK = uint.MaxValue, Seed = (1UL << 53) + 1 };
        request.Stop.Add("");

        var error = await server.FailAsync(request);

        Assert.Equal(GrpcStatusCode.InvalidArgument, error.Code);
        var fields = Regex.Matches(error.Detail, @"(?:^|; )([a-z_.\[\]0-9]+): ").Select(match => match.Groups[1].Value);
        Assert.Equal(
            ["max_tokens", "reasoning.latent_budget", "reasoning.mode", "sampling.seed", "sampling.temperature", "sampling.top_k", "sampling.top_p", "stop[0]"],
            fields.Order(StringComparer.Ordinal));
        var details = StatusDetails.Of(error);
        Assert.Equal("invalid_value", details.Reason);
        Assert.Equal(fields.Order(StringComparer.Ordinal), details.Violations.Select(violation => violation.Field).Order(StringComparer.Ordinal));
        Assert.All(details.Violations, violation => Assert.Contains($"{violation.Field}: {violation.Description}", error.Detail, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Generate_BadRole_NamesTheMessage()
    {
        await using var server = await TestServer.StartAsync();
        var request = GrpcCalls.NewRequest();
        request.Chat.Messages.Add(new ChatMessage { Role = "robot", Content = "x" });

        var error = await server.FailAsync(request);

        Assert.Equal(GrpcStatusCode.InvalidArgument, error.Code);
        Assert.StartsWith("chat.messages[1].role: ", error.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Generate_UnknownModel_IsNotFound()
    {
        await using var server = await TestServer.StartAsync();
        var request = GrpcCalls.NewRequest();
        request.Model = "other";

        var error = await server.FailAsync(request);

        Assert.Equal((GrpcStatusCode.NotFound, "model: expected 'tiny', found 'other'"), (error.Code, error.Detail));
    }

    [Fact]
    public async Task Generate_QueueFull_IsResourceExhaustedAndSaysWhenToRetry()
    {
        await using var server = await TestServer.StartAsync(engine: new EngineOptions { MaxSlots = 1, MaxQueuedRequests = 1 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.GenerateAsync(GrpcCalls.NewRequest());
        await gate.WhenArrivedAsync();
        var waiting = server.GenerateAsync(GrpcCalls.NewRequest());
        await server.WaitForStatusAsync(status => status.WaitingCount == 1);

        var error = await server.FailAsync(GrpcCalls.NewRequest());

        Assert.Equal(GrpcStatusCode.ResourceExhausted, error.Code);
        var pushback = int.Parse(error.GetTrailer("grpc-retry-pushback-ms")!);
        Assert.InRange(pushback, 1, int.MaxValue);
        var details = StatusDetails.Of(error);
        Assert.Equal("queue_full", details.Reason);
        Assert.Equal(pushback, (int)Math.Ceiling(details.RetryDelay!.Value.TotalMilliseconds));
        gate.Open();
        Assert.Equal("stop", (await running)[^1].Finished.Reason);
        Assert.Equal("stop", (await waiting)[^1].Finished.Reason);
    }

    [Fact]
    public async Task Generate_Draining_IsUnavailable()
    {
        await using var server = await TestServer.StartAsync();
        await server.Engine.DrainAsync(TimeSpan.Zero);

        var error = await server.FailAsync(GrpcCalls.NewRequest());

        Assert.Equal((GrpcStatusCode.Unavailable, "the server is shutting down"), (error.Code, error.Detail));
    }

    [Fact]
    public async Task Generate_ShutdownWhileRunning_EndsWithUnavailable()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.FailAsync(GrpcCalls.NewRequest());
        await gate.WhenArrivedAsync();

        var drained = server.Engine.DrainAsync(TimeSpan.Zero);
        gate.Open();

        Assert.Equal(GrpcStatusCode.Unavailable, (await running).Code);
        await drained;
    }

    [Fact]
    public async Task Generate_StepFails_IsInternalWithoutExceptionTextAndTheServerGoesOn()
    {
        await using var server = await TestServer.StartAsync();
        server.Runner.BeforeRun = _ => throw new InvalidOperationException("secret of the runtime");

        var error = await server.FailAsync(GrpcCalls.NewRequest());

        Assert.Equal(GrpcStatusCode.Internal, error.Code);
        Assert.DoesNotContain("secret", error.ToString(), StringComparison.Ordinal);
        server.Runner.BeforeRun = null;
        Assert.Equal("stop", (await server.GenerateAsync(GrpcCalls.NewRequest()))[^1].Finished.Reason);
    }

    [Fact]
    public async Task Generate_ClientCancelsMidStream_FreesTheSlot()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        using var client = server.NewClient();
        gate.Allow(2);
        var call = await client.StartAsync(GrpcCalls.Generate, GrpcCalls.NewRequest(), GenerateEvent.Parser);
        Assert.NotNull((await call.ReadAsync())!.Accepted);

        call.Dispose();

        // The cancellation reaches the engine while its thread is held, and is handled after the step.
        await server.WaitForLogAsync("Cancelled");
        gate.Open();
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
        Assert.Equal("stop", (await server.GenerateAsync(GrpcCalls.NewRequest()))[^1].Finished.Reason);
    }

    [Fact]
    public async Task Generate_DeadlinePasses_SendsDeadlineExceededAndFreesTheSlot()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();

        // Without a deadline of its own this client waits for what the server says.
        var frame = GrpcCalls.Frame(GrpcCalls.NewRequest());
        using var response = await server.SendAsync(GrpcCalls.Generate, frame, request => request.Headers.Add("grpc-timeout", "500m"));

        var headers = response.TrailingHeaders.Contains("grpc-status") ? response.TrailingHeaders : response.Headers;
        Assert.Equal(["4"], headers.GetValues("grpc-status"));
        gate.Open();
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
    }

    [Fact]
    public async Task Generate_ClientDeadlinePasses_ThrowsDeadlineExceeded()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        using var client = server.NewClient();

        var error = await Assert.ThrowsAsync<GrpcStatusException>(async () =>
        {
            var options = new GrpcCallOptions { Deadline = TimeSpan.FromMilliseconds(300) };
            await foreach (var _ in client.StreamAsync(GrpcCalls.Generate, GrpcCalls.NewRequest(), GenerateEvent.Parser, options))
            {
                // Accepted may come before the deadline.
            }
        });

        Assert.Equal(GrpcStatusCode.DeadlineExceeded, error.Code);
        gate.Open();
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0 });
    }
}
