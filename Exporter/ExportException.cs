namespace Tessera.Exporter;

/// <summary>Something given to the exporter that it cannot use: says which file and field, what was expected and what was found.</summary>
internal sealed class ExportException : Exception
{
    /// <summary>Creates the error for one finding.</summary>
    /// <param name="file">The file (or folder) as a reader knows it.</param>
    /// <param name="field">Field inside the file: a JSON path, a tensor name, "length".</param>
    /// <param name="expected">What a usable file has there.</param>
    /// <param name="found">What this file has there.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public ExportException(string file, string field, string expected, string found, Exception? innerException = null)
        : base($"{file}: {field}: expected {expected}, found {found}", innerException)
    {
        File = file;
        Field = field;
    }

    /// <summary>The file.</summary>
    public string File { get; }

    /// <summary>Field inside the file.</summary>
    public string Field { get; }
}
