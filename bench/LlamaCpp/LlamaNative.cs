using System.Runtime.InteropServices;

namespace Tessera.Bench.LlamaCpp;

/// <summary>The few functions of llama.cpp's C API that a comparison needs; the layouts are those of the release that package-lock.json pins (v0.5.0).</summary>
internal static unsafe partial class LlamaNative
{
    private const string Library = "llama";
    private const string Backend = "ggml";
    private static string? _folder;

    /// <summary>Takes the libraries from a folder and registers the fastest CPU backend in it.</summary>
    public static void Load(string folder)
    {
        _folder = folder;
        NativeLibrary.SetDllImportResolver(typeof(LlamaNative).Assembly, (name, _, _) => name switch
        {
            Library => NativeLibrary.Load(Find("libllama.*so")),
            Backend => NativeLibrary.Load(Find("libggml.*so")),
            _ => 0,
        });
        llama_log_set(&Ignore, null);
        ggml_backend_load_all_from_path(folder);
        llama_backend_init();
    }

    [LibraryImport(Backend, StringMarshalling = StringMarshalling.Utf8)]
    private static partial void ggml_backend_load_all_from_path(string folder);

    [LibraryImport(Library)]
    private static partial void llama_log_set(delegate* unmanaged<int, byte*, void*, void> log, void* userData);

    [LibraryImport(Library)]
    private static partial void llama_backend_init();

    [LibraryImport(Library)]
    public static partial ModelParameters llama_model_default_params();

    [LibraryImport(Library)]
    public static partial ContextParameters llama_context_default_params();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint llama_model_load_from_file(string path, ModelParameters parameters);

    [LibraryImport(Library)]
    public static partial void llama_model_free(nint model);

    [LibraryImport(Library)]
    public static partial nint llama_init_from_model(nint model, ContextParameters parameters);

    [LibraryImport(Library)]
    public static partial void llama_free(nint context);

    [LibraryImport(Library)]
    public static partial nint llama_get_memory(nint context);

    [LibraryImport(Library)]
    public static partial void llama_memory_clear(nint memory, byte withData);

    [LibraryImport(Library)]
    public static partial int llama_decode(nint context, Batch batch);

    [LibraryImport(Library)]
    public static partial float* llama_get_logits_ith(nint context, int row);

    [LibraryImport(Library)]
    public static partial Batch llama_batch_init(int tokens, int embeddings, int sequences);

    [LibraryImport(Library)]
    public static partial void llama_batch_free(Batch batch);

    [UnmanagedCallersOnly]
    private static void Ignore(int level, byte* text, void* userData)
    {
    }

    private static string Find(string pattern) => Directory.GetFiles(_folder!, pattern).Single();

    /// <summary>struct llama_batch.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Batch
    {
        public int TokenCount;
        public int* Tokens;
        public float* Embeddings;
        public int* Positions;
        public int* SequenceCounts;
        public int** Sequences;
        public sbyte* WantsLogits;
    }

    /// <summary>struct llama_model_params.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ModelParameters
    {
        public nint Devices, Overrides;
        public int GpuLayers, SplitMode, LoadMode, LazyMode, MainGpu;
        public nint TensorSplit, Progress, ProgressData, KvOverrides;
        public byte VocabOnly, CheckTensors, UseExtraBuffers, NoHost, NoAlloc, LoadMtp;
    }

    /// <summary>struct llama_context_params.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ContextParameters
    {
        public uint Context, Batch, MicroBatch, Sequences, Snapshots, Outputs, OutputsPerSequence;
        public int Threads, BatchThreads, ContextType, RopeScaling, Pooling, Attention, FlashAttention;
        public float RopeBase, RopeScale, YarnExtension, YarnAttention, YarnFast, YarnSlow;
        public uint YarnContext;
        public float Defragmentation;
        public nint Evaluate, EvaluateData;
        public int KeyType, ValueType;
        public nint Abort, AbortData;
        public byte Embeddings, OffloadKv, NoPerformance, OffloadOps, SlidingFull, KvUnified;
        public nint Samplers, SamplerCount, Other;
    }
}
