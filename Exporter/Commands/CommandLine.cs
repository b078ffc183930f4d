using System.CommandLine;
using Spectre.Console;
using Tessera.Engine.Runtime;
using Tessera.Exporter.Checkpoints;
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
    private const int NoSpaceLeft = 28; // ENOSPC

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

    private static RootCommand Describe(IAnsiConsole console) => new(
        $"""
        Turns Hugging Face checkpoints into Tessera model packages.

        Families: {string.Join("; ", ModelFamily.All.Select(family => $"{family.ModelType} ({family.Models})"))}.

        A checkpoint without latents is extended first and trained (Training/), then exported:
          tessera-export extend --checkpoint Llama-3.2-1B --latents 512 --out Llama-3.2-1B-latent
          tessera-export export --checkpoint Llama-3.2-1B-latent --out packages/llama --precision int4
          tessera-export verify --package packages/llama
        """)
    {
        CommandOptions.Export(console), CommandOptions.Extend(console), CommandOptions.Verify(console), CommandOptions.Inspect(console),
    };

    /// <summary>What a user is told of an expected failure; null for anything else, which is a defect of this program.</summary>
    private static string? MessageOf(Exception exception) => exception switch
    {
        ExportException or ModelPackageException => exception.Message,
        VerificationException => exception.Message,
        OrtLibraryException or DeviceException => exception.Message,
        OrtException => $"ONNX Runtime: {exception.Message}",
        IOException { HResult: NoSpaceLeft } => $"disk full: {exception.Message}",
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
