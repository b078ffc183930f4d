using Spectre.Console;
using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Reporting;

namespace Tessera.LoadTests.Tests.Support;

/// <summary>Runs the command line in a folder of its own and keeps what it wrote.</summary>
public sealed class CommandRun : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly StringWriter _console = new();
    private readonly StringWriter _error = new();

    public string Console => _console.ToString();

    public string Error => _error.ToString().TrimEnd();

    public string ReportPath => Path.Combine(_folder.Path, "out", "report.json");

    public string ReportText => File.ReadAllText(ReportPath);

    public LoadReport Report => ReportFile.Read(ReportPath);

    public PointReport Point => Report.Points.Single();

    public ArmReport Text => Point.FindArm("text")!;

    public ArmReport Latent => Point.FindArm("latent")!;

    public ComparisonReport Comparison => Point.Comparisons.Single();

    public string Folder => _folder.Path;

    public string Write(string name, string content) => _folder.Write(name, content);

    /// <summary><c>compare</c> on a dataset with the given text, without further arguments than the given ones.</summary>
    public Task<int> CompareAsync(string url, string dataset, params string[] arguments) => CompareAsync(url, dataset, CancellationToken.None, arguments);

    public Task<int> CompareAsync(string url, string dataset, CancellationToken interruption, params string[] arguments) =>
        RunAsync(["compare", "--dataset", Write("dataset.json", dataset), "--out", Path.Combine(Folder, "out"), "--url", url, "--no-png", .. arguments], interruption);

    /// <summary><c>run</c>, in the same way.</summary>
    public Task<int> LoadAsync(string url, string dataset, params string[] arguments) => LoadAsync(url, dataset, CancellationToken.None, arguments);

    public Task<int> LoadAsync(string url, string dataset, CancellationToken interruption, params string[] arguments) =>
        RunAsync(["run", "--dataset", Write("dataset.json", dataset), "--out", Path.Combine(Folder, "out"), "--url", url, "--no-png", .. arguments], interruption);

    public Task<int> RunAsync(string[] arguments, CancellationToken interruption = default)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(_console),
        });
        console.Profile.Width = 200;
        return LoadCommandLine.RunAsync(arguments, console, _error, interruption);
    }

    public void Dispose()
    {
        _console.Dispose();
        _error.Dispose();
        _folder.Dispose();
    }
}
