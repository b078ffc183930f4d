using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Tessera.Models.Tests;

/// <summary>Damages a valid JSON file at random, in its bytes and in its values, and checks that a reader takes it or refuses it properly.</summary>
internal static class Mutations
{
    private const long MaxBytesAllocated = 32 * 1024 * 1024;

    private static readonly string[] Snippets =
        ["null", "-1", "1e999", "99999999999999999999", "\"", "\\", "\\ud800", "[", "]", "{", "}", ",", ":", "\u0000", "é", "true", "\"type\":", "(((", "[^", "{9999999}", "\\p{L}"];

    private static readonly string[] Values =
        ["null", "-1", "0", "1e308", "2147483647", "1.5", "true", "\"\"", "\"x\"", "\"\\u0000\"", "\"ByteLevel\"", "\"Sequence\"", "\"(\"", "[]", "{}", "[[]]", "{\"type\":\"Split\"}"];

    /// <summary>Feeds <paramref name="count"/> damaged forms of <paramref name="valid"/> to <paramref name="read"/>.</summary>
    public static void Run(byte[] valid, int seed, int count, Action<byte[]> read) =>
        Run(valid, seed, count, read, static exception => exception is ModelPackageException);

    /// <summary>Feeds <paramref name="count"/> damaged forms of <paramref name="valid"/> to <paramref name="read"/>.</summary>
    /// <param name="valid">The file.</param>
    /// <param name="seed">Seed of the damage.</param>
    /// <param name="count">Forms.</param>
    /// <param name="read">The reader.</param>
    /// <param name="isRefusal">Whether an exception is the reader's own way of refusing.</param>
    public static void Run(byte[] valid, int seed, int count, Action<byte[]> read, Func<Exception, bool> isRefusal)
    {
        var random = new Random(seed);
        read(valid);
        var refused = 0;
        for (var i = 0; i < count; i++)
        {
            var bytes = i % 2 == 0 ? DamageBytes(valid, random) : DamageValue(valid, random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                read(bytes);
            }
            catch (Exception exception) when (isRefusal(exception))
            {
                refused++;
            }
            catch (Exception exception)
            {
                Assert.Fail($"Seed {seed}, mutation {i}: {exception.GetType()}: {exception.Message}");
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxBytesAllocated);
        }

        // Most damage must be noticed, or the mutations say nothing.
        Assert.InRange(refused, count / 2, count);
    }

    private static byte[] DamageBytes(byte[] valid, Random random)
    {
        var bytes = valid.ToList();
        for (var edits = random.Next(1, 4); edits > 0; edits--)
        {
            var at = random.Next(bytes.Count);
            var length = Math.Min(random.Next(1, 64), bytes.Count - at);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(length, bytes.Count - 1));
                    break;
                case 2:
                    bytes.InsertRange(random.Next(bytes.Count), bytes.GetRange(at, length));
                    break;
                case 3:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(Snippets[random.Next(Snippets.Length)]));
                    break;
                default:
                    bytes.RemoveRange(at, random.Next(20) == 0 ? bytes.Count - at : 0);
                    bytes.Add((byte)random.Next(256));
                    break;
            }
        }

        return [.. bytes];
    }

    private static byte[] DamageValue(byte[] valid, Random random)
    {
        var root = JsonNode.Parse(valid)!;
        var node = root;
        // A walk that stops early now and then reaches every depth.
        while (Children(node) is { Count: > 0 } children && random.Next(5) > 0 && children[random.Next(children.Count)] is { } child)
            node = child;
        var value = Values[random.Next(Values.Length)];
        if (node == root)
            return Encoding.UTF8.GetBytes(value);
        if (node.Parent is JsonObject parent && random.Next(4) == 0)
        {
            var name = node.GetPropertyName();
            parent.Remove(name);
            if (random.Next(2) == 0)
                parent[name + "x"] = node;
        }
        else
        {
            node.ReplaceWith(JsonNode.Parse(value));
        }

        return Encoding.UTF8.GetBytes(root.ToJsonString(JsonSerializerOptions.Default));
    }

    private static List<JsonNode?> Children(JsonNode node) => node switch
    {
        JsonObject members => [.. members.Select(member => member.Value)],
        JsonArray items => [.. items],
        _ => [],
    };
}
