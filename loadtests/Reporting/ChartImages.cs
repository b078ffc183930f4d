using System.ComponentModel;
using System.Diagnostics;

namespace Tessera.LoadTests.Reporting;

/// <summary>Has a Chromium draw each chart of report.html as PNG. None is needed for the report itself.</summary>
public static class ChartImages
{
    /// <summary>Environment variable with the path of the browser.</summary>
    public const string BrowserVariable = "TESSERA_CHROMIUM";

    // Seconds on an idle machine; the limit is for a browser that hangs.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static readonly string[] BrowserNames = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"];

    /// <summary>Writes <c>chart-NAME.png</c> for each chart beside report.html. Returns one line for the user: what was written, or why nothing was.</summary>
    /// <param name="folder">Folder with report.html.</param>
    /// <param name="report">The report that is in it.</param>
    /// <param name="browser">Path of the browser; null for none.</param>
    /// <param name="cancellationToken">Ends the browser.</param>
    public static async Task<string> WriteAsync(string folder, LoadReport report, string? browser, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(report);
        if (browser is null)
        {
            return $"none: PNG needs Chromium or Chrome; install one, or name it in {BrowserVariable}";
        }

        var page = new Uri(Path.GetFullPath(Path.Combine(folder, HtmlReport.Name))).AbsoluteUri;
        var profile = Directory.CreateTempSubdirectory("tessera-load-").FullName;
        var written = new List<string>();
        try
        {
            foreach (var chart in HtmlReport.Charts(report))
            {
                var name = $"chart-{chart}.png";
                if (await TryDrawAsync(browser, profile, $"{page}#chart={chart}", Path.GetFullPath(Path.Combine(folder, name)), cancellationToken).ConfigureAwait(false) is { } error)
                {
                    return $"{name} failed: {browser}: {error}";
                }

                written.Add(name);
            }
        }
        finally
        {
            TryDelete(profile);
        }

        return string.Join(", ", written);
    }

    /// <summary>The browser that is named in the environment, or the first one on the path; null when there is none.</summary>
    public static string? FindBrowser()
    {
        if (Environment.GetEnvironmentVariable(BrowserVariable) is { Length: > 0 } named)
        {
            return named;
        }

        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        var ending = OperatingSystem.IsWindows() ? ".exe" : "";
        return BrowserNames.SelectMany(name => folders.Select(folder => Path.Combine(folder, name + ending))).FirstOrDefault(File.Exists);
    }

    // Null when the picture is there, else why not.
    private static async Task<string?> TryDrawAsync(string browser, string profile, string address, string path, CancellationToken cancellationToken)
    {
        File.Delete(path);
        var start = new ProcessStartInfo(browser) { RedirectStandardError = true, RedirectStandardOutput = true };
        string[] arguments =
        [
            "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--force-device-scale-factor=2", "--window-size=900,520",
            $"--user-data-dir={profile}", $"--screenshot={path}", address,
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        // Chromium's sandbox refuses to run as root, as in containers; the only page that is opened is our own file.
        if (OperatingSystem.IsLinux() && Environment.UserName == "root")
        {
            start.ArgumentList.Insert(0, "--no-sandbox");
        }

        try
        {
            using var process = Process.Start(start) ?? throw new InvalidOperationException("the browser did not start");
            await WaitAsync(process, cancellationToken).ConfigureAwait(false);
            return File.Exists(path) ? null : $"no picture, exit code {process.ExitCode}";
        }
        catch (Win32Exception)
        {
            return "cannot be started";
        }
        catch (TimeoutException)
        {
            return $"no picture within {Patience.TotalSeconds:0} s";
        }
    }

    private static async Task WaitAsync(Process process, CancellationToken cancellationToken)
    {
        try
        {
            // Both pipes are read: a browser that writes much must not block on them.
            var output = Task.WhenAll(process.StandardError.ReadToEndAsync(cancellationToken), process.StandardOutput.ReadToEndAsync(cancellationToken));
            await Task.WhenAll(output, process.WaitForExitAsync(cancellationToken)).WaitAsync(Patience, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private static void TryDelete(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (IOException)
        {
            // A browser's helper still writes its profile: the system clears the temporary folder.
        }
    }
}
