using System.Text.Json.Nodes;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Tests.Support;
using Tessera.Exporter.Verification;
using Tessera.Models;

namespace Tessera.Exporter.Tests.Packaging;

public sealed class PackageExporterTests : IDisposable
{
    private readonly Fixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Export_Fixture_MakesAPackageThatLoadsAndVerifies()
    {
        _fixture.Export();

        var package = ModelPackage.Load(_fixture.Output);
        Assert.Equal(("tessera-fixture", 681, 16), (package.Manifest.Name, package.Vocabulary.FirstLatentId, package.Vocabulary.LatentCount));
        var rows = PackageVerifier.Verify(_fixture.Output, null, threads: 1).Rows;
        Assert.Equal(11, rows.Count);
        Assert.All(rows, row => Assert.True(row.Passed, row.ToString()));
    }

    [Fact]
    public void Export_Twice_GivesTheSameBytes()
    {
        _fixture.Export();
        var again = Path.Combine(_fixture.Packages, "again");
        _fixture.Export(output: again);

        var names = Directory.EnumerateFiles(_fixture.Output).Select(path => Path.GetFileName(path)).Order().ToList();
        Assert.Equal(names, Directory.EnumerateFiles(again).Select(path => Path.GetFileName(path)).Order());
        Assert.All(names, name => Assert.Equal(File.ReadAllBytes(Path.Combine(_fixture.Output, name!)), File.ReadAllBytes(Path.Combine(again, name!))));
    }

    [Fact]
    public void Export_WithoutCodebook_MakesAPackageWithoutHints()
    {
        var manifest = _fixture.Export(withCodebook: false);

        Assert.Null(manifest.Codebook);
        Assert.Equal(9, PackageVerifier.Verify(_fixture.Output, null, threads: 1).Rows.Count(row => row.Passed));
    }

    [Fact]
    public void Export_Card_ShowsWhatWasMeasured()
    {
        _fixture.ChangeJson("tessera.json", json =>
        {
            json["limits"] = new JsonArray("Knows nothing but graphs.");
            json["evaluation"] = new JsonArray(new JsonObject
            {
                ["task"] = "prosqa",
                ["mode"] = "latent",
                ["n"] = 300,
                ["accuracy"] = 0.95,
                ["low"] = 0.92,
                ["high"] = 0.97,
                ["mean_tokens"] = 12.34,
                ["note"] = "greedy | seed 1",
            });
        });
        _fixture.Export();

        var card = File.ReadAllText(Path.Combine(_fixture.Output, ModelCard.FileName));
        Assert.Contains("| prosqa | latent | 300 | 95.0 % | 92.0 % to 97.0 % | 12.3 | greedy \\| seed 1 |\n", card);
        Assert.Contains("- Knows nothing but graphs.\n", card);
        Assert.StartsWith("# tessera-fixture 0.0.1\n\nRandom weights: a fixture for tests.\n\nLicence of the weights: MIT.\n", card);
    }

    [Fact]
    public void Export_FolderWithFiles_IsRefusedAndUntouched()
    {
        Directory.CreateDirectory(_fixture.Output);
        File.WriteAllText(Path.Combine(_fixture.Output, "notes.txt"), "mine");

        Assert.Equal("--out", Assert.Throws<ExportException>(() => _fixture.Export()).Field);
        Assert.Equal("--out", Assert.Throws<ExportException>(() => _fixture.Export(force: true)).Field);
        Assert.Equal(["notes.txt"], Directory.EnumerateFileSystemEntries(_fixture.Output).Select(path => Path.GetFileName(path)));
    }

    [Fact]
    public void Export_OverAPackage_NeedsForceAndReplacesIt()
    {
        _fixture.Export();
        _fixture.ChangeJson("tessera.json", json => json["version"] = "0.0.2");

        Assert.Equal("--out", Assert.Throws<ExportException>(() => _fixture.Export()).Field);
        _fixture.Export(force: true);

        Assert.Equal("0.0.2", ModelPackage.Load(_fixture.Output).Manifest.Version);
        Assert.Equal([_fixture.Output], Directory.EnumerateFileSystemEntries(_fixture.Packages));
    }

    [Fact]
    public void Export_OverAFile_IsRefused()
    {
        Directory.CreateDirectory(_fixture.Packages);
        File.WriteAllText(_fixture.Output, "mine");

        Assert.Equal("--out", Assert.Throws<ExportException>(() => _fixture.Export(force: true)).Field);
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    [InlineData("tokenizer.json")]
    [InlineData("tessera.json")]
    [InlineData("codebook/codebook.json")]
    [InlineData("codebook/codebook.safetensors")]
    public void Export_MissingFile_NamesItAndLeavesNothing(string name)
    {
        File.Delete(_fixture[name]);

        Assert.Equal(Path.GetFileName(name), Assert.Throws<ExportException>(() => _fixture.Export()).File);
        AssertNothingLeft();
    }

    [Fact]
    public void Export_MissingTensor_NamesItAndLeavesNothing() => AssertRefused(
        (name, values) => name == "model.layers.1.mlp.up_proj.weight" ? null : values,
        "model.safetensors: model.layers.1.mlp.up_proj.weight: expected a tensor of that name, found none");

    [Fact]
    public void Export_NaN_NamesTensorAndElement() => AssertRefused(
        (name, values) =>
        {
            if (name == "model.norm.weight")
                values[3] = float.NaN;
            return values;
        },
        "model.safetensors: model.norm.weight: expected finite numbers, found NaN at element 3");

    [Fact]
    public void Export_WrongShape_SaysBothShapes()
    {
        _fixture.ChangeWeights((_, values) => values, (name, shape) => name == "lm_head.weight" ? [shape[1], shape[0]] : shape);

        var error = Assert.Throws<ExportException>(() => _fixture.Export());

        Assert.Equal("model.safetensors: lm_head.weight: expected shape [697, 16], found [16, 697]", error.Message);
        AssertNothingLeft();
    }

    [Fact]
    public void Export_TensorOfAnotherArchitecture_IsRefused()
    {
        _fixture.ChangeJson("config.json", json => json["num_hidden_layers"] = 1);

        Assert.Equal("model.layers.1.input_layernorm.weight", Assert.Throws<ExportException>(() => _fixture.Export()).Field);
        AssertNothingLeft();
    }

    [Theory]
    [InlineData("tessera.json", "latents", "count", 17, "latents")]
    [InlineData("codebook/codebook.json", null, "codes", 15, "codes")]
    [InlineData("codebook/codebook.json", null, "text_vocab_size", 682, "text_vocab_size")]
    [InlineData("codebook/codebook.json", null, "dim", 9, "heads")]
    [InlineData("codebook/codebook.json", null, "format", 2, "format")]
    [InlineData("tessera.json", "latents", "text_tokens_per_latent", 0, "latents.text_tokens_per_latent")]
    public void Export_PartsThatDisagree_NamesTheField(string file, string? parent, string key, int value, string field)
    {
        _fixture.ChangeJson(file, json => (parent is null ? json : json[parent]!.AsObject())[key] = value);

        Assert.Equal(field, Assert.Throws<ExportException>(() => _fixture.Export()).Field);
        AssertNothingLeft();
    }

    [Fact]
    public void Export_TokenizerWithoutTheSpecialTokens_LeavesNothing()
    {
        _fixture.ChangeJson("tessera.json", json => json["special_tokens"]!["think"] = "<ponder>");

        Assert.Throws<ModelPackageException>(() => _fixture.Export());
        AssertNothingLeft();
    }

    [Fact]
    public void Export_Cancelled_LeavesNothing()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();

        Assert.Throws<OperationCanceledException>(() =>
            PackageExporter.Export(new(_fixture.Checkpoint, _fixture.Codebook, _fixture.Output, false), static (_, _, _) => { }, source.Token));
        AssertNothingLeft();
    }

    /// <summary>A quantised checkpoint cannot be read as if it were one of floating-point numbers.</summary>
    [Fact]
    public void Export_IntegerWeights_NamesTensorAndTypes()
    {
        var path = _fixture["model.safetensors"];
        var bytes = File.ReadAllBytes(path);
        var header = bytes.AsSpan(8, (int)BitConverter.ToInt64(bytes, 0));
        header[header.IndexOf("F16"u8)] = (byte)'I';
        File.WriteAllBytes(path, bytes);

        var error = Assert.Throws<ExportException>(() => _fixture.Export());

        Assert.Equal(("model.safetensors", "model.embed_tokens.weight"), (error.File, error.Field));
        Assert.EndsWith("expected F32, F16, BF16 or F64 elements, found I16", error.Message);
        AssertNothingLeft();
    }

    [Fact]
    public void Export_NumberBeyondHalfPrecision_NamesTheTensor()
    {
        _fixture.ChangeWeights((name, values) =>
        {
            if (name == "model.layers.0.mlp.up_proj.weight")
                values[5] = 1e6f;
            return values;
        });

        var error = Assert.Throws<ExportException>(() => _fixture.Export(precision: DecoderPrecision.Create("fp16", null, "cuda", 0)));

        Assert.Equal(("model.safetensors", "model.layers.0.mlp.up_proj.weight"), (error.File, error.Field));
        AssertNothingLeft();
    }

    /// <summary>The file claims more than any disk has; being sparse, it takes none.</summary>
    [Fact]
    public void Export_MoreThanTheDiskHas_SaysHowMuchBeforeAnythingIsWritten()
    {
        const long Rows = 1 << 24;
        const long Columns = 1 << 16;
        _fixture.ChangeJson("config.json", json =>
        {
            json["model_type"] = "llama";
            json.Remove("ngram_embeddings");
            json["vocab_size"] = Rows;
            json["hidden_size"] = Columns;
        });

        var error = Assert.Throws<ExportException>(() => _fixture.Export());

        Assert.Equal("free space", error.Field);
        Assert.Matches("expected about [0-9]{7,} MB, found [0-9]+ MB", error.Message);
        AssertNothingLeft();
    }

    private void AssertRefused(Func<string, float[], float[]?> change, string message)
    {
        _fixture.ChangeWeights(change);

        Assert.Equal(message, Assert.Throws<ExportException>(() => _fixture.Export()).Message);
        AssertNothingLeft();
    }

    private void AssertNothingLeft() =>
        Assert.Empty(Directory.Exists(_fixture.Packages) ? Directory.EnumerateFileSystemEntries(_fixture.Packages) : []);
}
