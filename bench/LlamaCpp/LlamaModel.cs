using System.Diagnostics;
using Tessera.Bench.Timing;
using static Tessera.Bench.LlamaCpp.LlamaNative;

namespace Tessera.Bench.LlamaCpp;

/// <summary>A GGUF file in llama.cpp, f16 keys and values, one stream per sequence.</summary>
internal sealed unsafe class LlamaModel : ITimedModel
{
    private const int MaxPrompt = 2048;
    private readonly nint _model;
    private readonly nint _context;
    private readonly int _vocabulary;
    private Batch _batch;
    private int _sequences;
    private int _position;

    /// <summary>Loads the file.</summary>
    /// <exception cref="InvalidOperationException">llama.cpp refuses it.</exception>
    public LlamaModel(string path, int threads, int maxSequences, int positions, int vocabulary)
    {
        _vocabulary = vocabulary;
        _model = llama_model_load_from_file(path, llama_model_default_params());
        if (_model == 0)
        {
            throw new InvalidOperationException($"{path}: llama.cpp cannot load it");
        }

        var parameters = llama_context_default_params();
        parameters.Context = (uint)(maxSequences * positions);
        parameters.Batch = MaxPrompt;
        parameters.MicroBatch = 512;
        parameters.Sequences = (uint)maxSequences;
        parameters.Threads = parameters.BatchThreads = threads;
        parameters.NoPerformance = 1;
        parameters.KvUnified = 0;
        _context = llama_init_from_model(_model, parameters);
        if (_context == 0)
        {
            llama_model_free(_model);
            throw new InvalidOperationException($"{path}: llama.cpp cannot make a context");
        }

        _batch = llama_batch_init(MaxPrompt, 0, 1);
    }

    /// <inheritdoc/>
    public void Begin(int batch, int context)
    {
        llama_memory_clear(llama_get_memory(_context), 1);
        for (var sequence = 0; sequence < batch; sequence++)
        {
            RunPrompt(sequence, context);
        }

        (_sequences, _position) = (batch, context);
    }

    /// <inheritdoc/>
    public double Decode(int steps)
    {
        var watch = Stopwatch.StartNew();
        for (var step = 0; step < steps; step++, _position++)
        {
            for (var sequence = 0; sequence < _sequences; sequence++)
            {
                Set(sequence, (_position * 17) + sequence, _position, sequence, wantsLogits: true);
            }

            _batch.TokenCount = _sequences;
            Run();
        }

        return watch.Elapsed.TotalSeconds;
    }

    /// <inheritdoc/>
    public double Prefill(int positions)
    {
        llama_memory_clear(llama_get_memory(_context), 1);
        var watch = Stopwatch.StartNew();
        RunPrompt(0, positions);
        return watch.Elapsed.TotalSeconds;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        llama_batch_free(_batch);
        llama_free(_context);
        llama_model_free(_model);
    }

    private void RunPrompt(int sequence, int positions)
    {
        for (var i = 0; i < positions; i++)
        {
            Set(i, (i * 37) + (sequence * 101), i, sequence, wantsLogits: i == positions - 1);
        }

        _batch.TokenCount = positions;
        Run();
    }

    private void Set(int row, int token, int position, int sequence, bool wantsLogits)
    {
        _batch.Tokens[row] = token % _vocabulary;
        _batch.Positions[row] = position;
        _batch.SequenceCounts[row] = 1;
        _batch.Sequences[row][0] = sequence;
        _batch.WantsLogits[row] = (sbyte)(wantsLogits ? 1 : 0);
    }

    private void Run()
    {
        if (llama_decode(_context, _batch) != 0)
        {
            throw new InvalidOperationException("llama.cpp could not run a batch");
        }

        // Reading a logit waits for the result.
        _ = Volatile.Read(ref *llama_get_logits_ith(_context, -1));
    }
}
