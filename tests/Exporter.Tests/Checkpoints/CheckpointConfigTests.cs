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
        Assert.Equal((512, 1e6, 3, false), (config.MaxPositions, config.RopeTheta, config.NgramEmbeddings, config.TiedHead));
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

        Assert.Equal(("llama", 0, 16, 1, 10_000.0, false), (config.Family, config.NgramEmbeddings, config.HeadDim, config.KvHeadCount, config.RopeTheta, config.TiedHead));
    }

    [Theory]
    [InlineData("model_type", "\"mamba\"", "config.json: model_type: expected \"llama\" or \"tessera_llama\", found \"mamba\"")]
    [InlineData("model_type", "7", "config.json: model_type: expected a text, found 7")]
    [InlineData("rope_scaling", "{\"type\":\"linear\"}", "config.json: rope_scaling: expected null, found {\"type\":\"linear\"}")]
    [InlineData("attention_bias", "true", "config.json: attention_bias: expected false, found true")]
    [InlineData("mlp_bias", "true", "config.json: mlp_bias: expected false, found true")]
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
}
