using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Tests.Targets;

public sealed class PrometheusTextTests
{
    private const string Exposition = """
        # HELP process_resident_memory_bytes Resident memory.
        # TYPE process_resident_memory_bytes gauge
        process_resident_memory_bytes 1.5e+08
        tessera_kv_cache_bytes_in_use{model="a {} \" b"} 100 1690000000
        tessera_kv_cache_bytes_in_use{model="c"} 23
        tessera_kv_cache_bytes_in_use_total 7
        tessera_gpu_memory_bytes NaN
        """;

    [Theory]
    [InlineData("process_resident_memory_bytes", 1.5e8)]
    [InlineData("tessera_kv_cache_bytes_in_use", 123.0)]
    [InlineData("tessera_kv_cache_bytes_in_use_total", 7.0)]
    [InlineData("tessera_kv_cache_bytes", null)]
    [InlineData("tessera_gpu_memory_bytes", null)]
    public void Read_Exposition_GivesTheSumOverLabels(string name, double? expected) => Assert.Equal(expected, PrometheusText.Read(Exposition, name));

    [Theory]
    [InlineData("name{label=\"open")]
    [InlineData("name")]
    [InlineData("name ")]
    [InlineData("name{} many")]
    [InlineData("")]
    public void Read_Malformed_IsNothing(string text) => Assert.Null(PrometheusText.Read(text, "name"));
}
