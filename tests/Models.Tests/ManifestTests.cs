using System.Text;
using System.Text.Json.Nodes;
using Tessera.Testing;

namespace Tessera.Models.Tests;

public sealed class ManifestTests : PackageTestBase
{
    private const string File = ModelPackage.ManifestFileName;

    [Fact]
    public void Write_Manifest_IsReadBackEqual()
    {
        var manifest = Builder.Load(PackageFolder).Manifest;

        var again = Manifest.Parse(manifest.Write());

        Assert.Equal(manifest.Write(), again.Write());
        Assert.Equal(manifest.Architecture, again.Architecture);
        Assert.Equal(manifest.SpecialTokens, again.SpecialTokens);
        Assert.Equal(manifest.Files, again.Files);
        Assert.Equal(manifest.Evaluation, again.Evaluation);
    }

    [Fact]
    public void Write_Manifest_IsIndentedSnakeCaseWithLineFeedsAndLegibleTokens()
    {
        var text = (Builder.Manifest with { Name = "x" }).Write();

        Assert.StartsWith("{\n  \"format\": 1,\n  \"name\": \"x\",\n", text, StringComparison.Ordinal);
        Assert.Contains("\"end_think\": \"</think>\"", text, StringComparison.Ordinal);
        Assert.Contains("\"text_tokens_per_latent\": 4.5", text, StringComparison.Ordinal);
        Assert.EndsWith("}\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\r", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_EmptyManifest_IsRefused() => AssertRefused(File, "$", folder => Write(folder, ""));

    [Fact]
    public void Load_BrokenJson_IsRefused() => AssertRefused(File, "$", folder => Write(folder, "{\"format\": 1,"));

    [Fact]
    public void Load_ManifestThatIsNoUtf8_IsRefused() =>
        AssertRefused(File, "$", folder => System.IO.File.WriteAllBytes(Path.Combine(folder, File), [0x7B, 0xFF, 0x7D]));

    [Fact]
    public void Load_ManifestThatIsAnArray_IsRefused() => AssertRefused(File, "$", folder => Write(folder, "[]"));

    [Fact]
    public void Load_HugeManifest_IsRefusedUnread() =>
        AssertRefused(File, "bytes", folder => Write(folder, new string(' ', ManifestJson.MaxBytes + 1)));

    [Fact]
    public void Load_DeeplyNestedManifest_IsRefused() => AssertRefused(File, "$", folder => Write(folder, new string('[', 100_000)));

    [Fact]
    public void Load_KeyTwice_IsRefused() =>
        AssertRefused(File, "$", folder => Write(folder, Read(folder).Replace("{\"format\":1,", "{\"format\":1,\"format\":1,", StringComparison.Ordinal)));

    [Fact]
    public void Load_NoFormat_IsRefused() => AssertDocumentRefused("$.format", document => document.Remove("format"));

    [Fact]
    public void Load_LaterFormat_IsRefusedBeforeItsUnknownKeys()
    {
        Builder.ChangeManifestDocument = document =>
        {
            document["format"] = 2;
            document["paged"] = true;
        };

        var refusal = Refusal();

        Assert.Equal(("$.format", "1", "2"), (refusal.Field, refusal.Expected, refusal.Found));
    }

    [Fact]
    public void Load_UnknownKey_IsRefusedByName() => AssertDocumentRefused("$.colour", document => document["colour"] = "red");

    [Fact]
    public void Load_UnknownKeyInside_IsRefusedByPath() =>
        AssertDocumentRefused("$.architecture.layers", document => document["architecture"]!["layers"] = 3);

    [Fact]
    public void Load_CamelCaseKey_IsRefused() => AssertDocumentRefused("$.specialTokens", document => document["specialTokens"] = new JsonObject());

    [Fact]
    public void Load_KeyOfNoJsonName_IsRefused() => AssertDocumentRefused("$.architecture.LayerCount", document => document["architecture"]!["LayerCount"] = 3);

    [Fact]
    public void Load_MissingKey_IsRefusedByPath() => AssertDocumentRefused("$.license", document => document.Remove("license"));

    [Fact]
    public void Load_MissingKeyInside_IsRefusedByPath() =>
        AssertDocumentRefused("$.latents.text_tokens_per_latent", document => document["latents"]!.AsObject().Remove("text_tokens_per_latent"));

    [Fact]
    public void Load_MissingKeyOfAnItem_IsRefusedByIndex() =>
        AssertDocumentRefused("$.files[1].sha256", document => document["files"]![1]!.AsObject().Remove("sha256"));

    [Fact]
    public void Load_NullForAValue_IsRefused() => AssertDocumentRefused("$.name", document => document["name"] = null);

    [Fact]
    public void Load_TextForANumber_IsRefused() =>
        AssertDocumentRefused("$.architecture.layer_count", document => document["architecture"]!["layer_count"] = "5");

    [Fact]
    public void Load_FractionForACount_IsRefused() =>
        AssertDocumentRefused("$.architecture.head_count", document => document["architecture"]!["head_count"] = 1.5);

    [Fact]
    public void Load_NumberPast32Bits_IsRefused() =>
        AssertDocumentRefused("$.architecture.hidden_size", document => document["architecture"]!["hidden_size"] = 1L << 40);

    [Fact]
    public void Load_InfiniteNumber_IsRefused() =>
        AssertRefused(File, "$.architecture.rope_theta", folder => Write(folder, Read(folder).Replace("\"rope_theta\":10000", "\"rope_theta\":1e999", StringComparison.Ordinal)));

    [Fact]
    public void Load_HalfSurrogatePair_IsRefused() =>
        AssertRefused(File, "$.version", folder => Write(folder, Read(folder).Replace("\"1.0.0\"", "\"\\ud800\"", StringComparison.Ordinal)));

    [Fact]
    public void Load_ObjectForAList_IsRefused() => AssertDocumentRefused("$.evaluation", document => document["evaluation"] = new JsonObject());

    [Fact]
    public void Load_NameWithSlash_IsRefused() => AssertManifestRefused("$.name", manifest => manifest with { Name = "a/b" });

    [Fact]
    public void Load_NoLayers_IsRefused() => AssertArchitectureRefused("layer_count", shape => shape with { LayerCount = 0 });

    [Fact]
    public void Load_NegativeHeads_IsRefused() => AssertArchitectureRefused("head_count", shape => shape with { HeadCount = -4 });

    [Fact]
    public void Load_KvHeadsThatDoNotDivideHeads_IsRefused() =>
        AssertArchitectureRefused("kv_head_count", shape => shape with { HeadCount = 4, KvHeadCount = 3 });

    [Fact]
    public void Load_OddHeadDim_IsRefused() => AssertArchitectureRefused("head_dim", shape => shape with { HeadDim = 15 });

    [Fact]
    public void Load_NegativeNgrams_IsRefused() => AssertArchitectureRefused("ngram_embeddings", shape => shape with { NgramEmbeddings = -1 });

    [Fact]
    public void Load_NoPositions_IsRefused() => AssertArchitectureRefused("max_positions", shape => shape with { MaxPositions = 0 });

    [Fact]
    public void Load_NegativeRopeTheta_IsRefused() => AssertArchitectureRefused("rope_theta", shape => shape with { RopeTheta = -1 });

    [Fact]
    public void Load_UnknownWeightPrecision_IsRefused() =>
        AssertManifestRefused("$.precision.weights", manifest => manifest with { Precision = manifest.Precision with { Weights = "int3" } });

    [Fact]
    public void Load_UnknownKvPrecision_IsRefused() =>
        AssertManifestRefused("$.precision.kv", manifest => manifest with { Precision = manifest.Precision with { Kv = "f8" } });

    [Fact]
    public void Load_LatentsPastVocabulary_IsRefused() =>
        AssertManifestRefused("$.latents", manifest => manifest with { Latents = manifest.Latents with { Count = 5 } });

    [Fact]
    public void Load_NoTextTokensPerLatent_IsRefused() => AssertManifestRefused(
        "$.latents.text_tokens_per_latent", manifest => manifest with { Latents = manifest.Latents with { TextTokensPerLatent = 0 } });

    [Fact]
    public void Load_OneTokenForTwoRoles_IsRefused() => AssertManifestRefused(
        "$.special_tokens.eos", manifest => manifest with { SpecialTokens = manifest.SpecialTokens with { Eos = "<pad>" } });

    [Fact]
    public void Load_EmptyChunk_IsRefused() =>
        AssertManifestRefused("$.codebook.chunk_tokens", manifest => manifest with { Codebook = manifest.Codebook! with { ChunkTokens = 0 } });

    [Fact]
    public void Load_NegativeTemperature_IsRefused() =>
        AssertManifestRefused("$.sampling.temperature", manifest => manifest with { Sampling = new SamplingDefaults { Temperature = -1 } });

    [Fact]
    public void Load_TopPOfZero_IsRefused() =>
        AssertManifestRefused("$.sampling.top_p", manifest => manifest with { Sampling = new SamplingDefaults { TopP = 0 } });

    [Fact]
    public void Load_AccuracyInPercent_IsRefused() => AssertManifestRefused(
        "$.evaluation[0].accuracy", manifest => manifest with { Evaluation = [new EvaluationRow { Task = "t", Mode = "text", N = 1, Accuracy = 95 }] });

    [Fact]
    public void Parse_RandomDamage_OnlyEverRefuses()
    {
        Builder.Write(PackageFolder);
        var valid = Encoding.UTF8.GetBytes(Read(PackageFolder));

        Mutations.Run(valid, seed: 20, count: 20_000, bytes => ManifestJson.Parse(bytes));
    }

    private static string Read(string folder) => System.IO.File.ReadAllText(Path.Combine(folder, File));

    private static void Write(string folder, string text) => System.IO.File.WriteAllText(Path.Combine(folder, File), text);

    private void AssertDocumentRefused(string field, Action<JsonObject> change)
    {
        Builder.ChangeManifestDocument = change;
        AssertRefused(File, field);
    }

    private void AssertManifestRefused(string field, Func<Manifest, Manifest> change)
    {
        Builder.ChangeManifest = change;
        AssertRefused(File, field);
    }

    private void AssertArchitectureRefused(string name, Func<Architecture, Architecture> change) =>
        AssertManifestRefused($"$.architecture.{name}", manifest => manifest with { Architecture = change(manifest.Architecture) });
}
