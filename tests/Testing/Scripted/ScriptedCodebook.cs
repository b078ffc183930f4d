using Tessera.Engine.Execution;

namespace Tessera.Testing;

/// <summary>A codebook whose hint for code c is <c>hint c</c>, of <see cref="TokensPerHint"/> tokens, with confidence 0.5.</summary>
public sealed class ScriptedCodebook : ICodebook
{
    private readonly List<int> _runs = [];

    /// <summary>Text tokens that a hint counts as.</summary>
    public int TokensPerHint { get; init; } = 5;

    /// <summary>Most codes of one span that get hints.</summary>
    public int MaxCodes { get; init; } = int.MaxValue;

    /// <summary>Called before each reading, beside the step loop: may throw or block.</summary>
    public Action<IReadOnlyList<int>>? BeforeDecode { get; set; }

    /// <summary>Whether <see cref="Dispose"/> was called.</summary>
    public bool IsDisposed { get; private set; }

    /// <summary>How many spans each run has read, in order.</summary>
    public IReadOnlyList<int> Runs
    {
        get
        {
            lock (_runs)
            {
                return [.. _runs];
            }
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<LatentHint>> DecodeSpans(IReadOnlyList<CodedSpan> spans)
    {
        lock (_runs)
        {
            _runs.Add(spans.Count);
        }

        return [.. spans.Select(span => Decode(span.Codes, span.PromptIds))];
    }

    /// <inheritdoc/>
    public IReadOnlyList<LatentHint> Decode(IReadOnlyList<int> codes, IReadOnlyList<int> promptIds)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        BeforeDecode?.Invoke(codes);
        return [.. codes.Take(MaxCodes).Select(code => new LatentHint($"hint {code}", TokensPerHint, 0.5f))];
    }

    /// <inheritdoc/>
    public IReadOnlyList<int> Encode(IReadOnlyList<IReadOnlyList<int>> steps, IReadOnlyList<int> promptIds) => [.. steps.Select((_, index) => index)];

    /// <inheritdoc/>
    public void Dispose() => IsDisposed = true;
}
