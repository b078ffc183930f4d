using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.EndToEnd.Tests.Support;

namespace Tessera.EndToEnd.Tests;

/// <summary>Ten times the requests that a real process takes. <c>.ci/overload</c> runs it for a minute and keeps the figures.</summary>
public sealed partial class OverloadTests
{
    private const int Slots = 4;
    private const int Queued = 8;
    private const int ClientCount = 10 * (Slots + Queued);

    private readonly ConcurrentQueue<double> _refusalMilliseconds = new();
    private readonly ConcurrentQueue<string> _wrong = new();
    private int _answered;

    [Fact]
    public async Task Server_TenTimesWhatItTakes_FinishesWhatItAcceptsRefusesTheRestAndLeaksNothing()
    {
        var seconds = double.Parse(Environment.GetEnvironmentVariable("TESSERA_OVERLOAD_SECONDS") ?? "5", CultureInfo.InvariantCulture);
        await using var server = await ServerProcess.StartAsync(
            "--Engine:MaxSlots", $"{Slots}", "--Engine:MaxQueuedRequests", $"{Queued}", "--Server:LogLevel", "Warning");
        var body = server.GreetingRequest();
        body["reasoning"] = new JsonObject { ["mode"] = "text" };
        await server.CompleteAsync(body);

        var memory = new List<double> { await ResidentMegabytesAsync(server) };
        using var ends = new CancellationTokenSource();
        var clients = Enumerable.Range(0, ClientCount).Select(_ => Task.Run(() => SendAsync(server, body.ToJsonString(), ends.Token))).ToList();
        for (var part = 0; part < 2; part++)
        {
            await Task.Delay(TimeSpan.FromSeconds(seconds / 2));
            memory.Add(await ResidentMegabytesAsync(server));
        }

        await ends.CancelAsync();
        await Task.WhenAll(clients);
        await server.WaitUntilIdleAsync();
        await ReportAsync(seconds, memory);

        Assert.Empty(_wrong);
        Assert.True(_answered > 0 && !_refusalMilliseconds.IsEmpty, $"{_answered} answered, {_refusalMilliseconds.Count} refused");
        // Once the caches are warm the load adds nothing: a leak of a kilobyte a request would show.
        Assert.True(memory[2] < memory[1] + 200, $"resident megabytes: {string.Join(' ', memory)}");
        Assert.Equal((0, Array.Empty<string>()), await EndAsync(server));
    }

    // A client as they should be but for one thing: when refused it does not wait as long as it was told to.
    private async Task SendAsync(ServerProcess server, string body, CancellationToken ends)
    {
        while (!ends.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var response = await server.Http.PostAsync("/v1/chat/completions", content, CancellationToken.None);
            var text = await response.Content.ReadAsStringAsync(CancellationToken.None);
            if (response.StatusCode == HttpStatusCode.OK && (string?)JsonNode.Parse(text)!["choices"]![0]!["finish_reason"] is "stop" or "length")
            {
                Interlocked.Increment(ref _answered);
            }
            else if (response is { StatusCode: HttpStatusCode.TooManyRequests, Headers.RetryAfter.Delta: { } wait } && wait >= TimeSpan.FromSeconds(1))
            {
                _refusalMilliseconds.Enqueue(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                await Task.Delay(100, CancellationToken.None);
            }
            else
            {
                _wrong.Enqueue($"{(int)response.StatusCode} {text}");
            }
        }
    }

    private async Task ReportAsync(double seconds, List<double> memory)
    {
        if (Environment.GetEnvironmentVariable("TESSERA_OVERLOAD_REPORT") is not { Length: > 0 } path)
        {
            return;
        }

        var refusals = _refusalMilliseconds.Order().ToList();
        var report = new
        {
            seconds,
            clients = ClientCount,
            slots = Slots,
            queued = Queued,
            answered = _answered,
            refused = refusals.Count,
            refusal_ms_p50 = refusals[refusals.Count / 2],
            refusal_ms_p99 = refusals[refusals.Count * 99 / 100],
            refusal_ms_max = refusals[^1],
            resident_megabytes = memory,
        };
        await File.WriteAllTextAsync(path, JsonSerializer.Serialize(report) + "\n");
    }

    private static async Task<(int ExitCode, string[] Errors)> EndAsync(ServerProcess server)
    {
        var (exitCode, errors) = await server.StopAsync();
        return (exitCode, [.. errors]);
    }

    private static async Task<double> ResidentMegabytesAsync(ServerProcess server) =>
        double.Parse(ResidentLine().Match(await server.Http.GetStringAsync("/metrics")).Groups[1].Value, CultureInfo.InvariantCulture) / (1 << 20);

    [GeneratedRegex("^process_resident_memory_bytes (.*)$", RegexOptions.Multiline)]
    private static partial Regex ResidentLine();
}
