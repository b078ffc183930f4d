using System.Diagnostics;
using System.Globalization;
using Tessera.Bench.Exports;

namespace Tessera.Bench.Peers;

/// <summary>A running side, seen from the comparison.</summary>
internal sealed class Side : IDisposable
{
    private readonly Process _process;

    private Side(string name, Process process, double loadSeconds)
    {
        Name = name;
        _process = process;
        LoadSeconds = loadSeconds;
    }

    /// <summary>What the table calls it.</summary>
    public string Name { get; }

    /// <summary>Wall seconds from start to ready, process start included.</summary>
    public double LoadSeconds { get; }

    /// <summary>Starts this program again as a side.</summary>
    /// <exception cref="InvalidOperationException">The side does not get ready; its own message is on the standard error.</exception>
    public static Side Start(string name, params string[] arguments)
    {
        var start = OwnProcess.StartInfo("tessera-bench.dll", ["side", .. arguments]);
        (start.RedirectStandardInput, start.RedirectStandardOutput) = (true, true);
        var watch = Stopwatch.StartNew();
        var process = Process.Start(start)!;
        if (process.StandardOutput.ReadLine() != "ready")
        {
            process.Dispose();
            throw new InvalidOperationException($"{name} did not start");
        }

        return new Side(name, process, watch.Elapsed.TotalSeconds);
    }

    /// <summary>Sends a command of <see cref="SideLoop"/> and gives its number.</summary>
    /// <exception cref="InvalidOperationException">The side ended.</exception>
    public double Ask(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
        var answer = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"{Name} ended at '{command}'");
        return double.Parse(answer, CultureInfo.InvariantCulture);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }
}
