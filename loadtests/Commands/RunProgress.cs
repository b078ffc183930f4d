using System.Globalization;
using Spectre.Console;
using Tessera.LoadTests.Arrivals;
using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Commands;

/// <summary>Shows how far a run is: one live bar per point and arm on a terminal, a plain line every few seconds elsewhere.</summary>
internal sealed class RunProgress
{
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly TimeProvider _clock;
    private readonly Row[,] _rows; // [point, arm]
    private readonly Action<string>? _writeLine;
    private readonly long _start;
    private long _lastLine;

    private RunProgress(TimeProvider clock, Row[,] rows, Action<string>? writeLine)
    {
        _clock = clock;
        _rows = rows;
        _writeLine = writeLine;
        _start = _lastLine = clock.GetTimestamp();
    }

    /// <summary>Shows progress while <paramref name="work"/> runs.</summary>
    public static Task ShowAsync(
        IAnsiConsole console, TimeProvider clock, IReadOnlyList<Arm> arms, IReadOnlyList<ArrivalSettings> points, int prompts, Func<RunProgress, Task> work)
    {
        var rows = new Row[points.Count, arms.Count];
        for (var point = 0; point < points.Count; point++)
        {
            for (var arm = 0; arm < arms.Count; arm++)
            {
                rows[point, arm] = new Row(points.Count == 1 ? arms[arm].Name : $"{arms[arm].Name}, {Describe(points[point])}", prompts);
            }
        }

        if (!console.Profile.Capabilities.Interactive)
        {
            return work(new RunProgress(clock, rows, line => console.Write(new Text(line + "\n"))));
        }

        var columns = new ProgressColumn[] { new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn() };
        return console.Progress().Columns(columns).StartAsync(context =>
        {
            foreach (var row in rows)
            {
                row.Bar = context.AddTask(Markup.Escape(row.Describe()), maxValue: prompts);
            }

            return work(new RunProgress(clock, rows, null));
        });
    }

    /// <summary>Takes a request that ended; from any thread.</summary>
    public void Take(int point, int arm, RequestOutcome outcome)
    {
        string? line = null;
        lock (_lock)
        {
            var row = _rows[point, arm];
            row.Take(outcome, _clock);
            if (row.Bar is { } bar)
            {
                bar.Description = Markup.Escape(row.Describe());
                bar.Increment(1);
            }
            else if (_clock.GetElapsedTime(_lastLine) >= PlainInterval)
            {
                _lastLine = _clock.GetTimestamp();
                line = string.Create(CultureInfo.InvariantCulture, $"{_clock.GetElapsedTime(_start).TotalSeconds,5:0} s  {row.Describe()}");
            }
        }

        if (line is not null)
        {
            _writeLine?.Invoke(line);
        }
    }

    private static string Describe(ArrivalSettings point) =>
        point.Rate is { } rate ? string.Create(CultureInfo.InvariantCulture, $"{rate:0.###}/s") : $"concurrency {point.Concurrency}";

    private sealed class Row(string name, int prompts)
    {
        private int _ended;
        private int _unsuccessful;
        private long _tokens;
        private long _first;
        private double _seconds;

        public ProgressTask? Bar { get; set; }

        public void Take(RequestOutcome outcome, TimeProvider clock)
        {
            _first = _ended++ == 0 ? outcome.IntendedTimestamp : _first;
            _unsuccessful += outcome.Kind == OutcomeKind.Succeeded ? 0 : 1;
            _tokens += outcome.Usage?.Completion ?? 0;
            _seconds = clock.GetElapsedTime(_first).TotalSeconds;
        }

        // The rate includes the time in which other arms had their turn: it is a sign of life, not a result.
        public string Describe()
        {
            var failures = _unsuccessful > 0 ? $", {_unsuccessful} not succeeded" : "";
            var rate = _seconds > 0 ? string.Create(CultureInfo.InvariantCulture, $", {_tokens / _seconds:0} tokens/s") : "";
            return $"{name}: {_ended}/{prompts}{rate}{failures}";
        }
    }
}
