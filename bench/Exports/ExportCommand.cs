using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Spectre.Console;
using Tessera.Bench.Timing;
using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Bench.Exports;

/// <summary><c>export-1b</c>: what exporting and loading a checkpoint in the shape of Llama 3.2 1B takes, precision by precision. Each step is a process of its own.</summary>
internal static partial class ExportCommand
{
    private const int DecodedTokens = 12;

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var folder = new Option<string?>("--folder") { Description = "Where the checkpoint and packages go; a temporary folder when not given. Emptied afterwards.", HelpName = "DIR" };
        var precisions = new Option<string[]>("--precision")
        {
            Description = "Precisions to export.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["int4", "int8", "w8a8", "fp32"],
        };
        var command = new Command("export-1b", "Export a random checkpoint in the shape of Llama 3.2 1B and load each package.") { folder, precisions };
        command.SetAction(parsed => Run(parsed.GetValue(folder), parsed.GetRequiredValue(precisions)));
        return command;
    }

    /// <summary>One package loaded in a process of its own; prints seconds and bytes.</summary>
    public static Command CreateLoad()
    {
        var package = new Option<string>("--package") { Description = "The package.", Required = true };
        var command = new Command("load-package", "Load a package and print seconds, resident bytes and milliseconds per token (used by export-1b).") { package };
        command.SetAction(parsed => Load(parsed.GetRequiredValue(package)));
        return command;
    }

    private static int Run(string? folder, string[] precisions)
    {
        var root = folder ?? Directory.CreateTempSubdirectory("tessera-export-1b-").FullName;
        var checkpoint = Path.Combine(root, "checkpoint");
        try
        {
            RandomCheckpoint.Write(checkpoint, ModelShape.Llama1B);
            var table = new Table().AddColumns(
                "Precision", "Export (s)", "Peak memory (MB)", "Package (MB)", "Load: checks (s)", "Load: runtime (s)", "Resident (MB)", "of it anonymous (MB)", "ms per token");
            foreach (var precision in precisions)
            {
                var package = Path.Combine(root, precision);
                table.AddRow([precision, .. Measure(checkpoint, package, precision)]);
                Directory.Delete(package, recursive: true);
            }

            AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 160);
            AnsiConsole.Write(table);
            Console.WriteLine($"{Environment.ProcessorCount} cores, load average {File.ReadAllText("/proc/loadavg").Trim()}");
            return 0;
        }
        finally
        {
            Directory.Delete(checkpoint, recursive: true);
            if (folder is null)
            {
                Directory.Delete(root, recursive: true);
            }
        }
    }

    private static IEnumerable<string> Measure(string checkpoint, string package, string precision)
    {
        var exported = ExportLine().Match(OwnProcess.Export(checkpoint, package, precision));
        if (!exported.Success)
        {
            throw new InvalidOperationException("tessera-export did not say what it took");
        }

        var loaded = OwnProcess.Run("tessera-bench.dll", ["load-package", "--package", package]).Trim().Split(' ');
        var bytes = new DirectoryInfo(package).EnumerateFiles().Sum(file => file.Length);
        return [exported.Groups[1].Value, exported.Groups[2].Value, Megabytes(bytes), .. loaded];
    }

    private static int Load(string path)
    {
        var checks = Stopwatch.StartNew();
        var package = ModelPackage.Load(path);
        checks.Stop();
        var runtime = Stopwatch.StartNew();
        using var runner = OnnxModels.Load(package, new EngineOptions { MaxSlots = 1 }, out var codebook);
        runtime.Stop();
        codebook?.Dispose();
        GC.Collect();
        var (resident, anonymous) = (ProcessMemory.ResidentBytes, ProcessMemory.AnonymousBytes);
        var ids = Enumerable.Range(0, DecodedTokens + 1).ToArray();
        var best = double.PositiveInfinity;
        for (var position = 0; position < DecodedTokens; position++)
        {
            var step = Stopwatch.StartNew();
            runner.Run(new StepPlan([new SequenceSlice(0, ids, position, 1, WantsLogits: true)], null));
            best = Math.Min(best, step.Elapsed.TotalMilliseconds);
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{checks.Elapsed.TotalSeconds:0.0} {runtime.Elapsed.TotalSeconds:0.0} {Megabytes(resident)} {Megabytes(anonymous)} {best:0.##}"));
        return 0;
    }

    private static string Megabytes(long bytes) => (bytes / 1e6).ToString("0", CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^([0-9.]+) s, at most ([0-9]+) MB of memory\.", RegexOptions.Multiline)]
    private static partial Regex ExportLine();
}
