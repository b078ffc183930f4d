using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Tessera.Models.Json;

/// <summary>
/// Compares a JSON document with the records it is read into, key by key, before the serializer sees it: the serializer's own errors name neither
/// the path of a missing key nor what was expected.
/// </summary>
internal static class ManifestShape
{
    /// <summary>Checks that <paramref name="field"/> can be read as <paramref name="type"/> without loss.</summary>
    public static void Check(JsonField field, Type type, JsonSerializerOptions options)
    {
        if (ScalarName(type) is { } expected)
        {
            if (!IsScalar(field, type))
                throw field.Fail(expected);
            return;
        }

        var info = options.GetTypeInfo(type);
        if (info.Kind == JsonTypeInfoKind.Enumerable)
        {
            foreach (var item in field.Items())
                Check(item, info.ElementType!, options);
            return;
        }

        CheckObject(field, info, options);
    }

    private static void CheckObject(JsonField field, JsonTypeInfo info, JsonSerializerOptions options)
    {
        var known = info.Properties.Where(property => property.Set is not null).ToDictionary(property => property.Name, StringComparer.Ordinal);
        foreach (var (name, value) in field.Members())
        {
            if (!known.TryGetValue(name, out var property))
                throw new ModelPackageException(field.File, field.PathOf(name), $"one of {string.Join(", ", known.Keys)}", "an unknown key");
            if (!(value.IsNull && property.IsSetNullable))
                Check(value, property.PropertyType, options);
        }

        foreach (var property in known.Values.Where(property => property.IsRequired))
            field.Required(property.Name);
    }

    private static string? ScalarName(Type type) =>
        type == typeof(string) ? "a string"
        : type == typeof(bool) ? "true or false"
        : type == typeof(int) ? "a whole number of 32 bits"
        : type == typeof(long) ? "a whole number of 64 bits"
        : type == typeof(float) || type == typeof(double) ? "a finite number"
        : null;

    private static bool IsScalar(JsonField field, Type type)
    {
        var element = field.Element;
        if (type == typeof(string))
            return element.ValueKind == JsonValueKind.String && field.AsString() is not null;
        if (type == typeof(bool))
            return element.ValueKind is JsonValueKind.True or JsonValueKind.False;
        if (element.ValueKind != JsonValueKind.Number)
            return false;
        return type == typeof(int) ? element.TryGetInt32(out _)
            : type == typeof(long) ? element.TryGetInt64(out _)
            : type == typeof(float) ? element.TryGetSingle(out var single) && float.IsFinite(single)
            : element.TryGetDouble(out var number) && double.IsFinite(number);
    }
}
