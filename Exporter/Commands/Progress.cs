using Spectre.Console;

namespace Tessera.Exporter.Commands;

/// <summary>Shows how far a long command is.</summary>
internal static class Progress
{
    /// <summary>Runs something with a bar per stage; without a terminal there is nothing to redraw, and lines of percentages help nobody.</summary>
    /// <param name="console">Gets the bars.</param>
    /// <param name="run">Gets what to call with the stage, what of it is done, and how much there is.</param>
    public static T Run<T>(IAnsiConsole console, Func<Action<string, int, int>, T> run)
    {
        if (!console.Profile.Capabilities.Ansi)
        {
            return run(static (_, _, _) => { });
        }

        return console.Progress().AutoClear(true).Start(context =>
        {
            var tasks = new Dictionary<string, ProgressTask>(StringComparer.Ordinal);
            return run(Show);

            void Show(string stage, int done, int total)
            {
                if (!tasks.TryGetValue(stage, out var task))
                {
                    tasks[stage] = task = context.AddTask(stage, maxValue: total);
                }

                task.Value = done;
            }
        });
    }
}

/// <summary>What the process took of the machine's memory.</summary>
internal static class PeakMemory
{
    private const string StatusFile = "/proc/self/status";

    /// <summary>Most bytes that were resident at once.</summary>
    public static long Bytes
    {
        get
        {
            // .NET's own counter of the peak is not kept on Linux.
            var line = File.Exists(StatusFile) ? File.ReadLines(StatusFile).FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)) : null;
            return line is not null && long.TryParse(line["VmHWM:".Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), out var kibibytes)
                ? kibibytes * 1024
                : System.Diagnostics.Process.GetCurrentProcess().PeakWorkingSet64;
        }
    }
}
