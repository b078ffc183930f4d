namespace Tessera.Models;

/// <summary>A model package that cannot be used: says which file and field, what was expected and what was found.</summary>
public sealed class ModelPackageException : Exception
{
    /// <summary>Creates the error for one finding.</summary>
    /// <param name="file">File of the package, relative to its folder.</param>
    /// <param name="field">Field inside the file (a JSON path, a tensor name, "bytes", "sha256").</param>
    /// <param name="expected">What a valid package has there.</param>
    /// <param name="found">What this package has there.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public ModelPackageException(string file, string field, string expected, string found, Exception? innerException = null)
        : base($"{file}: {field}: expected {expected}, found {found}", innerException)
    {
        File = file;
        Field = field;
        Expected = expected;
        Found = found;
    }

    /// <summary>File of the package, relative to its folder.</summary>
    public string File { get; }

    /// <summary>Field inside the file.</summary>
    public string Field { get; }

    /// <summary>What a valid package has there.</summary>
    public string Expected { get; }

    /// <summary>What this package has there.</summary>
    public string Found { get; }
}
