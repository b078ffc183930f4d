using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;
using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Verification;
using Tessera.LoadTests.Datasets;
using Tessera.Models;

namespace Tessera.Bench.Exports;

/// <summary><c>quality</c>: what each CPU precision does to a model: error of its logits against the recorded ones, and accuracy of its answers.</summary>
internal static class QualityCommand
{
    private static readonly string[] Modes = ["latent", "text"];

    private static readonly DecoderPrecision[] Precisions =
    [
        DecoderPrecision.Create("fp32", "f32", "cpu", 0),
        DecoderPrecision.Create("fp32", "f16", "cpu", 0),
        DecoderPrecision.Create("fp32", "int8", "cpu", 0),
        DecoderPrecision.Create("int8", "f32", "cpu", 0),
        DecoderPrecision.Create("w8a8", "f32", "cpu", 0),
        DecoderPrecision.Create("int4", "f32", "cpu", 0),
        DecoderPrecision.Create("int4", "f32", "cpu", 128),
    ];

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var checkpoint = new Option<string>("--checkpoint") { Description = "Checkpoint with a reference.safetensors.", Required = true, HelpName = "DIR" };
        var problems = new Option<string>("--problems") { Description = "ProsQA problems: a JSON array with question and answer.", Required = true, HelpName = "FILE" };
        var count = new Option<int>("--count") { Description = "Problems to take.", DefaultValueFactory = _ => 300 };
        var command = new Command("quality", "Export a checkpoint in every CPU precision; compare logits and greedy answers.") { checkpoint, problems, count };
        command.SetAction(parsed => RunAsync(parsed.GetRequiredValue(checkpoint), parsed.GetRequiredValue(problems), parsed.GetValue(count)));
        return command;
    }

    private static async Task<int> RunAsync(string checkpoint, string problemFile, int count)
    {
        var problems = JsonDocument.Parse(File.ReadAllBytes(problemFile)).RootElement.EnumerateArray().Take(count)
            .Select(problem => (Question: problem.GetProperty("question").GetString()!, Answer: problem.GetProperty("answer").GetString()!)).ToList();
        var table = new Table().AddColumns("Weights", "Block", "Keys and values", "Decoder (KB)", "Logits: relative rms error", "Logits: max abs error");
        table.AddColumns([.. Modes.Select(mode => $"Right, {mode}")]);
        foreach (var precision in Precisions)
        {
            var folder = Directory.CreateTempSubdirectory("tessera-quality-");
            try
            {
                table.AddRow(await MeasureAsync(checkpoint, Path.Combine(folder.FullName, "package"), precision, problems));
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }

        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 160);
        AnsiConsole.Write(table);
        return 0;
    }

    private static async Task<string[]> MeasureAsync(
        string checkpoint, string package, DecoderPrecision precision, List<(string Question, string Answer)> problems)
    {
        PackageExporter.Export(new(checkpoint, null, package, false) { Precision = precision }, static (_, _, _) => { }, CancellationToken.None);
        var bytes = new DirectoryInfo(package).EnumerateFiles().Where(file => file.Name.StartsWith("decoder", StringComparison.Ordinal) || file.Name == "model.safetensors")
            .Sum(file => file.Length);
        var relative = Worst(package, new Tolerance(1, IsRelative: true));
        var absolute = Worst(package, new Tolerance(1));
        List<string> row =
        [
            precision.Weights, precision.EffectiveBlockSize > 0 ? $"{precision.EffectiveBlockSize}" : "", precision.Kv, $"{bytes / 1000}",
            relative.ToString("0.0e+0", CultureInfo.InvariantCulture), absolute.ToString("0.0e+0", CultureInfo.InvariantCulture),
        ];
        foreach (var mode in Modes)
        {
            var right = await AnswerAsync(package, mode, problems);
            row.Add(string.Create(CultureInfo.InvariantCulture, $"{100.0 * right / problems.Count:0.0} % ({right})"));
        }

        return [.. row];
    }

    /// <summary>Difference of the worst way of running it.</summary>
    private static double Worst(string package, Tolerance tolerance) => PackageVerifier.Verify(package, null, 0, tolerance).Rows
        .Where(row => row.Graph == ModelPackage.DecoderFileName && !row.Check.StartsWith("greedy", StringComparison.Ordinal)).Max(row => row.Difference);

    private static async Task<int> AnswerAsync(string path, string mode, List<(string Question, string Answer)> problems)
    {
        var package = ModelPackage.Load(path);
        var options = new EngineOptions { MaxSlots = 16, MaxQueuedRequests = 512, MaxQueuedTokens = 1 << 20 };
        await using var engine = InferenceEngine.Start(package, options, TimeProvider.System);
        await engine.WaitUntilStartedAsync();
        var answers = await Task.WhenAll(problems.Select(problem => AnswerAsync(engine, mode, problem.Question)));
        return answers.Zip(problems).Count(pair => AnswerChecker.IsCorrect(AnswerRule.FinalSentence, pair.Second.Answer, pair.First));
    }

    private static async Task<string> AnswerAsync(InferenceEngine engine, string mode, string question)
    {
        var input = new GenerationInput { Chat = [new ChatTurn("user", question)], Mode = mode, Temperature = 0, MaxTokens = 512 };
        if (!GenerationRequest.TryCreate(input, engine.Package, engine.Options, GenerationFieldNames.Rest, out var request, out var problems))
        {
            throw new InvalidOperationException(string.Join("; ", problems));
        }

        if (engine.Submit(request) is not SubmitResult.Accepted accepted)
        {
            throw new InvalidOperationException("the engine did not take the request");
        }

        var answer = new System.Text.StringBuilder();
        await foreach (var published in accepted.Generation.Events.ReadAllAsync())
        {
            if (published is AnswerTextEvent text)
            {
                answer.Append(text.Text);
            }
        }

        return answer.ToString();
    }
}
