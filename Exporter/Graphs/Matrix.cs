namespace Tessera.Exporter.Graphs;

/// <summary>What weights need on their way from a checkpoint ([out, in]) to a graph ([in, out]).</summary>
internal static class Matrix
{
    // A tile of both matrices stays in the first-level cache.
    private const int Tile = 32;

    /// <summary>The transpose of a row-major matrix.</summary>
    /// <param name="values">[rows, columns].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <returns>[columns, rows].</returns>
    public static float[] Transpose(ReadOnlySpan<float> values, int rows, int columns)
    {
        if (values.Length != (long)rows * columns)
        {
            throw new ArgumentException($"{values.Length} elements are no {rows} x {columns} matrix.", nameof(values));
        }

        var transposed = new float[values.Length];
        for (var top = 0; top < rows; top += Tile)
        {
            for (var left = 0; left < columns; left += Tile)
            {
                for (var row = top; row < Math.Min(rows, top + Tile); row++)
                {
                    for (var column = left; column < Math.Min(columns, left + Tile); column++)
                    {
                        transposed[(column * rows) + row] = values[(row * columns) + column];
                    }
                }
            }
        }

        return transposed;
    }
}
