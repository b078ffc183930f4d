namespace Tessera.Bench.Timing;

/// <summary>A decoder under the clock: the same operations on every side of a comparison.</summary>
internal interface ITimedModel : IDisposable
{
    /// <summary>Forgets everything, then gives each of the first <paramref name="batch"/> sequences <paramref name="context"/> positions. Not timed.</summary>
    void Begin(int batch, int context);

    /// <summary>Runs decode steps, one position per sequence and step, each with logits for every sequence.</summary>
    /// <returns>Wall seconds of all steps.</returns>
    double Decode(int steps);

    /// <summary>Forgets everything and runs one prompt with logits for its last position.</summary>
    /// <returns>Wall seconds.</returns>
    double Prefill(int positions);
}
