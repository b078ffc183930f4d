using System.CommandLine;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;

namespace Tessera.Bench.EngineRuns;

/// <summary><c>allocations</c>: time and managed memory of a step beside the model call, by BenchmarkDotNet.</summary>
internal static class AllocationsCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var package = EngineCommand.PackageOption();
        var command = new Command("allocations", "What a step of the engine costs and allocates beside the model call (BenchmarkDotNet)") { package };
        command.SetAction(parse =>
        {
            StepBenchmark.PackageFolder = Path.GetFullPath(parse.GetValue(package)!);
            var summary = BenchmarkRunner.Run<StepBenchmark>(Configuration());
            return summary.Reports.Length > 0 && summary.Reports.All(report => report.Success) ? 0 : 1;
        });
        return command;
    }

    // In this process: the package and the native runtime are found, and nothing is built. Sequences end, so each measurement begins with new ones.
    private static ManualConfig Configuration() =>
        ManualConfig.CreateEmpty()
            .AddJob(Job.Default.WithToolchain(InProcessNoEmitToolchain.Instance).WithInvocationCount(StepBenchmark.StepCount).WithUnrollFactor(1)
                .WithWarmupCount(3).WithIterationCount(10))
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddColumnProvider(DefaultColumnProviders.Params, DefaultColumnProviders.Descriptor, DefaultColumnProviders.Statistics, DefaultColumnProviders.Metrics)
            .AddLogger(ConsoleLogger.Default)
            .WithArtifactsPath(Path.Combine(Path.GetTempPath(), "tessera-bench"));
}
