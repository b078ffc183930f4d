using System.CommandLine;
using Spectre.Console;
using Tessera.Engine.Runtime;
using Tessera.Exporter.Verification;
using Tessera.Models;

namespace Tessera.Exporter.Commands;

/// <summary>The commands of <c>tessera-export</c>. Exit codes: 0 done, 1 the input cannot be used or does not verify, 2 wrong usage, 130 interrupted.</summary>
internal static class CommandLine
{
    private const int Failed = 1;
    private const int Usage = 2;
    private const int Interrupted = 130;
    private const int LongestMessage = 1000;

    /// <summary>Runs one command line.</summary>
    /// <param name="args">Its arguments.</param>
    /// <param name="console">Gets progress and tables.</param>
    /// <param name="output">Gets help.</param>
    /// <param name="error">Gets one line per failure.</param>
    public static async Task<int> RunAsync(string[] args, IAnsiConsole console, TextWriter output, TextWriter error)
    {
        var parsed = Describe(console).Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var problem in parsed.Errors)
            {
                await error.WriteLineAsync(OneLine($"error: {problem.Message}"));
            }

            await error.WriteLineAsync("Run with --help for the commands and their options.");
            return Usage;
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, Output = output, Error = error });
        }
        catch (Exception exception) when (MessageOf(exception) is { } message)
        {
            await error.WriteLineAsync(OneLine($"error: {message}"));
            return Failed;
        }
        catch (OperationCanceledException)
        {
            await error.WriteLineAsync("error: interrupted; nothing was left behind");
            return Interrupted;
        }
    }

    private static RootCommand Describe(IAnsiConsole console)
    {
        var checkpoint = new Option<string>("--checkpoint")
        {
            Description = "Folder with config.json, model.safetensors, tokenizer.json and tessera.json.",
            HelpName = "DIR",
            Required = true,
        };
        var codebook = new Option<string?>("--codebook")
        {
            Description = "Folder with codebook.json and codebook.safetensors; without it latents have no hints.",
            HelpName = "DIR",
        };
        var output = new Option<string>("--out") { Description = "The package folder to make.", HelpName = "DIR", Required = true };
        var force = new Option<bool>("--force") { Description = "Replace a package that is already there." };
        var export = new Command("export", "Make a model package of a checkpoint.") { checkpoint, codebook, output, force };
        export.SetAction((parsed, cancellationToken) => Task.Run(
            () => ExportCommand.Run(
                new(parsed.GetRequiredValue(checkpoint), parsed.GetValue(codebook), parsed.GetRequiredValue(output), parsed.GetValue(force)),
                console,
                cancellationToken),
            cancellationToken));

        var package = new Option<string>("--package") { Description = "The package folder.", HelpName = "DIR", Required = true };
        var reference = new Option<string?>("--reference")
        {
            Description = "Logits recorded in training; the package's own when not given.",
            HelpName = "FILE",
        };
        var verify = new Command("verify", "Run a package and compare it with the logits that training recorded.") { package, reference };
        verify.SetAction(parsed => VerifyCommand.Run(parsed.GetRequiredValue(package), parsed.GetValue(reference), console));

        var inspect = new Command("inspect", "Check a package and show what it is.") { package };
        inspect.SetAction(parsed => InspectCommand.Run(parsed.GetRequiredValue(package), console));
        return new RootCommand("Turns checkpoints into Tessera model packages.") { export, verify, inspect };
    }

    /// <summary>What a user is told of an expected failure; null for anything else, which is a defect of this program.</summary>
    private static string? MessageOf(Exception exception) => exception switch
    {
        ExportException or ModelPackageException => exception.Message,
        VerificationException => exception.Message,
        OrtLibraryException => exception.Message,
        OrtException => $"ONNX Runtime: {exception.Message}",
        IOException or UnauthorizedAccessException => exception.Message,
        _ => null,
    };

    /// <summary>Names and paths may hold anything; a failure is still one line.</summary>
    private static string OneLine(string text)
    {
        var line = string.Concat(text.Select(character => char.IsControl(character) ? ' ' : character));
        return line.Length <= LongestMessage ? line : string.Concat(line.AsSpan(0, LongestMessage), "...");
    }
}
