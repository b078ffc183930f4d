using Spectre.Console;
using Tessera.Exporter.Extension;

namespace Tessera.Exporter.Commands;

/// <summary><c>tessera-export extend</c>.</summary>
internal static class ExtendCommand
{
    /// <summary>Extends a checkpoint and says what was added.</summary>
    public static int Run(ExtendRequest request, IAnsiConsole console, CancellationToken cancellationToken)
    {
        var vocabulary = Progress.Run(console, show => CheckpointExtender.Extend(request, show, cancellationToken));
        var rule = request.Codebook is null ? "mean of the old rows" : "rows of the text that each code stands for";
        console.WriteLine($"Ids 0 to {vocabulary.OldSize - 1}: as they were, bit for bit.");
        console.WriteLine($"Ids {vocabulary.OldSize} to {vocabulary.FirstLatentId - 1}: delimiters{(vocabulary.PadId is null ? "" : " and padding")}.");
        console.WriteLine(FormattableString.Invariant(
            $"Ids {vocabulary.FirstLatentId} to {vocabulary.Size - 1}: {vocabulary.LatentCount} latents ({rule}, noise {request.Noise}, seed {request.Seed})."));
        console.WriteLine($"Wrote {request.Output}; train it, then export it.");
        return 0;
    }
}
