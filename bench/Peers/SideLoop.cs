using System.Globalization;
using Tessera.Bench.Timing;

namespace Tessera.Bench.Peers;

/// <summary>
/// One side of a comparison in a process of its own, so that threads and memory of the sides stay apart. Reads one command a line
/// (<c>begin BATCH CONTEXT</c>, <c>decode STEPS</c>, <c>prefill POSITIONS</c>, <c>memory</c>) and answers each with one number.
/// </summary>
internal static class SideLoop
{
    /// <summary>Serves until the input ends.</summary>
    public static void Run(ITimedModel model, TextReader input, TextWriter output)
    {
        output.WriteLine("ready");
        output.Flush();
        while (input.ReadLine() is { } line)
        {
            output.WriteLine(Answer(model, line.Split(' ')).ToString("R", CultureInfo.InvariantCulture));
            output.Flush();
        }
    }

    private static double Answer(ITimedModel model, string[] words)
    {
        switch (words[0])
        {
            case "begin":
                model.Begin(Number(1), Number(2));
                return 0;
            case "decode":
                return model.Decode(Number(1));
            case "prefill":
                return model.Prefill(Number(1));
            case "memory":
                return ProcessMemory.ResidentBytes;
            default:
                throw new ArgumentException($"unknown command '{words[0]}'", nameof(words));
        }

        int Number(int i) => int.Parse(words[i], CultureInfo.InvariantCulture);
    }
}
