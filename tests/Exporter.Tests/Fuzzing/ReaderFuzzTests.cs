using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Extension;
using Tessera.Exporter.Weights;
using Tessera.Models;
using Tessera.Models.Tests;

namespace Tessera.Exporter.Tests.Fuzzing;

/// <summary>
/// Damaged and made-up files for the readers that meet a stranger's checkpoint, more than 100,000 together with those of <c>SafeTensorsFileTests</c> and
/// <c>TokenizerFileTests</c>: each is read or refused in the reader's own words, with little memory and in bounded time.
/// </summary>
public sealed class ReaderFuzzTests
{
    private const long DataBytes = 256;
    private const long DataStart = 1000;

    private static readonly string Families = Path.Combine(AppContext.BaseDirectory, "fixtures", "families");

    /// <summary>Numbers at and beyond every border.</summary>
    private static readonly Gen<string> Number = Gen.Elements(
        "0", "1", "2", "3", "4", "8", "16", "32", "63", "64", "128", "256", "257", "-1", "1.5", "1e3", "2147483648", "4611686018427387904", "9223372036854775807",
        "9223372036854775808", "18446744073709551616", "1e400", "null", "true", "\"8\"", "[]", "{}");

    [Fact]
    public void SafeTensorsHeader_SixtyThousandDamagedHeaders_OnlyEverRefuses()
    {
        var valid = Encoding.UTF8.GetBytes(
            """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[4,8],"data_offsets":[0,128]},"b":{"dtype":"BF16","shape":[64],"data_offsets":[128,256]}}""");

        Mutations.Run(valid, seed: 1, count: 60_000, header => AssertTiles(SafeTensorsHeader.Parse("w", header, DataStart, DataBytes)), IsRefusal);
    }

    /// <summary>What gets through is exactly one range after the other, whatever the header claims.</summary>
    [Fact]
    public void SafeTensorsHeader_TwentyThousandMadeUpHeaders_AreRefusedOrTileTheData()
    {
        var tensor =
            from dtype in Gen.Elements("F32", "BF16", "F16", "F64", "I64", "U8", "BOOL", "F8_E4M3", "")
            from rank in Gen.Choose(0, 3)
            from shape in Gen.ListOf(Number, rank)
            from begin in Number
            from end in Number
            select $$"""{"dtype":"{{dtype}}","shape":[{{string.Join(',', shape)}}],"data_offsets":[{{begin}},{{end}}]}""";
        var header =
            from count in Gen.Choose(0, 3)
            from tensors in Gen.ListOf(tensor, count)
            select $"{{{string.Join(',', tensors.Select((text, index) => $"\"t{index}\":{text}"))}}}";

        Prop.ForAll(header.ToArbitrary(), text =>
        {
            try
            {
                AssertTiles(SafeTensorsHeader.Parse("w", Encoding.UTF8.GetBytes(text), DataStart, DataBytes));
            }
            catch (ExportException)
            {
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000).WithReplay(7, 9));
    }

    [Theory]
    [InlineData("llama3-base", 2)]
    [InlineData("qwen2-padded-base", 3)]
    public void ExtendedTokenizer_DamagedFiles_OnlyEverRefuses(string family, int seed)
    {
        var config = CheckpointConfig.Read(Path.Combine(Families, family, CheckpointConfig.FileName));
        var delimiters = new ExtendRequest("", "", 1).Delimiters;

        Mutations.Run(
            Small(Path.Combine(Families, family, ModelPackage.TokenizerFileName)), seed, count: 2_500,
            bytes => ExtendedTokenizer.Create(bytes, config, delimiters, latentCount: 4), IsRefusal);
    }

    [Theory]
    [InlineData("llama3-base", 4)]
    [InlineData("smollm2-tied-bf16-sharded", 5)]
    public void Tokenizer_FiveThousandDamagedFiles_OnlyEverRefuses(string family, int seed)
    {
        var document = JsonNode.Parse(Small(Path.Combine(Families, family, ModelPackage.TokenizerFileName)))!.AsObject();
        document["post_processor"] = null;

        Mutations.Run(JsonSerializer.SerializeToUtf8Bytes(document), seed, count: 5_000, bytes => Tokenizer.Parse(bytes).Encode("a b 12é"), IsRefusal);
    }

    /// <summary>Without the merges a file is a third of its size, and damage hits the rest.</summary>
    private static byte[] Small(string path)
    {
        var document = JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
        var model = document["model"]!.AsObject();
        model["merges"] = new JsonArray([.. model["merges"]!.AsArray().Take(4).Select(merge => merge!.DeepClone())]);
        return JsonSerializer.SerializeToUtf8Bytes(document);
    }

    private static bool IsRefusal(Exception exception) => exception is ExportException or ModelPackageException;

    private static void AssertTiles(Dictionary<string, SafeTensor> tensors)
    {
        var end = DataStart;
        foreach (var tensor in tensors.Values.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.ByteCount))
        {
            Assert.Equal((end, tensor.ElementCount * tensor.Type.ByteSize()), (tensor.Offset, tensor.ByteCount));
            Assert.Equal(tensor.ElementCount, tensor.Shape.Contains(0) ? 0 : tensor.Shape.Aggregate(1L, static (product, size) => checked(product * size)));
            end += tensor.ByteCount;
        }

        Assert.Equal(DataStart + DataBytes, end);
    }
}
