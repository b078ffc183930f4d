using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.SelfTest;

/// <summary><c>tessera-load self-test</c>: what this tool itself costs, and how far its times are off, against a server that sends at known times.</summary>
public static class SelfTestCommand
{
    private const double MostCoreShare = 0.25;
    private const double MostErrorMs = 1;

    // Code is compiled and connections are opened before the measurement.
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Serves in the child process: prints its port, then after each load the timestamps, a line per stream; ends with its standard input.</summary>
    public static async Task<int> ServeAsync(TextReader input, TextWriter output)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(output);
        using var server = new PacedServer(TimeProvider.System);
        await output.WriteLineAsync(server.Port.ToString(CultureInfo.InvariantCulture)).ConfigureAwait(false);
        await output.FlushAsync().ConfigureAwait(false);
        var accepting = server.AcceptAsync();

        // The parent asks for each load with a line; no line means that it is gone.
        while (await input.ReadLineAsync().ConfigureAwait(false) is not null)
        {
            foreach (var stream in await Task.Factory.StartNew(server.ServeOneLoad, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false))
            {
                await output.WriteLineAsync(string.Join(' ', stream)).ConfigureAwait(false);
            }

            await output.FlushAsync().ConfigureAwait(false);
        }

        server.Dispose();
        await accepting.ConfigureAwait(false);
        return ExitCodes.Complete;
    }

    /// <summary>Measures; 0 when both limits hold, 2 when one does not.</summary>
    /// <param name="streams">Streams at once.</param>
    /// <param name="tokensPerSecond">Tokens per second over all streams.</param>
    /// <param name="seconds">Length of the measurement.</param>
    /// <param name="console">For the table.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<int> RunAsync(int streams, double tokensPerSecond, double seconds, IAnsiConsole console, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(console);
        var plan = new SelfTestPlan(streams, tokensPerSecond, Math.Max(4, (int)(seconds * tokensPerSecond / streams)));
        var warmUp = plan with { TokensPerStream = Math.Max(4, (int)(WarmUp.TotalSeconds * tokensPerSecond / streams)) };
        using var server = StartServer();
        try
        {
            var port = await server.StandardOutput.ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw new LoadTestException("self-test: its server did not start");
            var url = new Uri($"http://127.0.0.1:{port}");
            using var target = new ChatCompletionsTarget(new TargetOptions(url, null, null, streams, Patience), TimeProvider.System);
            await MeasureAsync(warmUp, target, server, cancellationToken).ConfigureAwait(false);
            var result = await MeasureAsync(plan, target, server, cancellationToken).ConfigureAwait(false);
            return Print(plan, result, console);
        }
        finally
        {
            server.StandardInput.Close();
            await server.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    // The same program as this one, however it was started.
    private static Process StartServer()
    {
        var program = Environment.ProcessPath ?? throw new LoadTestException("self-test: the path of this program is not known");
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(typeof(SelfTestCommand).Assembly.Location);
        }

        start.ArgumentList.Add("self-test");
        start.ArgumentList.Add("--serve");
        return Process.Start(start) ?? throw new LoadTestException("self-test: its server did not start");
    }

    private static async Task<SelfTestResult> MeasureAsync(SelfTestPlan plan, ChatCompletionsTarget target, Process server, CancellationToken cancellationToken)
    {
        await server.StandardInput.WriteLineAsync("load").ConfigureAwait(false);
        await server.StandardInput.FlushAsync(cancellationToken).ConfigureAwait(false);
        var cpu = Environment.CpuUsage.TotalTime;
        var start = TimeProvider.System.GetTimestamp();
        var outcomes = await Task.WhenAll(Enumerable.Range(0, plan.Streams).Select(stream =>
            target.GenerateAsync(new TargetRequest("self-test", plan.Prompt(stream), ReasoningMode.Text, null, null), cancellationToken))).ConfigureAwait(false);
        var elapsed = TimeProvider.System.GetElapsedTime(start);
        var used = Environment.CpuUsage.TotalTime - cpu;
        var errors = new List<double>();
        foreach (var outcome in outcomes)
        {
            var sent = await server.StandardOutput.ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? "";
            errors.AddRange(SelfTestResult.Errors(outcome, [.. sent.Split(' ').Select(stamp => long.Parse(stamp, CultureInfo.InvariantCulture))]));
        }

        return new SelfTestResult(used / elapsed, Distribution.From(errors));
    }

    private static int Print(SelfTestPlan plan, SelfTestResult result, IAnsiConsole console)
    {
        string Text(double? value) => value?.ToString("0.000", CultureInfo.InvariantCulture) ?? "-";
        var error = result.ErrorMs;
        var holds = result.CoreShare < MostCoreShare && error.P99 < MostErrorMs;
        var load = string.Create(
            CultureInfo.InvariantCulture, $"{plan.Streams} streams, {plan.TokensPerSecond:0} tokens/s, {plan.Duration.TotalSeconds:0} s, {error.N} tokens");
        console.Write(new Spectre.Console.Text(
            $"{load}\n"
            + $"processor time of the client: {100 * result.CoreShare:0.0} % of one core (limit {100 * MostCoreShare:0} %)\n"
            + $"token seen after it was sent, ms: mean {Text(error.Mean)}, p50 {Text(error.P50)}, p90 {Text(error.P90)}, p99 {Text(error.P99)}, max {Text(error.Max)} "
            + $"(limit p99 {MostErrorMs:0})\n"
            + (holds ? "both limits hold\n" : "a limit does not hold; is the machine busy with something else?\n")));
        return holds ? ExitCodes.Complete : ExitCodes.Flawed;
    }
}

/// <summary>What the client cost and how far its times were off.</summary>
/// <param name="CoreShare">Processor time over elapsed time.</param>
/// <param name="ErrorMs">Per token: from the moment it was handed to the server's socket to the time that the client measured for it.</param>
public sealed record SelfTestResult(double CoreShare, Distribution ErrorMs)
{
    /// <summary>Errors of one response in milliseconds.</summary>
    /// <param name="outcome">What the client measured.</param>
    /// <param name="sent">When the server sent each token: timestamps of the same clock.</param>
    /// <exception cref="LoadTestException">The response is not whole.</exception>
    public static IEnumerable<double> Errors(RequestOutcome outcome, long[] sent)
    {
        ArgumentNullException.ThrowIfNull(outcome);
        ArgumentNullException.ThrowIfNull(sent);
        if (outcome.Kind != OutcomeKind.Succeeded || outcome.InterTokenTimes.Count != sent.Length - 1 || outcome.Usage?.Completion != sent.Length)
        {
            throw new LoadTestException($"self-test: a stream was not taken whole: {outcome.Error ?? outcome.UsageProblem ?? "tokens are missing"}");
        }

        var seen = outcome.TimeToFirstToken!.Value;
        for (var token = 0; token < sent.Length; token++)
        {
            seen += token == 0 ? TimeSpan.Zero : outcome.InterTokenTimes[token - 1];
            yield return (seen - TimeProvider.System.GetElapsedTime(outcome.IntendedTimestamp, sent[token])).TotalMilliseconds;
        }
    }
}
