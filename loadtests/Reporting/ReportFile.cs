using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tessera.LoadTests.Reporting;

/// <summary>Writes report.json and report.html, and reads report.json.</summary>
public static class ReportFile
{
    /// <summary>Name of the file in the output folder.</summary>
    public const string Name = "report.json";

    /// <summary>Creates the output folder and proves that it can be written, before minutes of measuring are at stake.</summary>
    /// <exception cref="LoadTestException">It cannot.</exception>
    public static void Prepare(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            var probe = Path.Combine(folder, $".{Name}.{Guid.NewGuid():N}");
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LoadTestException($"--out: {folder}: cannot be written (a file of that name, or no permission)", e);
        }
    }

    /// <summary>Writes the report whole or not at all; replaces an earlier one. Returns the paths of the files.</summary>
    /// <exception cref="LoadTestException">The folder cannot be written any more.</exception>
    public static IReadOnlyList<string> Write(string folder, LoadReport report) =>
        [
            WriteFile(folder, Name, JsonSerializer.SerializeToUtf8Bytes(report, ReportJson.Default.LoadReport)),
            WriteFile(folder, HtmlReport.Name, HtmlReport.Build(report)),
        ];

    /// <summary>Reads a report.</summary>
    /// <exception cref="JsonException">The file is not a report.</exception>
    public static LoadReport Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), ReportJson.Default.LoadReport) ?? throw new JsonException($"{path}: null is not a report");

    /// <summary>Reads the report that a run is to be compared with.</summary>
    /// <exception cref="LoadTestException">There is none, or it has another layout.</exception>
    public static LoadReport ReadBaseline(string path)
    {
        try
        {
            var report = Read(path);
            return report.Schema == LoadReport.CurrentSchema
                ? report
                : throw new LoadTestException($"--baseline: {path}: expected schema {LoadReport.CurrentSchema}, found {report.Schema ?? "none"}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LoadTestException($"--baseline: {path}: cannot be read", e);
        }
        catch (JsonException e)
        {
            throw new LoadTestException($"--baseline: {path}: not a report of tessera-load", e);
        }
    }

    private static string WriteFile(string folder, string name, byte[] content)
    {
        var path = Path.Combine(folder, name);
        var draft = path + ".part";
        try
        {
            File.WriteAllBytes(draft, content);
            File.Move(draft, path, overwrite: true);
            return path;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LoadTestException($"--out: {path}: cannot be written", e);
        }
    }
}

/// <summary>The report's JSON: snake_case, null where nothing was measured.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(LoadReport))]
internal sealed partial class ReportJson : JsonSerializerContext;
