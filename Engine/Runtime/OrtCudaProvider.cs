using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>The runtime's CUDA provider: two libraries that it looks for beside itself.</summary>
internal static unsafe class OrtCudaProvider
{
    private static readonly string[] Names = ["providers_shared", "providers_cuda"];

    /// <summary>File names of the provider's libraries on this operating system.</summary>
    public static IReadOnlyList<string> FileNames { get; } =
        [.. Names.Select(name => OperatingSystem.IsWindows() ? $"onnxruntime_{name}.dll" : $"libonnxruntime_{name}.so")];

    /// <summary>Those of the provider's libraries that are not in a folder.</summary>
    public static IReadOnlyList<string> MissingFiles(string folder) => [.. FileNames.Where(name => !File.Exists(Path.Combine(folder, name)))];

    /// <summary>Makes a session run on the provider.</summary>
    /// <param name="options">Of the session.</param>
    /// <param name="entries">The provider's options by its own keys.</param>
    /// <param name="stream">The CUDA stream on which everything runs; of the caller, who keeps it longer than the session.</param>
    /// <exception cref="OrtException">The provider cannot be loaded, or does not take an option.</exception>
    public static void Append(OrtSessionOptions options, IReadOnlyList<KeyValuePair<string, string>> entries, nint stream)
    {
        using var settings = new OrtLease(options);
        var provider = OrtApi.Get(OrtFunction.CreateCudaProviderOptions);
        try
        {
            Update(provider, entries);

            // After the entries: they set every option, and those that are not named to its default.
            fixed (byte* key = "user_compute_stream\0"u8)
                OrtApi.Call(OrtFunction.UpdateCudaProviderOptionsWithValue, provider, key, stream);
            OrtApi.Call(OrtFunction.AppendCudaProvider, settings.Pointer, provider);
        }
        finally
        {
            OrtApi.Release(OrtFunction.ReleaseCudaProviderOptions, provider);
        }
    }

    private static void Update(nint provider, IReadOnlyList<KeyValuePair<string, string>> entries)
    {
        var texts = stackalloc byte*[2 * entries.Count];
        try
        {
            for (var i = 0; i < entries.Count; i++)
            {
                texts[i] = (byte*)Marshal.StringToCoTaskMemUTF8(entries[i].Key);
                texts[entries.Count + i] = (byte*)Marshal.StringToCoTaskMemUTF8(entries[i].Value);
            }

            OrtApi.Call(OrtFunction.UpdateCudaProviderOptions, provider, texts, texts + entries.Count, (nuint)entries.Count);
        }
        finally
        {
            for (var i = 0; i < 2 * entries.Count; i++)
                Marshal.FreeCoTaskMem((nint)texts[i]);
        }
    }
}
