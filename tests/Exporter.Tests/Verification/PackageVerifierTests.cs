using System.Security.Cryptography;
using Tessera.Exporter.Tests.Support;
using Tessera.Exporter.Verification;
using Tessera.Exporter.Weights;
using Tessera.Models;

namespace Tessera.Exporter.Tests.Verification;

public sealed class PackageVerifierTests : IDisposable
{
    private readonly Fixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Verify_OtherWeights_FailsEveryDecoderCheckWithNumbers()
    {
        _fixture.ChangeWeights((name, values) =>
        {
            if (name == "model.layers.0.self_attn.v_proj.weight")
                values[7] += 0.5f;
            return values;
        });
        _fixture.Export();

        var decoder = PackageVerifier.Verify(_fixture.Output, null, threads: 1).Rows.Where(row => row.Graph == ModelPackage.DecoderFileName).ToList();

        // The greedy generation compares the graph with itself.
        Assert.Equal(9, decoder.Count);
        Assert.All(decoder[..^1], row => Assert.InRange(row.Difference, 2e-3, 100));
        Assert.All(decoder[..^1], row => Assert.False(row.Passed));
        Assert.True(decoder[^1].Passed);
    }

    [Fact]
    public void Verify_OtherCodebook_FailsTheCodebookOnly()
    {
        var path = Path.Combine(_fixture.Codebook, "codebook.safetensors");
        var bytes = File.ReadAllBytes(path);
        using (var file = SafeTensorsFile.Open(path))
            BitConverter.TryWriteBytes(bytes.AsSpan((int)file.RequireAnyShape("question_out.bias").Offset), 3f);
        File.WriteAllBytes(path, bytes);
        _fixture.Export();

        var failed = PackageVerifier.Verify(_fixture.Output, null, threads: 1).Rows.Where(row => !row.Passed).Select(row => row.Graph);

        Assert.Equal([ModelPackage.CodebookDecoderFileName], failed);
    }

    [Fact]
    public void Verify_AlteredFile_IsRefusedBeforeItRuns()
    {
        _fixture.Export();
        var path = Path.Combine(_fixture.Output, ModelPackage.DecoderFileName);
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);

        var error = Assert.Throws<ModelPackageException>(() => PackageVerifier.Verify(_fixture.Output, null, threads: 1));

        Assert.Equal((ModelPackage.DecoderFileName, "sha256", Convert.ToHexStringLower(SHA256.HashData(bytes))), (error.File, error.Field, error.Found));
    }

    [Fact]
    public void Verify_NoReference_NamesTheFile()
    {
        File.Delete(_fixture[ReferenceFile.FileName]);
        _fixture.Export();

        Assert.Equal(ReferenceFile.FileName, Assert.Throws<ExportException>(() => PackageVerifier.Verify(_fixture.Output, null)).File);
    }

    [Fact]
    public void Verify_ReferenceOfItsOwn_IsTaken()
    {
        File.Delete(_fixture[ReferenceFile.FileName]);
        _fixture.Export();

        Assert.All(PackageVerifier.Verify(_fixture.Output, Path.Combine(Fixture.Original, ReferenceFile.FileName), threads: 1).Rows, row => Assert.True(row.Passed));
    }

    [Theory]
    [InlineData("case_0.input_ids", 697L)]
    [InlineData("case_0.input_ids", -1L)]
    [InlineData("case_0.rows", 500L)]
    public void Verify_ReferenceThatDoesNotFit_NamesTheTensor(string tensor, long value)
    {
        _fixture.Export();
        var path = _fixture[ReferenceFile.FileName];
        var bytes = File.ReadAllBytes(path);
        using (var file = SafeTensorsFile.Open(path))
            BitConverter.TryWriteBytes(bytes.AsSpan((int)file.RequireAnyShape(tensor).Offset), value);
        File.WriteAllBytes(path, bytes);

        Assert.Equal(tensor, Assert.Throws<ExportException>(() => PackageVerifier.Verify(_fixture.Output, path)).Field);
    }

    [Fact]
    public void Add_NotANumber_IsInfinitelyFar()
    {
        var meter = new DifferenceMeter();
        meter.Add([1f], [float.NaN]);

        Assert.False(meter.ToRow("graph", "check", new Tolerance(1)).Passed);
        Assert.Equal(double.PositiveInfinity, meter.ToRow("graph", "check", new Tolerance(1)).Difference);
    }

    [Fact]
    public void Passed_NothingCompared_IsFalse() => Assert.False(new DifferenceMeter().ToRow("graph", "check", new Tolerance(1)).Passed);
}
