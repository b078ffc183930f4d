namespace Tessera.LoadTests.Commands;

/// <summary>What the process returns.</summary>
public static class ExitCodes
{
    /// <summary>Everything ran and every count held.</summary>
    public const int Complete = 0;

    /// <summary>Nothing was measured: bad arguments, bad dataset, no server.</summary>
    public const int CannotRun = 1;

    /// <summary>There is a report, but requests failed, counts contradict each other, or the server went away.</summary>
    public const int Flawed = 2;

    /// <summary>Everything ran, and a figure is worse than <c>--fail-on</c> allows.</summary>
    public const int Regressed = 3;

    /// <summary>The user interrupted; the report tells of what ran.</summary>
    public const int Interrupted = 130;
}
