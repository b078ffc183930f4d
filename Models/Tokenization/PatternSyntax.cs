namespace Tessera.Models;

/// <summary>Finds what a pattern of a tokenizer file may hold that .NET would take but understand differently.</summary>
internal static class PatternSyntax
{
    /// <summary>Longest pattern that is read.</summary>
    public const int MaxLength = 16 * 1024;

    /// <summary>What in <paramref name="pattern"/> is not supported; null when everything is.</summary>
    public static string? Unsupported(string pattern)
    {
        if (pattern.Length > MaxLength)
            return $"{pattern.Length} characters";
        if (pattern.Any(char.IsSurrogate))
            return "a character outside the basic multilingual plane";
        var inClass = false;
        for (var i = 0; i < pattern.Length; i++)
        {
            var c = pattern[i];
            if (c == '\\')
            {
                // Word characters and anchors differ in detail between the regular expression dialects; the rest of the escapes do not.
                if (++i < pattern.Length && "wWbBAzZGhHKRXkgQE".Contains(pattern[i], StringComparison.Ordinal))
                    return $"\\{pattern[i]}";
            }
            else if (inClass)
            {
                if (c == '[' || (c == '&' && pattern.AsSpan(i).StartsWith("&&")))
                    return "a class within a class";
                inClass = c != ']';
            }
            else if (c == '[')
            {
                inClass = true;
                if (pattern.AsSpan(i + 1).StartsWith("]") || pattern.AsSpan(i + 1).StartsWith("^]"))
                    return "a class that begins with ']'";
            }
            else if (c is '^' or '$')
            {
                return $"the anchor {c}";
            }
        }

        return null;
    }
}
