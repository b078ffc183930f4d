namespace Tessera.Models.Packaging;

/// <summary>Paths that a package may name: inside its folder by their text alone.</summary>
internal static class PackagePath
{
    /// <summary>The rule in words.</summary>
    public const string Rule = "a relative path inside the package with forward slashes and no '.' or '..' part";

    private const int MaxLength = 255;

    /// <summary>Whether the text of <paramref name="path"/> keeps to the rule. Links on disk are another check.</summary>
    public static bool IsContained(string path)
    {
        // A colon is a drive or a stream on Windows; control characters and backslashes have no place in a package.
        if (path.Length is 0 or > MaxLength || path.Any(c => c is '\\' or ':' || char.IsControl(c)))
            return false;
        return path.Split('/').All(part => part.Length > 0 && part is not ("." or ".."));
    }
}
