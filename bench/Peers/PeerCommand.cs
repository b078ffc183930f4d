using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Tessera.Bench.Exports;
using Tessera.Bench.LlamaCpp;
using Tessera.Bench.Timing;

namespace Tessera.Bench.Peers;

/// <summary><c>peers</c>: packages of the 1B shape against llama.cpp, and <c>side</c>, which it starts.</summary>
internal static class PeerCommand
{
    private const int MaxSequences = 8;
    private const int PositionsPerSequence = 1024;

    // Blocks of 64 with a scale in f32 take as many bytes as llama.cpp's Q4_0, which has blocks of 32 with a scale in f16: 4.5 bits a weight.
    private static readonly (string Precision, int? BlockSize)[] Exported = [("int4", null), ("int4", 64), ("int4", 128), ("w8a8", null)];

    /// <summary>The command that a person calls.</summary>
    public static Command Create()
    {
        var packages = new Option<string[]>("--package")
        {
            Description = "NAME=FOLDER of a package in the 1B shape; may be given several times. int4 (three block sizes) and w8a8 with random weights are exported when none is given",
            AllowMultipleArgumentsPerToken = true,
        };
        var rounds = new Option<int>("--rounds") { Description = "Interleaved rounds; medians are shown", DefaultValueFactory = _ => 5 };
        var threads = new Option<int>("--threads") { Description = "Threads of every side", DefaultValueFactory = _ => 2 };
        var work = new Option<string>("--work") { Description = "Folder for the random GGUF files and packages (7 GB); what is there is used again", DefaultValueFactory = _ => Path.Combine(Path.GetTempPath(), "tessera-bench") };
        var measures = new Option<string[]>("--measures")
        {
            Description = "What to measure",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [.. Measure.All.Select(measure => measure.Key)],
        };
        measures.AcceptOnlyFromAmong([.. Measure.All.Select(measure => measure.Key)]);
        var command = new Command("peers", "Packages of the Llama 1B shape against llama.cpp: prefill and decode, same shapes, random weights") { packages, measures, rounds, threads, work };
        command.SetAction(parse => Run(
            parse.GetValue(packages) ?? [],
            [.. Measure.All.Where(measure => parse.GetValue(measures)!.Contains(measure.Key))],
            parse.GetValue(rounds),
            parse.GetValue(threads),
            parse.GetValue(work)!));
        return command;
    }

    /// <summary>The command that <c>peers</c> calls.</summary>
    public static Command CreateSide()
    {
        var engine = new Argument<string>("engine");
        var path = new Argument<string>("path");
        var threads = new Argument<int>("threads");
        var folder = new Argument<string>("folder") { Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("side", "One side of a comparison; started by peers") { engine, path, threads, folder };
        command.Hidden = true;
        command.SetAction(parse =>
        {
            using var model = Load(parse.GetValue(engine)!, parse.GetValue(path)!, parse.GetValue(threads), parse.GetValue(folder));
            SideLoop.Run(model, Console.In, Console.Out);
        });
        return command;
    }

    private static ITimedModel Load(string engine, string path, int threads, string? folder)
    {
        if (engine == "onnx")
        {
            return new OnnxModel(path, threads, MaxSequences);
        }

        LlamaNative.Load(folder!);
        return new LlamaModel(path, threads, MaxSequences, PositionsPerSequence, ModelShape.Llama1B.Vocabulary);
    }

    private static int Run(string[] packages, IReadOnlyList<Measure> measures, int rounds, int threads, string work)
    {
        if (packages.FirstOrDefault(package => !package.Contains('=', StringComparison.Ordinal)) is { } bad)
        {
            Console.Error.WriteLine($"--package: expected NAME=FOLDER, found '{bad}'");
            return 1;
        }

        var library = LlamaLibrary.Fetch();
        Directory.CreateDirectory(work);
        var sides = new List<Side>();
        try
        {
            foreach (var type in (GgufType[])[GgufType.Q4_0, GgufType.Q8_0])
            {
                sides.Add(Side.Start($"llama.cpp {type}", "llama", GgufFile(work, type), threads.ToString(CultureInfo.InvariantCulture), library));
            }

            foreach (var (name, folder) in packages.Length > 0 ? packages.Select(Named) : RandomPackages(work))
            {
                sides.Add(Side.Start($"Tessera {name}", "onnx", folder, threads.ToString(CultureInfo.InvariantCulture)));
            }

            Show(sides, measures, PeerComparison.Run(sides, measures, rounds, message => Console.Error.WriteLine(message)));
            return 0;
        }
        finally
        {
            sides.ForEach(side => side.Dispose());
        }
    }

    private static (string Name, string Folder) Named(string package)
    {
        var parts = package.Split('=', 2);
        return (parts[0], parts[1]);
    }

    private static List<(string Name, string Folder)> RandomPackages(string work)
    {
        var packages = Exported.Select(of => (of, name: of.BlockSize is { } size ? $"{of.Precision}, blocks of {size}" : of.Precision, folder: Folder(of))).ToList();
        var missing = packages.Where(package => !Directory.Exists(package.folder)).ToList();
        List<(string, string)> named = [.. packages.Select(package => (package.name, package.folder))];
        if (missing.Count == 0)
        {
            return named;
        }

        // One that is there was left by a run that did not get to its end.
        var checkpoint = Directory.CreateDirectory(Path.Combine(work, $"{ModelShape.Llama1B.Name}-checkpoint"));
        checkpoint.Delete(recursive: true);
        RandomCheckpoint.Write(checkpoint.FullName, ModelShape.Llama1B);
        foreach (var (of, _, folder) in missing)
        {
            Console.Error.WriteLine($"writing {folder}");
            OwnProcess.Export(checkpoint.FullName, folder, of.Precision, of.BlockSize);
        }

        checkpoint.Delete(recursive: true);
        return named;

        string Folder((string Precision, int? BlockSize) of) =>
            Path.Combine(work, $"{ModelShape.Llama1B.Name}-{of.Precision}{(of.BlockSize is { } size ? $"-{size}" : "")}");
    }

    private static string GgufFile(string work, GgufType type)
    {
        var path = Path.Combine(work, $"{ModelShape.Llama1B.Name}-{type}.gguf");
        if (!File.Exists(path))
        {
            Console.Error.WriteLine($"writing {path}");
            GgufWriter.Write(path + ".part", ModelShape.Llama1B, type);
            File.Move(path + ".part", path);
        }

        return path;
    }

    private static void Show(List<Side> sides, IReadOnlyList<Measure> measures, IReadOnlyList<Series> series)
    {
        var reference = sides[0].Name;
        var table = new Table().AddColumn("side").AddColumn("load s").AddColumn("resident MB");
        foreach (var measure in measures)
        {
            table.AddColumn($"{measure.Name}\ntok/s (min - max), ratio");
        }

        foreach (var side in sides)
        {
            var cells = new List<string> { side.Name, Format($"{side.LoadSeconds:F1}"), Format($"{side.Ask("memory") / 1e6:F0}") };
            foreach (var measure in measures)
            {
                var own = Find(side.Name, measure);
                cells.Add(Format($"{own.Median:F1} ({own.TokensPerSecond.Min():F1} - {own.TokensPerSecond.Max():F1}), {own.Median / Find(reference, measure).Median:F2}"));
            }

            table.AddRow([.. cells.Select(Markup.Escape)]);
        }

        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 200);
        AnsiConsole.Write(table);

        Series Find(string side, Measure measure) => series.Single(one => one.Side == side && one.Measure == measure);
    }

    private static string Format(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
