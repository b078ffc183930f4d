using System.Diagnostics;

namespace Tessera.Bench.LlamaCpp;

/// <summary>The prebuilt llama.cpp of the npm package that bench/LlamaCpp/package-lock.json pins.</summary>
internal static class LlamaLibrary
{
    /// <summary>Fetches it once with npm, next to its lock file.</summary>
    /// <returns>Folder of the libraries.</returns>
    /// <exception cref="InvalidOperationException">The source tree or npm is not there.</exception>
    public static string Fetch()
    {
        var folder = FindLockFolder();
        var libraries = Path.Combine(folder, "node_modules", "@node-llama-cpp", "linux-x64", "bins", "linux-x64");
        if (!Directory.Exists(libraries))
        {
            Console.Error.WriteLine("fetching llama.cpp, once");
            using var npm = Process.Start(new ProcessStartInfo("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]) { WorkingDirectory = folder })!;
            npm.WaitForExit();
            if (npm.ExitCode != 0 || !Directory.Exists(libraries))
            {
                throw new InvalidOperationException($"npm could not fetch llama.cpp for {folder}; it is there for linux-x64 only");
            }
        }

        return libraries;
    }

    private static string FindLockFolder()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var candidate = Path.Combine(folder, "bench", "LlamaCpp");
            if (File.Exists(Path.Combine(candidate, "package-lock.json")))
            {
                return candidate;
            }
        }

        throw new InvalidOperationException("bench/LlamaCpp/package-lock.json was not found above the program: run it from the source tree");
    }
}
