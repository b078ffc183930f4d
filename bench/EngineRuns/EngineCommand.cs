using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using Tessera.Bench.Timing;
using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Bench.EngineRuns;

/// <summary><c>engine</c>: what the engine adds to the bare model calls, on a real package.</summary>
internal static class EngineCommand
{
    private const int PromptTokens = 100;
    private const int DecodeTokens = 400;
    private const int UnevenStagger = 2;
    private const int LongPrompt = 2000;

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var package = PackageOption();
        var rounds = new Option<int>("--rounds") { Description = "Interleaved rounds; medians are shown", DefaultValueFactory = _ => 5 };
        var threads = new Option<int>("--threads") { Description = "Threads of the runtime", DefaultValueFactory = _ => 2 };
        var batches = new Option<int[]>("--batches") { Description = "Sequences at once", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [1, 8, 32] };
        var chunk = new Option<int>("--prefill-chunk") { Description = "Prompt positions of one step", DefaultValueFactory = _ => new EngineOptions().PrefillChunk };
        var share = new Option<double>("--prefill-share") { Description = "Part of the time for long prompts", DefaultValueFactory = _ => new EngineOptions().PrefillShare };
        var device = new Option<EngineDevice>("--device") { Description = "Where the model runs, as its package is written for: cpu or cuda", DefaultValueFactory = _ => EngineDevice.Cpu };
        var parts = new Option<string[]>("--parts")
        {
            Description = "What to measure",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["throughput", "inter-token", "hints", "cancel", "memory"],
        };
        var command = new Command("engine", "The engine against a bare loop of model calls: throughput, inter-token time under another's prefill, the cost of hints, cancellation, memory")
        {
            package, rounds, threads, batches, chunk, share, device, parts,
        };
        command.SetAction((parse, _) => RunAsync(
            parse.GetValue(package)!,
            parse.GetValue(rounds),
            new EngineOptions
            {
                MaxSlots = Math.Max(32, parse.GetValue(batches)!.Max()),
                Threads = parse.GetValue(threads),
                PrefillChunk = parse.GetValue(chunk),
                PrefillShare = parse.GetValue(share),
                Device = parse.GetValue(device),
            },
            parse.GetValue(batches)!,
            [.. parse.GetValue(parts)!]));
        return command;
    }

    /// <summary>Which package is measured.</summary>
    public static Option<string> PackageOption() =>
        new("--package") { Description = "Package folder", DefaultValueFactory = _ => "Models/packages/tessera-logic" };

    private static async Task<int> RunAsync(string folder, int rounds, EngineOptions options, int[] batches, HashSet<string> parts)
    {
        var package = ModelPackage.Load(folder);
        var table = new Table().AddColumn("measure").AddColumn("median").AddColumn("min - max").AddColumn("ratio");
        using var codebook = LoadRunner(package, options, out var runner);
        await using var engine = new InferenceEngine(package, runner, null, options, TimeProvider.System);
        if (await engine.WaitUntilStartedAsync() != EngineState.Ready)
        {
            throw new InvalidOperationException($"the engine is {engine.GetStatus().State}", engine.Failure);
        }

        var load = new EngineLoad(engine);
        if (parts.Contains("throughput"))
        {
            await AddThroughputAsync(table, load, runner, folder, rounds, options.Threads, batches);
        }

        if (parts.Contains("inter-token"))
        {
            await InterTokenRun.AddAsync(table, load, rounds);
        }

        if (parts.Contains("hints"))
        {
            await HintRun.AddAsync(table, engine, rounds);
        }

        if (parts.Contains("cancel"))
        {
            await AddCancellationAsync(table, engine, load, rounds);
        }

        if (parts.Contains("memory"))
        {
            await AddMemoryAsync(table, engine, load);
        }

        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 140);
        AnsiConsole.Write(table);
        return 0;
    }

    private static ICodebook? LoadRunner(ModelPackage package, EngineOptions options, out TimedRunner runner)
    {
        runner = new TimedRunner(OnnxModels.Load(package, options, out var codebook));
        return codebook;
    }

    private static async Task AddThroughputAsync(
        Table table, EngineLoad load, TimedRunner runner, string folder, int rounds, int threads, int[] batches)
    {
        using var bare = new OnnxModel(folder, threads, batches.Max());
        var speeds = batches.ToDictionary(batch => batch, _ => new Speeds());
        for (var round = 0; round <= rounds; round++)
        {
            foreach (var batch in batches)
            {
                var even = BareSpeed(bare, batch, stagger: 0);
                var uneven = BareSpeed(bare, batch, UnevenStagger);
                (runner.Rows, _) = (batch, runner.TakeTimes());
                var engine = await load.ThroughputAsync(batch, PromptTokens, DecodeTokens);
                var (inside, outside) = runner.TakeTimes();
                if (round > 0)
                {
                    speeds[batch].Add(even, uneven, engine, inside, outside);
                }
            }
        }

        foreach (var batch in batches)
        {
            var of = speeds[batch];
            var (even, uneven, engine) = (Summary.Of(of.Even), Summary.Of(of.Uneven), Summary.Of(of.Engine));
            table.AddRow($"bare loop, batch {batch}, tok/s", even.Median, even.Range, "1.00");
            if (batch > 1)
            {
                table.AddRow($"bare loop, batch {batch}, rows of different lengths, tok/s", uneven.Median, uneven.Range, PairedRatio(of.Uneven, of.Even));
            }

            table.AddRow($"engine, batch {batch}, tok/s", engine.Median, engine.Range, PairedRatio(of.Engine, of.Even));
            var (inside, outside) = (Summary.Of(of.Inside), Summary.Of(of.Outside));
            table.AddRow($"  its model call, us per step", inside.Median, inside.Range, "");
            table.AddRow($"  everything else, us per step", outside.Median, outside.Range, Ratio(outside.MedianValue, inside.MedianValue));
        }

        if (batches.Length > 1)
        {
            var (first, last) = (batches[0], batches[^1]);
            table.AddRow($"engine, batch {last} / batch {first}", "", "", Ratio(Summary.Of(speeds[last].Engine).MedianValue, Summary.Of(speeds[first].Engine).MedianValue));
        }
    }

    private static double BareSpeed(OnnxModel bare, int batch, int stagger)
    {
        bare.Stagger = stagger;
        bare.Begin(batch, PromptTokens);
        return batch * DecodeTokens / bare.Decode(DecodeTokens);
    }

    private static async Task AddCancellationAsync(Table table, InferenceEngine engine, EngineLoad load, int rounds)
    {
        var times = new List<double>();
        for (var i = 0; i < 20 * rounds; i++)
        {
            var generation = load.Submit(PromptTokens, DecodeTokens);
            var watch = new System.Diagnostics.Stopwatch();
            var count = 0;
            await foreach (var _ in generation.Events.ReadAllAsync())
            {
                if (++count == 20)
                {
                    watch.Start();
                    generation.Cancel();
                }
            }

            while (engine.GetStatus().KvPositionsInUse > 0)
            {
                await Task.Yield();
            }

            times.Add(watch.Elapsed.TotalMilliseconds);
        }

        var summary = Summary.Of(times);
        table.AddRow("cancel to freed positions p95, ms", Summary.Number(Summary.Percentile(times, 95)), summary.Range, "");
    }

    private static async Task AddMemoryAsync(Table table, InferenceEngine engine, EngineLoad load)
    {
        GC.Collect();
        var before = ProcessMemory.ResidentBytes;
        var burst = Enumerable.Range(0, 32).Select(_ => EngineLoad.ArrivalsAsync(load.Submit(LongPrompt, 200))).ToArray();
        var most = before;
        var kv = 0L;
        while (!Task.WhenAll(burst).IsCompleted)
        {
            var resident = ProcessMemory.ResidentBytes;
            if (resident > most)
            {
                (most, kv) = (resident, engine.GetStatus().KvBytesInUse);
            }

            await Task.Delay(5);
        }

        GC.Collect();
        table.AddRow("resident before / at most in a burst / after, MB", $"{Mega(before)} / {Mega(most)} / {Mega(ProcessMemory.ResidentBytes)}", "", "");
        table.AddRow("KV bytes in use at that most, MB", Mega(kv), "", "");
    }

    // Of what was measured in the same round: the machine's speed changes more from one round to the next than within one.
    private static string PairedRatio(List<double> values, List<double> references) =>
        Ratio(Summary.Percentile([.. values.Zip(references, (value, reference) => value / reference)], 50), 1);

    private static string Mega(long bytes) => (bytes / 1e6).ToString("F0", CultureInfo.InvariantCulture);

    private static string Ratio(double value, double reference) => (value / reference).ToString("F2", CultureInfo.InvariantCulture);

    /// <summary>Measured rounds of one batch size.</summary>
    private sealed class Speeds
    {
        public List<double> Even { get; } = [];

        public List<double> Uneven { get; } = [];

        public List<double> Engine { get; } = [];

        public List<double> Inside { get; } = [];

        public List<double> Outside { get; } = [];

        public void Add(double even, double uneven, double engine, double inside, double outside)
        {
            Even.Add(even);
            Uneven.Add(uneven);
            Engine.Add(engine);
            Inside.Add(inside);
            Outside.Add(outside);
        }
    }
}
