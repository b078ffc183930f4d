using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Tessera.Bench.Timing;

namespace Tessera.Bench.Exports;

/// <summary>Writes a checkpoint in the Hugging Face layout with random bf16 weights: a shape to export and load, not a model.</summary>
internal static class RandomCheckpoint
{
    private const int LatentCount = 512;
    private const int TextIds = 258; // 256 bytes, pad, eos
    private const int SlabElements = 1 << 23;

    /// <summary>Writes config.json, model.safetensors, tokenizer.json and tessera.json, with a tied head and rope scaling as in Llama 3.2.</summary>
    public static void Write(string folder, ModelShape shape)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), Config(shape).ToJsonString());
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), Tokenizer().ToJsonString());
        File.WriteAllText(Path.Combine(folder, "tessera.json"), Description(shape).ToJsonString());
        WriteWeights(Path.Combine(folder, "model.safetensors"), shape);
    }

    private static JsonObject Config(ModelShape shape) => new()
    {
        ["model_type"] = "llama",
        ["hidden_act"] = "silu",
        ["hidden_size"] = shape.Hidden,
        ["intermediate_size"] = shape.FeedForward,
        ["num_hidden_layers"] = shape.Layers,
        ["num_attention_heads"] = shape.Heads,
        ["num_key_value_heads"] = shape.KvHeads,
        ["head_dim"] = shape.HeadDim,
        ["vocab_size"] = shape.Vocabulary,
        ["max_position_embeddings"] = 131_072,
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = 500_000.0,
        ["rope_scaling"] = JsonNode.Parse(
            """{"rope_type":"llama3","factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}"""),
        ["tie_word_embeddings"] = true,
        ["torch_dtype"] = "bfloat16",
    };

    private static JsonObject Description(ModelShape shape) => (JsonObject)JsonNode.Parse(
        $$$"""
        {"name":"{{{shape.Name}}}-random","version":"0.0.1","license":"MIT","description":"Random weights.",
         "special_tokens":{"pad":"<pad>","eos":"<eos>","think":"<think>","end_think":"</think>","bo_latent":"<boLatent>","eo_latent":"<eoLatent>"},
         "latents":{"first_id":{{{TextIds + 4}}},"count":{{{LatentCount}}},"text_tokens_per_latent":5}}
        """)!;

    /// <summary>One token per byte, then the special ones.</summary>
    private static JsonObject Tokenizer()
    {
        var vocabulary = new JsonObject();
        var others = 0;
        for (var value = 0; value < 256; value++)
        {
            var isPrintable = value is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
            vocabulary[((char)(isPrintable ? value : 256 + others++)).ToString()] = value;
        }

        string[] special = ["<pad>", "<eos>", "<think>", "</think>", "<boLatent>", "<eoLatent>", .. Enumerable.Range(0, LatentCount).Select(code => $"<latent_{code}>")];
        var added = new JsonArray([.. special.Select((content, index) => (JsonNode)new JsonObject
        {
            ["id"] = 256 + index,
            ["content"] = content,
            ["single_word"] = false,
            ["lstrip"] = false,
            ["rstrip"] = false,
            ["normalized"] = false,
            ["special"] = true,
        })]);
        var byteLevel = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""";
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = added,
            ["normalizer"] = null,
            ["pre_tokenizer"] = JsonNode.Parse(byteLevel),
            ["post_processor"] = null,
            ["decoder"] = JsonNode.Parse(byteLevel),
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        };
    }

    private static void WriteWeights(string path, ModelShape shape)
    {
        var tensors = Tensors(shape).ToList();
        var header = new JsonObject();
        var end = 0L;
        foreach (var (name, dimensions) in tensors)
        {
            var bytes = 2 * dimensions.Aggregate(1L, static (product, size) => product * size);
            header[name] = new JsonObject
            {
                ["dtype"] = "BF16",
                ["shape"] = new JsonArray([.. dimensions.Select(size => JsonValue.Create(size))]),
                ["data_offsets"] = new JsonArray(end, end + bytes),
            };
            end += bytes;
        }

        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20);
        var json = Encoding.UTF8.GetBytes(header.ToJsonString());
        var length = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)json.Length);
        stream.Write(length);
        stream.Write(json);
        var slab = Slab();
        var random = new Random(2);
        foreach (var (name, dimensions) in tensors)
        {
            var left = 2 * dimensions.Aggregate(1L, static (product, size) => product * size);
            if (dimensions.Length == 1)
            {
                WriteOnes(stream, dimensions[0]);
                continue;
            }

            // Pieces of one slab from ever other places: random enough, and written at the speed of the disk.
            while (left > 0)
            {
                var from = 2 * random.Next(SlabElements / 2);
                var count = (int)Math.Min(left, slab.Length - from);
                stream.Write(slab, from, count);
                left -= count;
            }
        }
    }

    private static IEnumerable<(string Name, int[] Shape)> Tensors(ModelShape shape)
    {
        yield return ("model.embed_tokens.weight", [shape.Vocabulary, shape.Hidden]);
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var name = $"model.layers.{layer}";
            yield return ($"{name}.input_layernorm.weight", [shape.Hidden]);
            yield return ($"{name}.self_attn.q_proj.weight", [shape.Heads * shape.HeadDim, shape.Hidden]);
            yield return ($"{name}.self_attn.k_proj.weight", [shape.KvHeads * shape.HeadDim, shape.Hidden]);
            yield return ($"{name}.self_attn.v_proj.weight", [shape.KvHeads * shape.HeadDim, shape.Hidden]);
            yield return ($"{name}.self_attn.o_proj.weight", [shape.Hidden, shape.Heads * shape.HeadDim]);
            yield return ($"{name}.post_attention_layernorm.weight", [shape.Hidden]);
            yield return ($"{name}.mlp.gate_proj.weight", [shape.FeedForward, shape.Hidden]);
            yield return ($"{name}.mlp.up_proj.weight", [shape.FeedForward, shape.Hidden]);
            yield return ($"{name}.mlp.down_proj.weight", [shape.Hidden, shape.FeedForward]);
        }

        yield return ("model.norm.weight", [shape.Hidden]);
    }

    private static byte[] Slab()
    {
        var random = new Random(1);
        var slab = new byte[2 * SlabElements];
        for (var i = 0; i < SlabElements; i++)
        {
            // The sum of four uniform numbers is close enough to a normal one.
            var value = 0.035f * (random.NextSingle() + random.NextSingle() + random.NextSingle() + random.NextSingle() - 2);
            BinaryPrimitives.WriteUInt16LittleEndian(slab.AsSpan(2 * i), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }

        return slab;
    }

    private static void WriteOnes(Stream stream, int count)
    {
        for (var i = 0; i < count; i++)
        {
            stream.Write([0x80, 0x3F]);
        }
    }
}
