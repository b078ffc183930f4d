using System.Text.Json.Nodes;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Weights;
using Tessera.Models;
using Tessera.Testing;

namespace Tessera.Exporter.Tests.Support;

/// <summary>A copy of the committed checkpoint (random weights, real files, with PyTorch's own logits) that a test may break.</summary>
internal sealed class Fixture : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Copies the checkpoint.</summary>
    public Fixture()
    {
        foreach (var source in Directory.EnumerateFiles(Original, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(Checkpoint, Path.GetRelativePath(Original, source));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(source, target);
        }
    }

    /// <summary>The committed files.</summary>
    public static string Original => Path.Combine(AppContext.BaseDirectory, "fixtures", "tiny-checkpoint");

    /// <summary>Folder of the checkpoint.</summary>
    public string Checkpoint => _folder["checkpoint"];

    /// <summary>Folder of the codebook.</summary>
    public string Codebook => Path.Combine(Checkpoint, "codebook");

    /// <summary>Where packages go; holds nothing else.</summary>
    public string Packages => _folder["packages"];

    /// <summary>The package.</summary>
    public string Output => Path.Combine(Packages, "tiny");

    /// <summary>A file of the checkpoint.</summary>
    public string this[string name] => Path.Combine(Checkpoint, name);

    /// <summary>Exports the checkpoint.</summary>
    public Manifest Export(bool force = false, string? output = null, bool withCodebook = true, DecoderPrecision? precision = null) => PackageExporter.Export(
        new(Checkpoint, withCodebook ? Codebook : null, output ?? Output, force) { Precision = precision ?? DecoderPrecision.Fp32 }, static (_, _, _) => { }, CancellationToken.None);

    /// <summary>Changes a JSON file of the checkpoint.</summary>
    public void ChangeJson(string name, Action<JsonObject> change)
    {
        var json = JsonNode.Parse(File.ReadAllText(this[name]))!.AsObject();
        change(json);
        File.WriteAllText(this[name], json.ToJsonString());
    }

    /// <summary>Rewrites model.safetensors tensor by tensor in single precision; a tensor for which <paramref name="change"/> gives null is left out.</summary>
    public void ChangeWeights(Func<string, float[], float[]?> change) => ChangeWeights(change, static (_, shape) => shape);

    /// <summary>As the other one, with other shapes too.</summary>
    public void ChangeWeights(Func<string, float[], float[]?> change, Func<string, long[], long[]> reshape)
    {
        var path = this["model.safetensors"];
        var writer = new SafeTensorsWriter();
        using (var file = SafeTensorsFile.Open(path))
        {
            foreach (var tensor in file.Tensors.Values)
            {
                if (change(tensor.Name, file.ReadFloats(tensor)) is { } values)
                {
                    writer.Add(tensor.Name, values, reshape(tensor.Name, [.. tensor.Shape]));
                }
            }
        }

        File.WriteAllBytes(path, writer.ToBytes());
    }

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();
}
