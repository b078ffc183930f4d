using System.Globalization;

namespace Tessera.Engine.Requests;

/// <summary>Collects what is wrong with a request; each check gives the value or notes a problem.</summary>
internal sealed class ProblemList
{
    private const int MaxShownCharacters = 40;
    private readonly List<FieldProblem> _problems = [];

    /// <summary>All problems so far.</summary>
    public IReadOnlyList<FieldProblem> Problems => _problems;

    /// <summary>Notes a problem.</summary>
    public void Add(string field, string message) => _problems.Add(new FieldProblem(field, message));

    /// <summary>A whole number within limits; null when it was not given or is a problem.</summary>
    public long? WholeNumber(string field, double? value, long low, long high)
    {
        if (value is not { } number)
        {
            return null;
        }

        // Doubles above 2^53 are whole but not exact; all limits here are at most 2^53, so the range check refuses them.
        if (double.IsFinite(number) && number == Math.Floor(number) && number >= low && number <= high)
        {
            return (long)number;
        }

        Add(field, $"must be a whole number from {low} to {high}; got {Show(number)}");
        return null;
    }

    /// <summary>A number within limits; null when it was not given or is a problem.</summary>
    public float? Number(string field, double? value, double low, bool lowIncluded, double high)
    {
        if (value is not { } number)
        {
            return null;
        }

        // A double just above an excluded lower limit may become that limit as a float: checked after the conversion.
        var narrowed = (float)number;
        if (double.IsFinite(number) && number <= high && number >= low && (lowIncluded || narrowed > low))
        {
            return narrowed;
        }

        var limits = lowIncluded ? $"from {Show(low)} to {Show(high)}" : $"above {Show(low)} and at most {Show(high)}";
        Add(field, $"must be a number {limits}; got {Show(number)}");
        return null;
    }

    /// <summary>A value as it stands in a message.</summary>
    public static string Show(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>A short text in quotes as it stands in a message; long ones are cut.</summary>
    public static string Show(string value) =>
        value.Length <= MaxShownCharacters ? $"'{value}'" : $"'{value[..MaxShownCharacters]}...' ({value.Length} characters)";
}
