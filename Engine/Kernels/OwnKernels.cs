using System.Collections.Concurrent;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Kernels;

/// <summary>Our operators in place of the runtime's of the same names.</summary>
/// <param name="Attention">For the attention; null = the runtime's.</param>
/// <param name="Matrix">For products by constant weights; null = the runtime's.</param>
internal sealed record OwnKernels(OrtOperator? Attention, OrtOperator? Matrix)
{
    // Sessions refer to them as long as they live: domains stay as long as the process.
    private static readonly ConcurrentDictionary<OwnKernels, Lazy<OrtCustomDomain>> Domains = [];

    /// <summary>What a decoder on this machine is loaded with, the best first: a graph that our kernels do not take is loaded with the next, and at last with none.</summary>
    /// <param name="headSize">Elements of a head.</param>
    /// <param name="cache">Type of keys and values.</param>
    public static IReadOnlyList<OwnKernels> For(int headSize, OrtElementType cache)
    {
        var best = new OwnKernels(AttentionOperator.For(headSize, cache), MatrixOperator.ForThisMachine);
        var candidates = new[] { best, best with { Matrix = null }, best with { Attention = null } };
        return [.. candidates.Where(kernels => kernels.Attention is not null || kernels.Matrix is not null).Distinct()];
    }

    /// <summary>Makes a session use them.</summary>
    public void AddTo(OrtSessionOptions options)
    {
        options.AddOperators(Domains.GetOrAdd(this, kernels => new(kernels.CreateDomain)).Value);

        // It reads attributes that only the runtime's own description of the operator fills in where a graph leaves them out.
        if (Matrix is not null)
            options.AddConfigEntry("optimization.disable_specified_optimizers", "MatmulTransposeFusion");
    }

    private OrtCustomDomain CreateDomain() =>
        new("com.microsoft", [.. new[] { Attention, Matrix }.OfType<OrtOperator>()]);
}
