using System.Diagnostics;
using System.Globalization;

namespace Tessera.Bench.Exports;

/// <summary>Programs of this repository, each run in a process of its own, so that their memory is theirs alone.</summary>
internal static class OwnProcess
{
    /// <summary>Runs a program that lies beside this one and waits for its end.</summary>
    /// <param name="program">File name of its assembly.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it wrote to standard output.</returns>
    /// <exception cref="InvalidOperationException">It ended with another exit code than 0.</exception>
    public static string Run(string program, IReadOnlyList<string> arguments)
    {
        var start = StartInfo(program, arguments);
        start.RedirectStandardOutput = true;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} {arguments[0]} ended with {process.ExitCode}");
    }

    /// <summary>How to start a program that lies beside this one, however this one was started.</summary>
    public static ProcessStartInfo StartInfo(string program, IReadOnlyList<string> arguments) =>
        new("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, program), .. arguments]);

    /// <summary>Exports a checkpoint; the package has room for 4,096 positions.</summary>
    /// <param name="checkpoint">Its folder.</param>
    /// <param name="package">The folder to write.</param>
    /// <param name="precision">Of the weights.</param>
    /// <param name="blockSize">Weights that share a scale; the exporter's default when null.</param>
    /// <returns>What the exporter wrote to standard output.</returns>
    public static string Export(string checkpoint, string package, string precision, int? blockSize = null) => Run(
        "tessera-export.dll",
        [
            "export", "--checkpoint", checkpoint, "--out", package, "--precision", precision, "--max-positions", "4096", "--force",
            .. blockSize is { } size ? ["--block-size", size.ToString(CultureInfo.InvariantCulture)] : Array.Empty<string>(),
        ]);
}
