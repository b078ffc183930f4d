using System.CommandLine;
using Spectre.Console;
using Tessera.Exporter.Extension;

namespace Tessera.Exporter.Commands;

/// <summary>Each command with its options.</summary>
internal static class CommandOptions
{
    private const string CheckpointFiles = "Folder with config.json, model.safetensors (or shards and model.safetensors.index.json)";

    /// <summary><c>export</c>.</summary>
    public static Command Export(IAnsiConsole console)
    {
        var checkpoint = Folder("--checkpoint", $"{CheckpointFiles}, tokenizer.json and tessera.json.");
        var output = Folder("--out", "The package folder to make.");
        var codebook = Optional<string?>("--codebook", "DIR", "Folder with codebook.json and codebook.safetensors; without it latents have no hints.");
        var force = new Option<bool>("--force") { Description = "Replace a package that is already there." };
        var precision = Defaulted(
            "--precision",
            "auto",
            "Weights. On a CPU: fp32 (exact), int8 (nearly exact, half the bytes of bf16), w8a8 (8-bit products; fastest in prefill and large batches with AMX or VNNI), "
            + "int4 (smallest, fastest for one sequence). On CUDA: fp16, bf16, int4. auto measures a sample of the model on this machine.");
        var kv = Optional<string?>(
            "--kv", "TYPE", "Keys and values: f32 (the default), f16 (half the memory), int8 (a quarter, faster decoding, slower prefill; ranges from --calibration).");
        var device = Defaulted("--device", "cpu", "cpu or cuda. Packages for CUDA have not been run on a GPU yet.");
        var block = Optional<int>("--block-size", "N", "Weights that share a scale in int4 (default 32) and int8 (default 128): 16 to 256; smaller is more exact.");
        var positions = Optional<int?>("--max-positions", "N", "Positions of a sequence; default: max_position_embeddings of config.json.");
        var calibration = Optional<string?>("--calibration", "FILE", "Text for --kv int8, one sequence per line; default: the sequences of reference.safetensors.");
        var command = new Command("export", "Make a model package of a checkpoint.")
        {
            checkpoint, output, codebook, force, precision, kv, device, block, positions, calibration,
        };
        command.SetAction((parsed, cancellationToken) => Task.Run(
            () => ExportCommand.Run(
                new(parsed.GetRequiredValue(checkpoint), parsed.GetValue(codebook), parsed.GetRequiredValue(output), parsed.GetValue(force))
                {
                    MaxPositions = parsed.GetValue(positions),
                    Calibration = parsed.GetValue(calibration),
                },
                new(parsed.GetRequiredValue(precision), parsed.GetValue(kv), parsed.GetRequiredValue(device), parsed.GetValue(block)),
                console,
                cancellationToken),
            cancellationToken));
        return command;
    }

    /// <summary><c>extend</c>.</summary>
    public static Command Extend(IAnsiConsole console)
    {
        var defaults = new ExtendRequest("", "", 0);
        var checkpoint = Folder("--checkpoint", $"{CheckpointFiles} and tokenizer.json; it stays as it is.");
        var output = Folder("--out", "The folder to make.");
        var latents = new Option<int>("--latents") { Description = "Latents to add (K).", HelpName = "K", Required = true };
        var codebook = Optional<string?>(
            "--codebook", "DIR", "Folder of a codebook: each latent's row begins as the mean of the rows of the text that its code stands for. Without it: the mean of all rows.");
        var noise = Defaulted("--noise", defaults.Noise, "Noise on new rows, in parts of the old rows' deviation.");
        var seed = Defaulted("--seed", defaults.Seed, "Seed of the noise.");
        var name = Defaulted("--name", defaults.Name, "Name of the model.");
        var tokens = Defaulted("--text-tokens-per-latent", defaults.TextTokensPerLatent, "Text tokens that one latent replaces, until training has measured it.");
        var delimiters = new Option<string[]>("--delimiters")
        {
            Description = "Contents of the four delimiters, when the tokenizer has such tokens already.",
            HelpName = "THINK END BEGIN_LATENT END_LATENT",
            Arity = new ArgumentArity(4, 4),
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [.. defaults.Delimiters],
        };
        var command = new Command("extend", "Add the delimiters and K latents to a checkpoint: tokens, rows of weights, tessera.json.")
        {
            checkpoint, output, latents, codebook, noise, seed, name, tokens, delimiters,
        };
        command.SetAction((parsed, cancellationToken) => Task.Run(
            () => ExtendCommand.Run(
                new(parsed.GetRequiredValue(checkpoint), parsed.GetRequiredValue(output), parsed.GetRequiredValue(latents))
                {
                    Codebook = parsed.GetValue(codebook),
                    Noise = parsed.GetRequiredValue(noise),
                    Seed = parsed.GetRequiredValue(seed),
                    Name = parsed.GetRequiredValue(name),
                    TextTokensPerLatent = parsed.GetRequiredValue(tokens),
                    Delimiters = parsed.GetRequiredValue(delimiters),
                },
                console,
                cancellationToken),
            cancellationToken));
        return command;
    }

    /// <summary><c>verify</c>.</summary>
    public static Command Verify(IAnsiConsole console)
    {
        var package = Folder("--package", "The package folder.");
        var reference = Optional<string?>("--reference", "FILE", "Logits recorded in training; the package's own when not given.");
        var command = new Command(
            "verify", "Check a package's files and graphs, run it in every way the server does, compare it with the logits that training recorded, and let it speak.")
        {
            package, reference,
        };
        command.SetAction(parsed => VerifyCommand.Run(parsed.GetRequiredValue(package), parsed.GetValue(reference), console));
        return command;
    }

    /// <summary><c>inspect</c>.</summary>
    public static Command Inspect(IAnsiConsole console)
    {
        var package = Folder("--package", "The package folder.");
        var command = new Command("inspect", "Check a package's files and show what it is and what it takes.") { package };
        command.SetAction(parsed => InspectCommand.Run(parsed.GetRequiredValue(package), console));
        return command;
    }

    private static Option<string> Folder(string name, string description) => new(name) { Description = description, HelpName = "DIR", Required = true };

    private static Option<T> Optional<T>(string name, string help, string description) => new(name) { Description = description, HelpName = help };

    private static Option<T> Defaulted<T>(string name, T value, string description) => new(name) { Description = description, DefaultValueFactory = _ => value };
}
