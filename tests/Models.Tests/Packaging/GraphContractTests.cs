using Google.Protobuf.Collections;
using Tessera.Protos.Onnx;
using Tessera.Testing;

namespace Tessera.Models.Tests.Packaging;

public sealed class GraphContractTests : PackageTestBase
{
    private const string Decoder = ModelPackage.DecoderFileName;
    private const string CodebookDecoder = ModelPackage.CodebookDecoderFileName;
    private const string CodebookEncoder = ModelPackage.CodebookEncoderFileName;

    [Theory]
    [InlineData("input_ids")]
    [InlineData("seqlens_k")]
    [InlineData("total_sequence_length")]
    [InlineData("logits_rows")]
    [InlineData("past_key_0")]
    [InlineData("past_value_0")]
    public void Load_DecoderWithoutAnInput_IsRefused(string name)
    {
        Builder.ChangeDecoder = model => Remove(model.Graph.Input, name);

        AssertRefused(Decoder, $"input {name}");
    }

    [Theory]
    [InlineData("logits")]
    [InlineData("present_key_0")]
    [InlineData("present_value_0")]
    public void Load_DecoderWithoutAnOutput_IsRefused(string name)
    {
        Builder.ChangeDecoder = model => Remove(model.Graph.Output, name);

        AssertRefused(Decoder, $"output {name}");
    }

    [Fact]
    public void Load_DecoderWithAnotherInput_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.Input.Add(OnnxParts.Port("position_ids", OnnxParts.Int64Type));

        AssertRefused(Decoder, "input position_ids");
    }

    [Fact]
    public void Load_InputTwice_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.Input.Add(model.Graph.Input[0].Clone());

        AssertRefused(Decoder, "input input_ids");
    }

    [Fact]
    public void Load_MoreLayersThanTheManifestSays_IsRefused()
    {
        Builder.ChangeManifest = manifest => manifest with { Architecture = manifest.Architecture with { LayerCount = 2 } };

        AssertRefused(Decoder, "input past_key_1");
    }

    [Fact]
    public void Load_Int32Ids_IsRefused()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Input, "input_ids").ElemType = OnnxParts.Int32Type;

        var refusal = Refusal();

        Assert.Equal(("input input_ids", "int64", "int32"), (refusal.Field, refusal.Expected, refusal.Found));
    }

    [Fact]
    public void Load_HalfPrecisionKeys_IsRefused()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Input, "past_key_0").ElemType = 10;

        AssertRefused(Decoder, "input past_key_0");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Load_KeysOfAnotherShape_IsRefused(int axis)
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Input, "past_key_0").Shape.Dim[axis].DimValue++;

        AssertRefused(Decoder, "input past_key_0");
    }

    [Fact]
    public void Load_KeysWithOpenShape_IsAccepted()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Input, "past_key_0").Shape.Dim[2].DimParam = "positions";

        Assert.Equal("tiny", Builder.Load(PackageFolder).Manifest.Name);
    }

    [Fact]
    public void Load_BatchOfOneForEver_IsRefused()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Input, "input_ids").Shape.Dim[0].DimValue = 1;

        AssertRefused(Decoder, "input input_ids");
    }

    [Fact]
    public void Load_TotalLengthAsAVectorOfOne_IsAccepted()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Input, "total_sequence_length").Shape.Dim.Add(OnnxParts.Fixed(1));

        Assert.Equal("tiny", Builder.Load(PackageFolder).Manifest.Name);
    }

    [Fact]
    public void Load_LogitsOfAnotherWidth_IsRefusedWithBothShapes()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Output, "logits").Shape.Dim[1].DimValue = 32000;

        var refusal = Refusal();

        Assert.Equal(
            (Decoder, "output logits", $"[?, {TinyTokenizer.VocabularySize}]", "[?, 32000]"),
            (refusal.File, refusal.Field, refusal.Expected, refusal.Found));
    }

    [Fact]
    public void Load_LogitsOfOpenWidth_IsRefused()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Output, "logits").Shape.Dim[1].DimParam = "vocabulary";

        AssertRefused(Decoder, "output logits");
    }

    [Fact]
    public void Load_OutputWithoutShape_IsRefused()
    {
        Builder.ChangeDecoder = model => Find(model.Graph.Output, "logits").Shape = null;

        AssertRefused(Decoder, "output logits");
    }

    [Fact]
    public void Load_InputWithoutType_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.Input[0].Type = null;

        AssertRefused(Decoder, "input input_ids");
    }

    [Fact]
    public void Load_PreviousIdsThatTheManifestDoesNotDeclare_IsRefused()
    {
        Builder.ChangeDecoder = model =>
            model.Graph.Input.Add(OnnxParts.Port("previous_ids", OnnxParts.Int64Type, OnnxParts.Open("batch"), OnnxParts.Fixed(3)));

        AssertRefused(Decoder, "input previous_ids");
    }

    [Fact]
    public void Load_DeclaredPreviousIdsThatTheGraphLacks_IsRefused()
    {
        Builder.ChangeManifest = manifest => manifest with { Architecture = manifest.Architecture with { NgramEmbeddings = 3 } };

        AssertRefused(Decoder, "input previous_ids");
    }

    [Theory]
    [InlineData("codes")]
    [InlineData("prompt_ids")]
    public void Load_CodebookDecoderWithoutAnInput_IsRefused(string name)
    {
        Builder.ChangeCodebookDecoder = model => Remove(model.Graph.Input, name);

        AssertRefused(CodebookDecoder, $"input {name}");
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Load_CodebookDecoderOfAnotherShape_IsRefused(int axis)
    {
        Builder.ChangeCodebookDecoder = model => Find(model.Graph.Output, "text_logits").Shape.Dim[axis].DimValue++;

        AssertRefused(CodebookDecoder, "output text_logits");
    }

    [Theory]
    [InlineData("text_ids")]
    [InlineData("prompt_ids")]
    public void Load_CodebookEncoderWithoutAnInput_IsRefused(string name)
    {
        Builder.ChangeCodebookEncoder = model => Remove(model.Graph.Input, name);

        AssertRefused(CodebookEncoder, $"input {name}");
    }

    [Fact]
    public void Load_CodebookEncoderThatGivesFloats_IsRefused()
    {
        Builder.ChangeCodebookEncoder = model => Find(model.Graph.Output, "codes").ElemType = OnnxParts.FloatType;

        AssertRefused(CodebookEncoder, "output codes");
    }

    private static TypeProto.Types.Tensor Find(RepeatedField<ValueInfoProto> ports, string name) =>
        ports.Single(port => port.Name == name).Type.TensorType;

    private static void Remove(RepeatedField<ValueInfoProto> ports, string name) => ports.Remove(ports.Single(port => port.Name == name));
}
