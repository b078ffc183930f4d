using Google.Protobuf;
using Tessera.Protos.Onnx;
using Tessera.Testing;

namespace Tessera.Models.Tests.Packaging;

public sealed class GraphFileTests : PackageTestBase
{
    private const string Decoder = ModelPackage.DecoderFileName;
    private const string Location = "successors.external_data.location";

    [Theory]
    [InlineData("/etc/hostname")]
    [InlineData("../outside.bin")]
    [InlineData("sub\\..\\outside.bin")]
    [InlineData("*/_ORT_MEM_ADDR_/*")]
    [InlineData("unlisted.bin")]
    [InlineData("tessera.json")]
    [InlineData("")]
    public void Load_ExternalDataThatIsNoListedFile_IsRefused(string location)
    {
        ChangeExternal("location", location);

        AssertRefused(Decoder, Location);
    }

    [Fact]
    public void Load_ExternalDataWithoutLocation_IsRefused()
    {
        ChangeTable(tensor => tensor.ExternalData.RemoveAt(0));

        AssertRefused(Decoder, Location);
    }

    [Fact]
    public void Load_ExternalDataPastTheFile_IsRefused()
    {
        ChangeExternal("offset", "4");

        AssertRefused(Decoder, "successors.external_data.offset");
    }

    [Theory]
    [InlineData("-4")]
    [InlineData("0x10")]
    [InlineData("99999999999999999999")]
    [InlineData(" 4")]
    public void Load_OffsetThatIsNoNumberOfBytes_IsRefused(string offset)
    {
        ChangeExternal("offset", offset);

        AssertRefused(Decoder, "successors.external_data.offset");
    }

    [Fact]
    public void Load_OffsetNearTheLargestNumber_IsRefused()
    {
        ChangeExternal("offset", $"{long.MaxValue}");

        AssertRefused(Decoder, "successors.external_data.offset");
    }

    [Fact]
    public void Load_LengthOfAnotherShape_IsRefused()
    {
        ChangeExternal("length", "16");

        AssertRefused(Decoder, "successors.external_data.length");
    }

    [Fact]
    public void Load_ExternalDataWithoutLength_IsRefused()
    {
        ChangeTable(tensor => tensor.ExternalData.RemoveAt(2));

        AssertRefused(Decoder, "successors.external_data.length");
    }

    [Fact]
    public void Load_ExternalDataWithChecksum_IsAccepted()
    {
        ChangeTable(tensor => tensor.ExternalData.Add(new StringStringEntryProto { Key = "checksum", Value = "abc" }));

        Assert.Equal("tiny", Builder.Load(PackageFolder).Manifest.Name);
    }

    [Theory]
    [InlineData("basepath")]
    [InlineData("location")]
    public void Load_ExternalDataWithAnotherKeyOrOneTwice_IsRefused(string key)
    {
        ChangeTable(tensor => tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = "/" }));

        AssertRefused(Decoder, "successors.external_data");
    }

    [Fact]
    public void Load_ExternalDataOfATensorThatSaysItIsInside_IsRefused()
    {
        ChangeTable(tensor => tensor.DataLocation = TensorProto.Types.DataLocation.Default);

        AssertRefused(Decoder, "successors");
    }

    [Fact]
    public void Load_UnknownDataLocation_IsRefused()
    {
        ChangeTable(tensor => tensor.DataLocation = (TensorProto.Types.DataLocation)7);

        AssertRefused(Decoder, "successors");
    }

    [Fact]
    public void Load_ExternalAndRawData_IsRefused()
    {
        ChangeTable(tensor => tensor.RawData = ByteString.CopyFrom(1));

        AssertRefused(Decoder, "successors");
    }

    [Fact]
    public void Load_RawDataOfAnotherSize_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.Initializer[1].RawData = ByteString.CopyFrom(1, 2, 3);

        AssertRefused(Decoder, "all");
    }

    [Fact]
    public void Load_NegativeDimension_IsRefused()
    {
        ChangeTable(tensor => tensor.Dims[0] = -1);

        AssertRefused(Decoder, "successors.dims");
    }

    [Fact]
    public void Load_DimensionsThatOverflow_IsRefused()
    {
        ChangeTable(tensor => tensor.Dims.Add([1L << 40, 1L << 40]));

        AssertRefused(Decoder, "successors.dims");
    }

    [Fact]
    public void Load_ExternalStrings_IsRefused()
    {
        ChangeTable(tensor => tensor.DataType = 8);

        AssertRefused(Decoder, "successors.data_type");
    }

    [Fact]
    public void Load_OutsideDataInASparseInitializer_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.SparseInitializer.Add(
            new SparseTensorProto { Values = Escaping("values"), Indices = OnnxParts.Vector("indices", 0) });

        AssertRefused(Decoder, "values.external_data.location");
    }

    [Fact]
    public void Load_OutsideDataInSparseIndices_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.SparseInitializer.Add(
            new SparseTensorProto { Values = OnnxParts.Vector("values", 0), Indices = Escaping("indices") });

        AssertRefused(Decoder, "indices.external_data.location");
    }

    [Fact]
    public void Load_SparseInitializerWithoutIndices_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.SparseInitializer.Add(new SparseTensorProto { Values = OnnxParts.Vector("values", 0) });

        AssertRefused(Decoder, "sparse tensor");
    }

    [Fact]
    public void Load_OutsideDataInAConstant_IsRefused()
    {
        ChangeAttribute(attribute => attribute.T = Escaping("constant"));

        AssertRefused(Decoder, "constant.external_data.location");
    }

    [Fact]
    public void Load_OutsideDataInAListOfTensors_IsRefused()
    {
        ChangeAttribute(attribute => attribute.Tensors.Add(Escaping("constant")));

        AssertRefused(Decoder, "constant.external_data.location");
    }

    [Fact]
    public void Load_OutsideDataInASparseConstant_IsRefused()
    {
        ChangeAttribute(attribute => attribute.SparseTensor = new SparseTensorProto { Values = Escaping("constant"), Indices = OnnxParts.Vector("i", 0) });

        AssertRefused(Decoder, "constant.external_data.location");
    }

    [Fact]
    public void Load_OutsideDataInASubgraph_IsRefused()
    {
        ChangeAttribute(attribute => attribute.G = new GraphProto { Initializer = { Escaping("branch") } });

        AssertRefused(Decoder, "branch.external_data.location");
    }

    [Fact]
    public void Load_OutsideDataInASubgraphOfASubgraph_IsRefused()
    {
        var inner = new AttributeProto { Name = "body", Graphs = { new GraphProto { Initializer = { Escaping("loop") } } } };
        ChangeAttribute(attribute => attribute.G = new GraphProto { Node = { new NodeProto { OpType = "Loop", Attribute = { inner } } } });

        AssertRefused(Decoder, "loop.external_data.location");
    }

    [Fact]
    public void Load_OutsideDataUnderAnotherDeclaredType_IsRefused()
    {
        ChangeAttribute(attribute =>
        {
            attribute.Type = AttributeProto.Types.AttributeType.Int;
            attribute.T = Escaping("constant");
        });

        AssertRefused(Decoder, "constant.external_data.location");
    }

    [Fact]
    public void Load_ForeignOperatorDomain_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.Node[0].Domain = "evil.ops";

        AssertRefused(Decoder, "node flat_ids");
    }

    [Fact]
    public void Load_ForeignOperatorDomainInASubgraph_IsRefused()
    {
        ChangeAttribute(attribute => attribute.G = new GraphProto { Node = { new NodeProto { Name = "inner", Domain = "evil.ops" } } });

        AssertRefused(Decoder, "node inner");
    }

    [Fact]
    public void Load_ForeignOperatorSet_IsRefused()
    {
        Builder.ChangeDecoder = model => model.OpsetImport.Add(new OperatorSetIdProto { Domain = "ai.onnx.ml", Version = 1 });

        AssertRefused(Decoder, "opset_import");
    }

    [Fact]
    public void Load_OperatorThatReadsFiles_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph.Node.Add(new NodeProto { Name = "context", OpType = "EPContext", Domain = "com.microsoft" });

        AssertRefused(Decoder, "node context");
    }

    [Fact]
    public void Load_ModelWithoutGraph_IsRefused()
    {
        Builder.ChangeDecoder = model => model.Graph = null;

        AssertRefused(Decoder, "graph");
    }

    [Fact]
    public void Load_OutsideDataInTheCodebookDecoder_IsRefused()
    {
        Builder.ChangeCodebookDecoder = model => model.Graph.Initializer.Add(Escaping("table"));

        AssertRefused(ModelPackage.CodebookDecoderFileName, "table.external_data.location");
    }

    [Fact]
    public void Load_OutsideDataInTheCodebookEncoder_IsRefused()
    {
        Builder.ChangeCodebookEncoder = model => model.Graph.Initializer.Add(Escaping("table"));

        AssertRefused(ModelPackage.CodebookEncoderFileName, "table.external_data.location");
    }

    [Fact]
    public void Load_SubgraphsWithoutEnd_IsRefused()
    {
        var graph = new GraphProto();
        for (var depth = 0; depth < 40; depth++)
            graph = new GraphProto { Node = { new NodeProto { Attribute = { new AttributeProto { G = graph } } } } };
        Builder.ChangeDecoder = model => model.Graph.Node.Add(graph.Node[0]);

        Assert.Equal(Decoder, Refusal().File);
    }

    private static TensorProto Escaping(string name) => OnnxParts.External(name, OnnxParts.FloatType, [4], "../secret.bin", 0);

    private void ChangeTable(Action<TensorProto> change) => Builder.ChangeDecoder = model => change(model.Graph.Initializer[0]);

    private void ChangeExternal(string key, string value) =>
        ChangeTable(tensor => tensor.ExternalData.Single(entry => entry.Key == key).Value = value);

    private void ChangeAttribute(Action<AttributeProto> change)
    {
        var attribute = new AttributeProto { Name = "value" };
        change(attribute);
        Builder.ChangeDecoder = model => model.Graph.Node.Add(new NodeProto { OpType = "If", Name = "branching", Attribute = { attribute } });
    }
}
