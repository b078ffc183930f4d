using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>A loaded decoder graph; it belongs to its device.</summary>
/// <param name="Device">Where it runs.</param>
/// <param name="Session">The graph.</param>
/// <param name="DecodeSession">The graph for decode rows: the same, or one whose runs keep to the thread that calls, because rows are divided over threads already.</param>
/// <param name="MaxDecodeParts">Into how many parts decode rows may be divided.</param>
/// <param name="TotalLengthRank">Rank of <c>total_sequence_length</c>: 0 or 1.</param>
/// <param name="KvType">Type of keys and values.</param>
internal sealed record LoadedDecoder(IModelDevice Device, OrtSession Session, OrtSession DecodeSession, int MaxDecodeParts, int TotalLengthRank, OrtElementType KvType)
{
    /// <summary>Loads a graph and checks it against the manifest.</summary>
    /// <exception cref="ModelPackageException">The graph cannot be loaded, or is not what the manifest says.</exception>
    public static LoadedDecoder Load(IModelDevice device, string path, Architecture architecture, string kv)
    {
        var kvType = DecoderContract.KvType(kv);
        var session = device.Load(path, architecture.HeadDim, kvType);
        DecoderContract.Check(Path.GetFileName(path), architecture, kvType, session.Inputs, session.Outputs);
        var parts = device.MaxDecodeParts(architecture);
        var decodeSession = parts > 1 ? device.Load(path, architecture.HeadDim, kvType, ownThreads: false) : session;
        return new(device, session, decodeSession, parts, session.Inputs.First(input => input.Name == DecoderContract.TotalLength).Shape.Count, kvType);
    }
}
