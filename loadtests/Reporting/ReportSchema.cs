using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;

namespace Tessera.LoadTests.Reporting;

/// <summary>The JSON Schema of report.json, from the types that write it.</summary>
public static class ReportSchema
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>The schema as text, ended by a line feed.</summary>
    public static string Build()
    {
        var schema = ReportJson.Default.LoadReport.GetJsonSchemaAsNode(new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true }).AsObject();
        var whole = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = $"report.json of tessera-load, layout {LoadReport.CurrentSchema}",
        };
        foreach (var (name, value) in schema.ToList())
        {
            schema.Remove(name);
            whole[name] = value;
        }

        return whole.ToJsonString(Indented).ReplaceLineEndings("\n") + "\n";
    }
}
