using Tessera.Exporter.Checkpoints;

namespace Tessera.Exporter.Weights;

/// <summary>A tensor and the file that holds it.</summary>
/// <param name="File">The file.</param>
/// <param name="Tensor">The tensor.</param>
internal sealed record WeightPart(SafeTensorsFile File, SafeTensor Tensor);

/// <summary>
/// All weights of a checkpoint: one <c>model.safetensors</c>, or the shards that <c>model.safetensors.index.json</c> names. Tensors are read when asked for.
/// </summary>
internal sealed class CheckpointWeights : IDisposable
{
    /// <summary>Name of the file of a checkpoint that is not sharded.</summary>
    public const string FileName = "model.safetensors";

    /// <summary>Name of the file that says which shard holds which tensor.</summary>
    public const string IndexFileName = "model.safetensors.index.json";

    private const int MaxShards = 4096;

    private readonly Dictionary<string, WeightPart> _parts = new(StringComparer.Ordinal);
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    private CheckpointWeights(string name, IReadOnlyList<SafeTensorsFile> files)
    {
        Name = name;
        Files = files;
    }

    /// <summary>File name for errors: the only file, or the index.</summary>
    public string Name { get; }

    /// <summary>The files, in the order of their names.</summary>
    public IReadOnlyList<SafeTensorsFile> Files { get; }

    /// <summary>Every tensor with its file, in the order of the names.</summary>
    public IEnumerable<WeightPart> Parts => _parts.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => entry.Value);

    /// <summary>Tensors that nobody asked for yet.</summary>
    public IEnumerable<WeightPart> Unused => Parts.Where(part => !_used.Contains(part.Tensor.Name));

    /// <summary>
    /// Whether only a sample of the model is wanted: a table may have more rows than are asked for, tensors may stay unused, and what is read is copied.
    /// </summary>
    public bool IsSample { get; init; }

    /// <summary>Opens the weights of a checkpoint folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isSample">See <see cref="IsSample"/>.</param>
    /// <exception cref="ExportException">A file is missing, truncated, or lies.</exception>
    public static CheckpointWeights Open(string folder, bool isSample = false)
    {
        var single = Path.Combine(folder, FileName);
        return !File.Exists(single) && File.Exists(Path.Combine(folder, IndexFileName))
            ? OpenShards(folder, isSample)
            : OpenFiles(FileName, [single], null, isSample);
    }

    /// <summary>The tensor of that name and shape.</summary>
    /// <exception cref="ExportException">Missing, or of another shape.</exception>
    public WeightPart Require(string tensorName, params ReadOnlySpan<long> shape)
    {
        _used.Add(tensorName);
        if (!_parts.TryGetValue(tensorName, out var part))
        {
            throw new ExportException(Name, tensorName, "a tensor of that name", "none");
        }

        var found = part.Tensor.Shape;
        var fits = found.Count == shape.Length;
        for (var i = 0; fits && i < shape.Length; i++)
        {
            fits = found[i] == shape[i] || (IsSample && i == 0 && found[i] > shape[i]);
        }

        return fits
            ? part
            : throw new ExportException(part.File.Name, tensorName, $"shape {SafeTensor.Format(shape.ToArray())}", SafeTensor.Format(found));
    }

    /// <summary>All elements of a small tensor.</summary>
    public float[] ReadFloats(string tensorName, params ReadOnlySpan<long> shape)
    {
        var part = Require(tensorName, shape);
        return part.File.ReadFloats(part.Tensor);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var file in Files)
        {
            file.Dispose();
        }
    }

    private static CheckpointWeights OpenShards(string folder, bool isSample)
    {
        var map = JsonFile.Open(Path.Combine(folder, IndexFileName)).Object("weight_map");
        var places = map.TextMembers();
        foreach (var (tensor, file) in places)
        {
            // A shard is a neighbour of the index: a path could leave the checkpoint.
            if (file.Length == 0 || Path.GetFileName(file) != file || file is "." or ".." || file.Contains('\\', StringComparison.Ordinal))
            {
                throw map.Bad(tensor, "the name of a file beside the index");
            }
        }

        var names = places.Select(place => place.Value).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        if (names.Count is 0 or > MaxShards)
        {
            throw new ExportException(IndexFileName, "weight_map", $"1 to {MaxShards} files", $"{names.Count}");
        }

        return OpenFiles(IndexFileName, [.. names.Select(name => Path.Combine(folder, name))], places, isSample);
    }

    private static CheckpointWeights OpenFiles(string name, IReadOnlyList<string> paths, IReadOnlyDictionary<string, string>? places, bool isSample)
    {
        var files = new List<SafeTensorsFile>();
        try
        {
            foreach (var path in paths)
            {
                files.Add(SafeTensorsFile.Open(path));
            }

            var weights = new CheckpointWeights(name, files) { IsSample = isSample };
            weights.Collect(places);
            return weights;
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    private void Collect(IReadOnlyDictionary<string, string>? places)
    {
        foreach (var file in Files)
        {
            foreach (var tensor in file.Tensors.Values)
            {
                if (places is not null && (!places.TryGetValue(tensor.Name, out var place) || place != file.Name))
                {
                    throw new ExportException(file.Name, tensor.Name, $"tensors that {IndexFileName} places here", "another one");
                }

                _parts.Add(tensor.Name, new WeightPart(file, tensor));
            }
        }

        if (places?.Keys.FirstOrDefault(tensor => !_parts.ContainsKey(tensor)) is { } missing)
        {
            throw new ExportException(places[missing], missing, $"a tensor, as {IndexFileName} says", "none");
        }
    }
}
