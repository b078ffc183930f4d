namespace Tessera.LoadTests.Commands;

/// <summary>Finds the API key. Never an argument: those are seen in process lists and shell histories.</summary>
internal static class ApiKeys
{
    private const string DefaultVariable = "TESSERA_API_KEY";

    /// <summary>The key; null when there is none.</summary>
    /// <param name="variable">Environment variable that was named; null for none.</param>
    /// <param name="file">File that was named; null for none.</param>
    /// <exception cref="LoadTestException">What was named has no key.</exception>
    public static string? Read(string? variable, string? file)
    {
        if (file is not null)
        {
            return Check(ReadFirstLine(file), $"--api-key-file: {file}");
        }

        var value = Environment.GetEnvironmentVariable(variable ?? DefaultVariable);
        return variable is null && string.IsNullOrEmpty(value) ? null : Check(value ?? "", $"{variable ?? DefaultVariable}");
    }

    private static string ReadFirstLine(string file)
    {
        try
        {
            return File.ReadLines(file).FirstOrDefault() ?? "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LoadTestException($"--api-key-file: {file}: cannot be read", e);
        }
    }

    // The key goes into a header; its text is not shown.
    private static string Check(string key, string place)
    {
        key = key.Trim();
        return key.Length > 0 && key.All(character => character is > ' ' and <= '~')
            ? key
            : throw new LoadTestException($"{place}: expected a key of visible ASCII characters, found {(key.Length == 0 ? "nothing" : "others")}");
    }
}
