using Tessera.Engine.Kernels;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>Loads a package's graphs.</summary>
internal static class GraphLoader
{
    /// <summary>Loads a graph.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="threads">Threads of one run; 0 = the machine's cores.</param>
    /// <param name="spinMicroseconds">How long a waiting thread spins inside a run; 0 = not at all.</param>
    /// <param name="configure">Puts the session on a device; null for the processor.</param>
    /// <exception cref="ModelPackageException">The runtime does not take the graph.</exception>
    public static OrtSession Load(string path, int threads, int spinMicroseconds = 0, Action<OrtSessionOptions>? configure = null)
    {
        using var options = new OrtSessionOptions(threads, spinMicroseconds);
        configure?.Invoke(options);
        try
        {
            return new OrtSession(path, options);
        }
        catch (OrtException exception)
        {
            throw new ModelPackageException(Path.GetFileName(path), "graph", "a graph that ONNX Runtime loads", exception.Message, exception);
        }
    }

    /// <summary>Loads a decoder for the processor, with our own kernels where they take it.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="headSize">Elements of a head.</param>
    /// <param name="kv">Type of keys and values.</param>
    /// <param name="threads">Threads of one run; 0 = the machine's cores.</param>
    /// <param name="spinMicroseconds">How long a waiting thread spins inside a run; 0 = not at all.</param>
    /// <exception cref="ModelPackageException">The runtime does not take the graph.</exception>
    public static OrtSession LoadDecoder(string path, int headSize, OrtElementType kv, int threads, int spinMicroseconds)
    {
        foreach (var kernels in OwnKernels.For(headSize, kv))
        {
            try
            {
                return Load(path, threads, spinMicroseconds, kernels.AddTo);
            }
            catch (ModelPackageException)
            {
                // Our kernels refuse what only the runtime's own do: graphs from elsewhere. What is wrong with any other is said at last.
            }
        }

        return Load(path, threads, spinMicroseconds);
    }
}
