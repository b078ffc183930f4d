using System.Text.Json.Nodes;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Tests.Support;

namespace Tessera.Exporter.Tests.Checkpoints;

public sealed class CheckpointConfigTests : IDisposable
{
    private readonly Fixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Read_Fixture_GivesItsShape()
    {
        var config = CheckpointConfig.Read(_fixture["config.json"]);

        Assert.Equal(("tessera_llama", 16, 32, 2), (config.Family, config.HiddenSize, config.IntermediateSize, config.LayerCount));
        Assert.Equal((1, 1, 16, 697), (config.HeadCount, config.KvHeadCount, config.HeadDim, config.VocabularySize));
        Assert.Equal((512, 1e6, 3, false), (config.MaxPositions, config.Rope.Theta, config.NgramEmbeddings, config.TiedHead));
    }

    [Fact]
    public void Read_PlainLlamaWithoutOptionalFields_TakesHuggingFaceDefaults()
    {
        _fixture.ChangeJson("config.json", json =>
        {
            json["model_type"] = "llama";
            foreach (var name in (string[])["ngram_embeddings", "head_dim", "num_key_value_heads", "rope_theta", "tie_word_embeddings"])
                json.Remove(name);
        });

        var config = CheckpointConfig.Read(_fixture["config.json"]);

        Assert.Equal(("llama", 0, 16, 1, 10_000.0, false), (config.Family, config.NgramEmbeddings, config.HeadDim, config.KvHeadCount, config.Rope.Theta, config.TiedHead));
    }

    [Theory]
    [InlineData("model_type", "\"mamba\"", "config.json: model_type: expected one of llama, mistral, qwen2, qwen3, tessera_llama, found \"mamba\"")]
    [InlineData("model_type", "7", "config.json: model_type: expected a text, found 7")]
    [InlineData("rope_scaling", "{\"type\":\"linear\"}", "config.json: rope_scaling.factor: expected a positive number, found nothing")]
    [InlineData("rope_scaling", "{\"type\":\"dynamic\",\"factor\":2}", "config.json: rope_scaling.type: expected default, linear, llama3, yarn, found \"dynamic\"")]
    [InlineData("rope_parameters", "{\"rope_type\":\"longrope\"}", "config.json: rope_parameters.rope_type: expected default, linear, llama3, yarn, found \"longrope\"")]
    [InlineData("rope_scaling", "{\"rope_type\":\"llama3\",\"low_freq_factor\":4,\"high_freq_factor\":1}", "config.json: rope_scaling.high_freq_factor: expected more than low_freq_factor (4), found 1")]
    [InlineData("partial_rotary_factor", "0.5", "config.json: partial_rotary_factor: expected 1: whole heads are turned, found 0.5")]
    [InlineData("quantization_config", "{}", "config.json: quantization_config: expected null (weights in floating point), found {}")]
    [InlineData("attention_bias", "true", "config.json: attention_bias: expected false for tessera_llama, found true")]
    [InlineData("mlp_bias", "true", "config.json: mlp_bias: expected false for tessera_llama, found true")]
    [InlineData("hidden_act", "\"gelu\"", "config.json: hidden_act: expected \"silu\", found \"gelu\"")]
    [InlineData("hidden_size", "0", "config.json: hidden_size: expected a whole number from 1 to 1048576, found 0")]
    [InlineData("hidden_size", "1e99", "config.json: hidden_size: expected a whole number from 1 to 1048576, found 1e99")]
    [InlineData("num_key_value_heads", "3", "config.json: num_key_value_heads: expected a whole number from 1 to 1, found 3")]
    [InlineData("head_dim", "20", "config.json: head_dim: expected a multiple of 16 (found or computed: 20), found 20")]
    [InlineData("rms_norm_eps", "-1", "config.json: rms_norm_eps: expected a positive number, found -1")]
    [InlineData("ngram_embeddings", "17", "config.json: ngram_embeddings: expected a whole number from 0 to 16, found 17")]
    [InlineData("tie_word_embeddings", "\"no\"", "config.json: tie_word_embeddings: expected true or false, found \"no\"")]
    public void Read_BadField_NamesIt(string field, string value, string message)
    {
        _fixture.ChangeJson("config.json", json => json[field] = JsonNode.Parse(value));

        Assert.Equal(message, Assert.Throws<ExportException>(() => CheckpointConfig.Read(_fixture["config.json"])).Message);
    }

    [Fact]
    public void Read_LlamaWithNgramEmbeddings_IsRefused()
    {
        _fixture.ChangeJson("config.json", json => json["model_type"] = "llama");

        Assert.Equal("ngram_embeddings", Assert.Throws<ExportException>(() => CheckpointConfig.Read(_fixture["config.json"])).Field);
    }

    [Fact]
    public void Read_MissingField_NamesIt()
    {
        _fixture.ChangeJson("config.json", json => json.Remove("vocab_size"));

        Assert.Equal(
            "config.json: vocab_size: expected a whole number from 1 to 16777216, found nothing",
            Assert.Throws<ExportException>(() => CheckpointConfig.Read(_fixture["config.json"])).Message);
    }

    [Theory]
    [InlineData("", "config.json: file: expected JSON, found an error in line 1, byte 0")]
    [InlineData("[]", "config.json: file: expected a JSON object, found a JSON Array")]
    public void Read_NoObject_SaysSo(string text, string message)
    {
        File.WriteAllText(_fixture["config.json"], text);

        Assert.Equal(message, Assert.Throws<ExportException>(() => CheckpointConfig.Read(_fixture["config.json"])).Message);
    }

    [Theory]
    [InlineData("mistral", null, "0,0", false)]
    [InlineData("mistral", "{\"sliding_window\":24}", "24,24", false)]
    [InlineData("qwen2", "{\"sliding_window\":24,\"use_sliding_window\":true,\"max_window_layers\":1}", "0,24", true)]
    [InlineData("qwen2", "{\"sliding_window\":24,\"max_window_layers\":0}", "0,0", true)]
    [InlineData("qwen3", "{\"sliding_window\":8,\"layer_types\":[\"sliding_attention\",\"full_attention\"]}", "8,0", false)]
    public void Read_Windows_FollowTheFamily(string family, string? fields, string windows, bool hasBias)
    {
        _fixture.ChangeJson("config.json", json =>
        {
            json["model_type"] = family;
            json["sliding_window"] = null;
            json.Remove("ngram_embeddings");
            foreach (var (name, value) in JsonNode.Parse(fields ?? "{}")!.AsObject())
                json[name] = value?.DeepClone();
        });

        var config = CheckpointConfig.Read(_fixture["config.json"]);

        Assert.Equal((windows, hasBias, family == "qwen3"), (string.Join(",", config.Windows), config.AttentionBias, config.QueryKeyNorm));
    }

    [Fact]
    public void Read_MistralWithoutTheKey_HasTheFamilysOwnWindow()
    {
        _fixture.ChangeJson("config.json", json =>
        {
            json["model_type"] = "mistral";
            json.Remove("ngram_embeddings");
        });

        Assert.Equal(4096, CheckpointConfig.Read(_fixture["config.json"]).WindowOf(1));
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(512, true)]
    [InlineData(513, false)]
    [InlineData(0, false)]
    public void WithPositions_NoScaling_GoesUpToTheModels(int positions, bool fits)
    {
        var config = CheckpointConfig.Read(_fixture["config.json"]);

        if (fits)
            Assert.Equal(positions, config.WithPositions(positions).MaxPositions);
        else
            Assert.Equal("--max-positions", Assert.Throws<ExportException>(() => config.WithPositions(positions)).Field);
    }

    [Fact]
    public void WithPositions_Yarn_GoesUpToItsReach()
    {
        _fixture.ChangeJson("config.json", json => json["rope_scaling"] = JsonNode.Parse("{\"rope_type\":\"yarn\",\"factor\":4}"));

        Assert.Equal(2048, CheckpointConfig.Read(_fixture["config.json"]).WithPositions(2048).MaxPositions);
    }
}
