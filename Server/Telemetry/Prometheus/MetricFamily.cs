namespace Tessera.Server.Telemetry.Prometheus;

/// <summary>One metric name on <c>/metrics</c> and the instrument behind it. Several names may show one instrument.</summary>
/// <param name="Name">Name in Prometheus.</param>
/// <param name="Instrument">Name of the instrument.</param>
/// <param name="Help">What is counted or measured, in which unit.</param>
internal sealed record MetricFamily(string Name, string Instrument, string Help)
{
    /// <summary>Labels of a series from the instrument's tags; null leaves the series out.</summary>
    public Func<IReadOnlyList<KeyValuePair<string, string>>, IEnumerable<KeyValuePair<string, string>>?> LabelsOf { get; init; } = SameLabels;

    /// <summary>Label sets that are shown with zero before anything was recorded.</summary>
    public IReadOnlyList<IReadOnlyList<KeyValuePair<string, string>>> StartingLabels { get; init; } = [];

    // Dots are not allowed in label names; the names that GenAI's conventions prefix are short here, as is Prometheus' habit.
    private static IEnumerable<KeyValuePair<string, string>> SameLabels(IReadOnlyList<KeyValuePair<string, string>> tags) =>
        tags.Where(tag => tag.Key is not (MetricTags.Provider or MetricTags.Model))
            .Select(tag => new KeyValuePair<string, string>(MetricTags.LabelOf(tag.Key), tag.Value));
}
