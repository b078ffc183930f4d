namespace Tessera.Exporter.Weights;

/// <summary>
/// One or more weights of a checkpoint stacked into one matrix [rows, columns], as PyTorch has them ([out, in]); read in parts, so that a large one is never
/// in memory as a whole.
/// </summary>
internal sealed class WeightMatrix
{
    private readonly List<(WeightPart Part, int FirstRow, int Rows)> _parts = [];
    private readonly bool _isSample;

    /// <summary>One weight.</summary>
    public WeightMatrix(CheckpointWeights weights, string source, int rows, int columns)
        : this(weights, columns, [(source, rows)])
    {
    }

    /// <summary>Several weights with the same columns, the first one on top.</summary>
    public WeightMatrix(CheckpointWeights weights, int columns, IReadOnlyList<(string Source, int Rows)> sources)
    {
        Columns = columns;
        _isSample = weights.IsSample;
        Name = sources[0].Source;
        foreach (var (source, rows) in sources)
        {
            _parts.Add((weights.Require(source, rows, columns), Rows, rows));
            Rows = checked(Rows + rows);
        }
    }

    /// <summary>Name of the first weight.</summary>
    public string Name { get; }

    /// <summary>File of the first weight.</summary>
    public string FileName => _parts[0].Part.File.Name;

    /// <summary>Rows (outputs).</summary>
    public int Rows { get; }

    /// <summary>Columns (inputs).</summary>
    public int Columns { get; }

    /// <summary>Number of elements.</summary>
    public long ElementCount => (long)Rows * Columns;

    /// <summary>
    /// Where the matrix lies as it is in one file: all parts there, of the given type, one directly behind the other. Null where it does not.
    /// </summary>
    public WeightPlace? PlaceIn(TensorElementType type)
    {
        var first = _parts[0].Part;
        var end = first.Tensor.Offset;
        foreach (var (part, _, rows) in _parts)
        {
            if (_isSample || part.Tensor.Type != type || part.File != first.File || part.Tensor.Offset != end)
            {
                return null;
            }

            end += (long)rows * Columns * type.ByteSize();
        }

        return new WeightPlace(first.File, first.Tensor.Offset, end - first.Tensor.Offset);
    }

    /// <summary>Whether all parts have elements of the given type.</summary>
    public bool HasType(TensorElementType type) => _parts.TrueForAll(part => part.Part.Tensor.Type == type);

    /// <summary>File and weight that a row comes from.</summary>
    public (string File, string Tensor) SourceOf(int row)
    {
        var (part, _, _) = _parts.FindLast(part => part.FirstRow <= row);
        return (part.File.Name, part.Tensor.Name);
    }

    /// <summary>Reads whole rows in single precision.</summary>
    /// <param name="firstRow">The first one.</param>
    /// <param name="values">Gets the rows from there on; a multiple of <see cref="Columns"/>.</param>
    /// <exception cref="ExportException">An element is not finite.</exception>
    public void ReadRows(int firstRow, Span<float> values)
    {
        foreach (var (part, top, rows) in _parts)
        {
            if (values.IsEmpty || firstRow >= top + rows)
            {
                continue;
            }

            var count = Math.Min(values.Length / Columns, top + rows - firstRow);
            part.File.ReadFloats(part.Tensor, (long)(firstRow - top) * Columns, values[..(count * Columns)]);
            values = values[(count * Columns)..];
            firstRow += count;
        }
    }
}

/// <summary>A stretch of a safetensors file.</summary>
/// <param name="File">The file.</param>
/// <param name="Offset">First byte, counted from the start of the file.</param>
/// <param name="ByteCount">Its size.</param>
internal sealed record WeightPlace(SafeTensorsFile File, long Offset, long ByteCount);
