using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Tessera.Server.Hosting;

namespace Tessera.Server.Security;

/// <summary>The file that keys are stored in.</summary>
internal static class KeyFile
{
    /// <summary>Reads and checks the file.</summary>
    /// <exception cref="StartException">The file is missing, or something in it is wrong; the message names file and field.</exception>
    public static IReadOnlyList<KeyRecord> Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            var content = JsonSerializer.Deserialize(stream, KeyFileJson.Strict.KeyFileContent)
                ?? throw new StartException($"{path}: expected an object with keys, found null");
            Check(path, content.Keys);
            return content.Keys;
        }
        catch (JsonException e)
        {
            var place = e.LineNumber is { } line ? $"line {line + 1}" : "its start";
            throw new StartException($"{path}: expected a file that 'keys add' wrote, found something else at {place}, {e.Path ?? "$"}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"{path}: expected a readable file of API keys, found none; 'keys add NAME' makes one", e);
        }
    }

    /// <summary>Changes the file: whole, or not at all. Only its owner can read it.</summary>
    /// <param name="path">The file; made when it does not exist.</param>
    /// <param name="change">New keys from those that are there.</param>
    /// <exception cref="StartException">The file cannot be read or written.</exception>
    public static void Change(string path, Func<IReadOnlyList<KeyRecord>, IReadOnlyList<KeyRecord>> change)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            // Held by one process at a time: two that add a key at once must not lose one.
            using var guard = new FileStream(path + ".lock", FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
            var changed = change(File.Exists(path) ? Read(path) : []);
            Write(path, new KeyFileContent(changed));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"{path}: cannot be changed: {e.Message}", e);
        }
    }

    private static void Write(string path, KeyFileContent content)
    {
        var temporary = $"{path}.{Environment.ProcessId}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var stream = new FileStream(temporary, options))
        {
            JsonSerializer.Serialize(stream, content, KeyFileJson.Strict.KeyFileContent);
        }

        File.Move(temporary, path, overwrite: true);
    }

    private static void Check(string path, IReadOnlyList<KeyRecord> keys)
    {
        var seen = new HashSet<string>();
        for (var i = 0; i < keys.Count; i++)
        {
            var key = keys[i];
            Require(ApiKey.IsId(key.Id) && seen.Add(key.Id), "id", $"{ApiKey.IdLength} hexadecimal digits that no other key has");
            Require(IsBytes(key.Salt, ApiKey.SaltBytes), "salt", $"base64 of {ApiKey.SaltBytes} bytes");
            Require(IsBytes(key.Hash, SHA256.HashSizeInBytes), "hash", $"base64 of {SHA256.HashSizeInBytes} bytes");
            Require(key.RequestsPerMinute is null or >= 0, "requests_per_minute", "a number from 0 on");
            Require(key.TokensPerMinute is null or >= 0, "tokens_per_minute", "a number from 0 on");

            void Require(bool isRight, string field, string expected)
            {
                if (!isRight)
                {
                    throw new StartException($"{path}: keys[{i}].{field}: expected {expected}, found something else");
                }
            }
        }
    }

    private static bool IsBytes(string text, int count)
    {
        var bytes = new byte[count + 1];
        return Convert.TryFromBase64String(text, bytes, out var written) && written == count;
    }
}

/// <summary>What the file holds.</summary>
/// <param name="Keys">All keys, revoked ones too.</param>
internal sealed record KeyFileContent(IReadOnlyList<KeyRecord> Keys);

/// <summary>Reads and writes the file; unknown fields are refused.</summary>
[JsonSerializable(typeof(KeyFileContent))]
internal sealed partial class KeyFileJson : JsonSerializerContext
{
    /// <summary>The form of the file.</summary>
    public static KeyFileJson Strict { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
    });
}
