using Tessera.Engine.Caching;

namespace Tessera.Engine.Execution.Devices;

/// <summary>
/// Which decode calls are captured: 1, 2, 4, 8, ... rows up to all slots. Other row counts are filled up to the next of these with rows that nobody reads. Such a
/// row writes its slot's next position, which whoever has the slot writes again before it is read.
/// </summary>
internal sealed class DecodeShapes
{
    /// <summary>Shapes of a device.</summary>
    /// <param name="slotCount">Most rows.</param>
    /// <param name="maxPositions">Positions of a slot.</param>
    /// <param name="capturesGraphs">Whether anything is captured; otherwise each call has just the wanted rows.</param>
    public DecodeShapes(int slotCount, int maxPositions, bool capturesGraphs)
    {
        Captured = capturesGraphs ? [.. Sizes(slotCount).Select(rows => new DecodeShape(rows, GraphIdOf(rows), maxPositions))] : [];
    }

    /// <summary>The captured shapes, smallest first.</summary>
    public IReadOnlyList<DecodeShape> Captured { get; }

    /// <summary>How so many rows are run.</summary>
    public DecodeShape For(int rowCount, KvCache cache)
    {
        foreach (var shape in Captured)
        {
            if (shape.RowCount >= rowCount)
                return CanFill(rowCount, shape.RowCount, cache) ? shape : DecodeShape.Exact(rowCount);
        }

        return DecodeShape.Exact(rowCount);
    }

    // The runtime keeps 0 for sessions that name no graph.
    private static int GraphIdOf(int rowCount) => rowCount;

    private static IEnumerable<int> Sizes(int slotCount)
    {
        for (var rows = 1; rows < slotCount; rows *= 2)
            yield return rows;
        yield return slotCount;
    }

    // A full slot has no next position.
    private static bool CanFill(int from, int to, KvCache cache)
    {
        for (var slot = from; slot < to; slot++)
        {
            if (cache.PositionCount(slot) == cache.MaxPositions)
                return false;
        }

        return true;
    }
}
