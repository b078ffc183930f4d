using System.Globalization;

namespace Tessera.Protos.Grpc;

/// <summary>The <c>grpc-timeout</c> header: one to eight digits and a unit (H, M, S, m, u, n).</summary>
public static class GrpcTimeout
{
    /// <summary>Longest timeout that is timed, about 24 days; longer ones are this long (a timer takes no more).</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(int.MaxValue);

    private const int MaxDigits = 8;
    private const long MaxValue = 99_999_999;

    // Units with their ticks, finest first; nanoseconds are below a tick and handled apart.
    private static readonly (char Unit, long Ticks)[] Units =
    [
        ('u', TimeSpan.TicksPerMicrosecond),
        ('m', TimeSpan.TicksPerMillisecond),
        ('S', TimeSpan.TicksPerSecond),
        ('M', TimeSpan.TicksPerMinute),
        ('H', TimeSpan.TicksPerHour),
    ];

    /// <summary>Reads a header value.</summary>
    /// <param name="value">For example <c>250m</c>.</param>
    /// <param name="timeout">Rounded up to a whole tick (100 ns), at most <see cref="Longest"/>; zero when the value is zero.</param>
    /// <returns>False when the value is not to the specification.</returns>
    public static bool TryParse(string value, out TimeSpan timeout)
    {
        timeout = TimeSpan.Zero;
        if (value.Length < 2 || value.Length > MaxDigits + 1
            || !long.TryParse(value.AsSpan(0, value.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return false;
        }

        if (value[^1] == 'n')
        {
            timeout = TimeSpan.FromTicks((number + 99) / 100);
            return true;
        }

        foreach (var (unit, ticks) in Units)
        {
            if (value[^1] == unit)
            {
                // 10^8 hours is 3.6e18 ticks and fits a long.
                timeout = TimeSpan.FromTicks(Math.Min(number * ticks, Longest.Ticks));
                return true;
            }
        }

        return false;
    }

    /// <summary>Header value of a timeout, in the finest unit that takes it in eight digits, rounded up; zero and less is <c>0n</c>.</summary>
    public static string Format(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero)
        {
            return "0n";
        }

        if (timeout.Ticks <= MaxValue / 100)
        {
            return string.Create(CultureInfo.InvariantCulture, $"{timeout.Ticks * 100}n");
        }

        foreach (var (unit, ticks) in Units)
        {
            var number = (timeout.Ticks / ticks) + (timeout.Ticks % ticks == 0 ? 0 : 1);
            if (number <= MaxValue)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{number}{unit}");
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"{MaxValue}H");
    }
}
