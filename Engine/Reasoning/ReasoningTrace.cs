namespace Tessera.Engine.Reasoning;

/// <summary>A run of reasoning of one kind.</summary>
internal abstract record ReasoningSpan;

/// <summary>Latents between their delimiters.</summary>
/// <param name="Index">Which latent span of the response, from 0.</param>
internal sealed record LatentSpan(int Index) : ReasoningSpan
{
    private readonly List<int> _codes = [];

    /// <summary>Codes so far.</summary>
    public IReadOnlyList<int> Codes => _codes;

    /// <summary>Whether <c>&lt;eoLatent&gt;</c> was written.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>Adds the next code.</summary>
    public void Add(int code) => _codes.Add(code);

    /// <summary>The span ended.</summary>
    public void Close() => IsClosed = true;
}

/// <summary>Reasoning spelled out.</summary>
internal sealed record TextSpan : ReasoningSpan
{
    private readonly List<int> _ids = [];

    /// <summary>Text ids so far.</summary>
    public IReadOnlyList<int> Ids => _ids;

    /// <summary>Adds the next id.</summary>
    public void Add(int id) => _ids.Add(id);
}

/// <summary>The spans of one response, in order.</summary>
internal sealed class ReasoningTrace
{
    private readonly List<ReasoningSpan> _spans = [];
    private int _latentSpanCount;

    /// <summary>The spans.</summary>
    public IReadOnlyList<ReasoningSpan> Spans => _spans;

    /// <summary>Opens a latent span.</summary>
    public void OpenLatentSpan() => _spans.Add(new LatentSpan(_latentSpanCount++));

    /// <summary>Closes the open latent span.</summary>
    public LatentSpan CloseLatentSpan()
    {
        var span = OpenSpan ?? throw new InvalidOperationException("no latent span is open");
        span.Close();
        return span;
    }

    /// <summary>The latent span that is open; null when there is none.</summary>
    public LatentSpan? OpenSpan => _spans is [.., LatentSpan { IsClosed: false } span] ? span : null;

    /// <summary>Adds a code to the open latent span.</summary>
    public LatentSpan AddCode(int code)
    {
        var span = OpenSpan ?? throw new InvalidOperationException("no latent span is open");
        span.Add(code);
        return span;
    }

    /// <summary>Adds a text id to the text span, which begins with it.</summary>
    public void AddText(int id)
    {
        if (_spans is not [.., TextSpan span])
        {
            span = new TextSpan();
            _spans.Add(span);
        }

        span.Add(id);
    }
}
