using System.CommandLine;
using Spectre.Console;
using Tessera.Bench.Timing;

namespace Tessera.Bench.EngineRuns;

/// <summary><c>calls</c>: single model calls of packages with our attention kernels and with the runtime's, in turn in one process.</summary>
internal static class CallsCommand
{
    private const int Context = 200;
    private const int StepsPerRound = 60;
    private const int PromptsPerRound = 8;
    private static readonly int[] Batches = [1, 8, 32];
    private static readonly int[] Prompts = [145, 256];

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var packages = new Option<string[]>("--packages")
        {
            Description = "Package folders",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["Models/packages/tessera-logic"],
        };
        var rounds = new Option<int>("--rounds") { Description = "Interleaved rounds", DefaultValueFactory = _ => 5 };
        var threads = new Option<int>("--threads") { Description = "Threads of the runtime", DefaultValueFactory = _ => 2 };
        var command = new Command("calls", "Times of single model calls with our attention kernels and with the runtime's: fastest, and median") { packages, rounds, threads };
        command.SetAction(parse =>
        {
            AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 140);
            AnsiConsole.Write(Measure(parse.GetValue(packages)!, parse.GetValue(rounds), parse.GetValue(threads)));
            return 0;
        });
        return command;
    }

    private static Table Measure(string[] packages, int rounds, int threads)
    {
        var sides = packages.SelectMany(package => new[]
        {
            (Name: $"{Path.GetFileName(package)}, the runtime's", Model: OnnxModel.WithRuntimesAttention(package, threads, Batches.Max())),
            (Name: $"{Path.GetFileName(package)}, ours", Model: new OnnxModel(package, threads, Batches.Max())),
        }).ToArray();
        var table = new Table().AddColumn("us per call: fastest (median)").AddColumns([.. sides.Select(side => side.Name)]);
        foreach (var batch in Batches)
            AddRow($"decode, batch {batch}, context {Context} to {Context + StepsPerRound}", model => DecodeTimes(model, batch));
        foreach (var positions in Prompts)
            AddRow($"prompt of {positions} tokens", model => Enumerable.Range(0, PromptsPerRound).Select(_ => model.Prefill(positions)));
        foreach (var side in sides)
            side.Model.Dispose();
        return table;

        void AddRow(string name, Func<OnnxModel, IEnumerable<double>> measure)
        {
            var times = sides.Select(_ => new List<double>()).ToArray();
            for (var round = 0; round <= rounds; round++)
            {
                foreach (var (i, side) in sides.Index())
                {
                    // The first round warms up. All of a round is measured at once: a list, not a lazy sequence.
                    List<double> found = [.. measure(side.Model)];
                    if (round > 0)
                        times[i].AddRange(found);
                }
            }

            table.AddRow([name, .. times.Select(of => $"{Summary.Number(of.Min() * 1e6)} ({Summary.Number(Summary.Percentile(of, 50) * 1e6)})")]);
        }
    }

    private static IEnumerable<double> DecodeTimes(OnnxModel model, int batch)
    {
        model.Begin(batch, Context);
        for (var step = 0; step < StepsPerRound; step++)
            yield return model.Decode(1);
    }
}
