using System.Text.Json.Nodes;
using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Extension;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Tests.Support;
using Tessera.Exporter.Verification;
using Tessera.Exporter.Weights;
using Tessera.Models;
using Tessera.Testing;

namespace Tessera.Exporter.Tests.Extension;

public sealed class CheckpointExtenderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Output => _folder["extended"];

    public void Dispose() => _folder.Dispose();

    /// <summary>PyTorch recorded the logits of the checkpoint before: behind the extension every old id still has them.</summary>
    [Theory]
    [InlineData("llama3-base", 283, 283)]
    [InlineData("qwen2-padded-base", 283, 303)]
    [InlineData("mistral-sentencepiece-base", 408, 408)]
    public void Extend_PublishedCheckpoint_ExportsAndKeepsTheOldLogits(string name, int oldIds, int recordedWidth)
    {
        Extend(Family(name), latents: 8);
        PackageExporter.Export(new(Output, null, _folder["package"], false), static (_, _, _) => { }, CancellationToken.None);

        var package = ModelPackage.Load(_folder["package"]);
        Assert.Equal((8, oldIds + package.Vocabulary.FirstLatentId - oldIds), (package.Vocabulary.LatentCount, package.Vocabulary.FirstLatentId));
        var reference = ReferenceFile.Read(Path.Combine(Family(name), ReferenceFile.FileName), recordedWidth, 256, 0, 0);
        using var runner = OnnxModels.Load(package, new EngineOptions { MaxSlots = 1, Threads = 1 }, out _);
        var meter = new DifferenceMeter();
        foreach (var example in reference.Cases)
        {
            for (var position = 0; position < example.Ids.Length; position++)
            {
                var logits = runner.Run(new StepPlan([new SequenceSlice(0, example.Ids, position, 1, true)], null));
                if (example.LogitsAt(position) is { Length: > 0 } expected)
                    meter.Add(expected[..oldIds], logits[..oldIds]);
            }

            runner.ReleaseSlot(0);
        }

        Assert.InRange(meter.ToRow("", "", new Tolerance(1)).Difference, 0, 1e-3);
    }

    [Theory]
    [InlineData("llama3-base")]
    [InlineData("qwen2-padded-base")]
    [InlineData("mistral-sentencepiece-base")]
    public void Extend_Weights_KeepEveryOldBit(string name)
    {
        var vocabulary = Extend(Family(name), latents: 40);

        using var before = CheckpointWeights.Open(Family(name));
        using var after = CheckpointWeights.Open(Output);
        var config = CheckpointConfig.Read(Path.Combine(Output, CheckpointConfig.FileName));
        Assert.Equal(vocabulary.Size, config.VocabularySize);
        var tables = NewRows.Tables(config);
        foreach (var part in before.Parts)
        {
            var isTable = tables.Contains(part.Tensor.Name);
            var kept = isTable ? part.Tensor.ByteCount / part.Tensor.Shape[0] * vocabulary.OldSize : part.Tensor.ByteCount;
            Assert.Equal(Bytes(before, part.Tensor.Name, kept), Bytes(after, part.Tensor.Name, kept));
            Assert.Equal(isTable ? vocabulary.Size : part.Tensor.Shape[0], after.Parts.Single(other => other.Tensor.Name == part.Tensor.Name).Tensor.Shape[0]);
        }
    }

    [Fact]
    public void Extend_SentencePieceFile_KeepsItsStagesAndMovesItsFirstTokenToTheChat()
    {
        var source = Path.Combine(Family("mistral-sentencepiece-base"), ModelPackage.TokenizerFileName);
        Extend(Family("mistral-sentencepiece-base"), latents: 4);

        var (before, after) = (JsonNode.Parse(File.ReadAllText(source))!, JsonNode.Parse(File.ReadAllText(Path.Combine(Output, ModelPackage.TokenizerFileName)))!);
        Assert.All((string[])["model", "normalizer", "pre_tokenizer", "decoder"], stage => Assert.True(JsonNode.DeepEquals(before[stage], after[stage]), stage));
        Assert.Null(after["post_processor"]);
        var tokenizer = Tokenizer.Load(Path.Combine(Output, ModelPackage.TokenizerFileName));
        Assert.Equal((408, 409, 413), (tokenizer.IdOf("<pad>"), tokenizer.IdOf("<think>"), tokenizer.IdOf("<latent_0>")));
        Assert.Equal("Tom 🙂", tokenizer.Decode(tokenizer.Encode("<s>Tom 🙂<latent_3>", allowSpecial: true)));
        var chat = JsonNode.Parse(File.ReadAllText(Path.Combine(Output, "tessera.json")))!["chat"]!;
        Assert.Equal("<s>", chat["user"]!["prefix"]!.GetValue<string>());
        Assert.True(chat["strip_leading_space"]!.GetValue<bool>());
    }

    [Fact]
    public void Extend_PaddedVocabulary_TakesUnusedRowsAndLeavesTheOthers()
    {
        var vocabulary = Extend(Family("qwen2-padded-base"), latents: 4);

        using var before = CheckpointWeights.Open(Family("qwen2-padded-base"));
        using var after = CheckpointWeights.Open(Output);
        var (old, table) = (Table(before), Table(after));
        Assert.Equal((303, 32), ((int)table.Tensor.Shape[0], (int)table.Tensor.Shape[1]));
        Assert.Equal(
            old.File.ReadFloats(old.Tensor)[(vocabulary.Size * 32)..],
            table.File.ReadFloats(table.Tensor)[(vocabulary.Size * 32)..]);
    }

    [Fact]
    public void Extend_WithoutNoise_GivesNewIdsTheMeanOfTheOldRows()
    {
        var vocabulary = Extend(Family("llama3-base"), latents: 3, noise: 0);

        using var after = CheckpointWeights.Open(Output);
        var table = Table(after);
        var values = table.File.ReadFloats(table.Tensor);
        var columns = (int)table.Tensor.Shape[1];
        for (var column = 0; column < columns; column++)
        {
            var mean = Enumerable.Range(0, vocabulary.OldSize).Average(row => (double)values[(row * columns) + column]);
            for (var row = vocabulary.OldSize; row < vocabulary.Size; row++)
                Assert.Equal(mean, values[(row * columns) + column], 1e-3);
        }
    }

    [Fact]
    public void Extend_Shards_RewritesTheTablesAndTheIndex()
    {
        var source = ShardedBase();
        var vocabulary = Extend(source, latents: 5);

        using var after = CheckpointWeights.Open(Output);
        Assert.True(after.Files.Count > 1);
        var index = JsonNode.Parse(File.ReadAllText(Path.Combine(Output, CheckpointWeights.IndexFileName)))!;
        Assert.Equal(after.Parts.Sum(part => part.Tensor.ByteCount), index["metadata"]!["total_size"]!.GetValue<long>());
        Assert.Equal(vocabulary.Size, Table(after).Tensor.Shape[0]);
    }

    [Fact]
    public void Extend_Codebook_StartsALatentAtTheTextOfItsCode()
    {
        using var fixture = BaseOfTheCodebook();
        var vocabulary = CheckpointExtender.Extend(
            new(fixture.Checkpoint, Output, 16) { Codebook = fixture.Codebook, Noise = 0 }, static (_, _, _) => { }, CancellationToken.None);

        var texts = CodeTexts.Read(fixture.Codebook, 16, vocabulary.OldSize);
        using var after = CheckpointWeights.Open(Output);
        var table = Table(after);
        var values = table.File.ReadFloats(table.Tensor);
        for (var code = 0; code < 16; code++)
        {
            for (var column = 0; column < 16; column++)
            {
                var mean = texts[code].Average(id => (double)values[(id * 16) + column]);
                Assert.Equal(mean, values[((vocabulary.FirstLatentId + code) * 16) + column], 1e-3);
            }
        }

        Assert.True(texts.DistinctBy(text => string.Join(',', text)).Count() > 1);
    }

    [Fact]
    public void Extend_CheckpointWithLatents_SaysWhichTokenIsTaken()
    {
        var error = Assert.Throws<ExportException>(() => Extend(Family("llama2"), latents: 8));

        Assert.Equal("tokenizer.json: added_tokens: expected no token <think> yet (--delimiters gives the four delimiters other names), found id 283", error.Message);
        Assert.False(Directory.Exists(Output));
    }

    [Fact]
    public void Extend_Twice_GivesTheSameBytes()
    {
        Extend(Family("llama3-base"), latents: 8);
        var first = Directory.EnumerateFiles(Output).ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes);
        Directory.Delete(Output, recursive: true);
        Extend(Family("llama3-base"), latents: 8);

        Assert.Equal(first.Keys.Order(), Directory.EnumerateFiles(Output).Select(path => Path.GetFileName(path)).Order());
        Assert.All(first, file => Assert.Equal(file.Value, File.ReadAllBytes(Path.Combine(Output, file.Key))));
    }

    [Theory]
    [InlineData(0, 0.1, 5, "--latents")]
    [InlineData(2_000_000, 0.1, 5, "--latents")]
    [InlineData(8, -1, 5, "--noise")]
    [InlineData(8, double.NaN, 5, "--noise")]
    [InlineData(8, 0.1, 0, "--text-tokens-per-latent")]
    public void Extend_BadOption_NamesIt(int latents, double noise, double tokens, string option) => Assert.Equal(
        option,
        Assert.Throws<ExportException>(() => CheckpointExtender.Extend(
            new(Family("llama3-base"), Output, latents) { Noise = noise, TextTokensPerLatent = tokens }, static (_, _, _) => { }, CancellationToken.None)).Field);

    [Fact]
    public void Extend_WithoutEndOfSequence_NamesTheField()
    {
        var source = CopyOf(Family("llama3-base"));
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!.AsObject();
        config["eos_token_id"] = null;
        File.WriteAllText(Path.Combine(source, "config.json"), config.ToJsonString());

        Assert.Equal("eos_token_id", Assert.Throws<ExportException>(() => Extend(source, latents: 8)).Field);
    }

    private static string Family(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "families", name);

    private ExtendedTokenizer Extend(string checkpoint, int latents, double noise = 0.1) =>
        CheckpointExtender.Extend(new(checkpoint, Output, latents) { Noise = noise }, static (_, _, _) => { }, CancellationToken.None);

    private static WeightPart Table(CheckpointWeights weights) => weights.Parts.Single(part => part.Tensor.Name == "model.embed_tokens.weight");

    private static byte[] Bytes(CheckpointWeights weights, string tensor, long count)
    {
        var part = weights.Parts.Single(part => part.Tensor.Name == tensor);
        var bytes = new byte[count];
        part.File.ReadBytes(part.Tensor, 0, bytes);
        return bytes;
    }

    private string CopyOf(string source)
    {
        var target = _folder["copy"];
        Directory.CreateDirectory(target);
        foreach (var file in Directory.EnumerateFiles(source))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        return target;
    }

    /// <summary>The unextended Llama cut into a shard with the table and one with the rest.</summary>
    private string ShardedBase()
    {
        var target = CopyOf(Family("llama3-base"));
        var (first, second) = (new SafeTensorsWriter(), new SafeTensorsWriter());
        var map = new JsonObject();
        using (var weights = CheckpointWeights.Open(target))
        {
            foreach (var part in weights.Parts)
            {
                var isTable = part.Tensor.Name == "model.embed_tokens.weight";
                (isTable ? first : second).Add(part.Tensor.Name, part.File.ReadFloats(part.Tensor), [.. part.Tensor.Shape]);
                map[part.Tensor.Name] = isTable ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
            }
        }

        File.Delete(Path.Combine(target, CheckpointWeights.FileName));
        File.WriteAllBytes(Path.Combine(target, "model-00001-of-00002.safetensors"), first.ToBytes());
        File.WriteAllBytes(Path.Combine(target, "model-00002-of-00002.safetensors"), second.ToBytes());
        File.WriteAllText(
            Path.Combine(target, CheckpointWeights.IndexFileName),
            new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = 1 }, ["weight_map"] = map }.ToJsonString());
        return target;
    }

    /// <summary>The fixture with the codebook, without its delimiters and latents.</summary>
    private static Fixture BaseOfTheCodebook()
    {
        const int TextIds = 677;
        var fixture = new Fixture();
        fixture.ChangeJson("config.json", json => json["vocab_size"] = TextIds);
        fixture.ChangeJson("tokenizer.json", json =>
        {
            var tokens = json["added_tokens"]!.AsArray();
            foreach (var token in tokens.Where(token => token!["id"]!.GetValue<int>() >= TextIds).ToList())
                tokens.Remove(token);
            var vocabulary = json["model"]!["vocab"]!.AsObject();
            foreach (var name in vocabulary.Where(entry => entry.Value!.GetValue<int>() >= TextIds).Select(entry => entry.Key).ToList())
                vocabulary.Remove(name);
        });
        fixture.ChangeWeights(
            (_, values) => values.Length == 697 * 16 ? values[..(TextIds * 16)] : values,
            (_, shape) => shape[0] == 697 ? [TextIds, 16] : shape);
        return fixture;
    }
}
