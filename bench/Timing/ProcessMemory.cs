using System.Globalization;

namespace Tessera.Bench.Timing;

/// <summary>What /proc says of this process's memory, in bytes.</summary>
internal static class ProcessMemory
{
    /// <summary>Resident now: VmRSS.</summary>
    public static long ResidentBytes => Read("VmRSS:");

    /// <summary>Most that was resident: VmHWM.</summary>
    public static long PeakBytes => Read("VmHWM:");

    /// <summary>Resident now and not backed by a file: RssAnon.</summary>
    public static long AnonymousBytes => Read("RssAnon:");

    private static long Read(string field)
    {
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(field, StringComparison.Ordinal));
        return 1024 * long.Parse(line[field.Length..^2], CultureInfo.InvariantCulture);
    }
}
