using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Server.Api.Operations;

/// <summary>Codes to text and back through the package's codebook, for both fronts. Work beside the step loop is bounded: more callers are refused.</summary>
internal sealed class LatentOperations(InferenceEngine engine) : IDisposable
{
    // One run takes a few milliseconds and one core; the step loop needs the others.
    private const int MaxRunning = 1;

    // At a few milliseconds each, the last of them waits well under a second.
    private const int MaxWaiting = 64;

    private readonly ModelPackage _package = engine.Package;
    private readonly PromptSource _prompts = new(engine.Package);
    private readonly SemaphoreSlim _running = new(MaxRunning);
    private int _callers;

    /// <summary>Why the routes of this class cannot answer; null when they can.</summary>
    public ApiFailure? Refusal => engine.Codebook is null
        ? new(ErrorKind.NotFound, $"model '{_package.Manifest.Name}' has no codebook: its package has no codebook-decoder.onnx")
        : null;

    /// <summary>Most codes of one call; 0 without a codebook.</summary>
    public int MaxCodes => _package.Manifest.Codebook?.MaxCodes ?? 0;

    /// <summary>What codes stand for.</summary>
    /// <param name="codes">Codes of one span, as they were given.</param>
    /// <param name="name">The caller's name of the codes.</param>
    /// <param name="prompt">The prompt that the codes answer.</param>
    /// <param name="names">The caller's names of the prompt.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<(IReadOnlyList<LatentHint>? Hints, ApiFailure? Error)> DecodeAsync(
        IReadOnlyList<double> codes, string name, PromptInput prompt, PromptNames names, List<FieldProblem> problems, CancellationToken cancellationToken)
    {
        int[]? read = null;
        if (HasRightCount(codes.Count, name, "codes", problems))
        {
            read = PromptSource.ReadIds(codes, name, _package.Vocabulary.LatentCount, problems);
        }
        var promptIds = _prompts.Encode(prompt, names, problems);
        return problems.Count > 0
            ? (null, ApiFailure.FromProblems(problems))
            : await RunAsync(codebook => codebook.Decode(read!, promptIds!), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Codes that stand for the steps of a trace.</summary>
    /// <param name="steps">Text of each step.</param>
    /// <param name="name">The caller's name of the steps.</param>
    /// <param name="prompt">The prompt that the trace answers.</param>
    /// <param name="names">The caller's names of the prompt.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<(IReadOnlyList<int>? Codes, ApiFailure? Error)> EncodeAsync(
        IReadOnlyList<string> steps, string name, PromptInput prompt, PromptNames names, List<FieldProblem> problems, CancellationToken cancellationToken)
    {
        var stepIds = HasRightCount(steps.Count, name, "steps", problems) ? EncodeSteps(steps, name, problems) : [];
        var promptIds = _prompts.Encode(prompt, names, problems);
        return problems.Count > 0
            ? (null, ApiFailure.FromProblems(problems))
            : await RunAsync(codebook => codebook.Encode(stepIds, promptIds!), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Dispose() => _running.Dispose();

    private bool HasRightCount(int count, string name, string what, List<FieldProblem> problems)
    {
        if (count >= 1 && count <= MaxCodes)
        {
            return true;
        }
        problems.Add(new(name, $"must have 1 to {MaxCodes} {what}; got {count}"));
        return false;
    }

    private List<int[]> EncodeSteps(IReadOnlyList<string> steps, string name, List<FieldProblem> problems)
    {
        var limit = _package.Manifest.Codebook!.ChunkTokens;
        var ids = new List<int[]>(steps.Count);
        for (var i = 0; i < steps.Count; i++)
        {
            if (!_prompts.HasBoundedLength($"{name}[{i}]", steps[i].Length, problems))
            {
                break;
            }
            ids.Add(_package.Tokenizer.Encode(AsWritten(steps[i])));
            if (ids[i].Length > limit || ids[i].Length == 0)
            {
                problems.Add(new($"{name}[{i}]", $"must have 1 to {limit} tokens, what one latent stands for; got {ids[i].Length}"));
            }
        }
        return ids;
    }

    // A model that writes a space before each step was trained on codes of steps with that space; some tokenizers put it there themselves.
    private string AsWritten(string step) =>
        _package.Manifest.Chat.StripLeadingSpace && !_package.Tokenizer.AddsLeadingSpace && step.Length > 0 && !char.IsWhiteSpace(step[0]) ? " " + step : step;

    private async Task<(IReadOnlyList<T>? Result, ApiFailure? Error)> RunAsync<T>(
        Func<ICodebook, IReadOnlyList<T>> work, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _callers) > MaxRunning + MaxWaiting)
        {
            Interlocked.Decrement(ref _callers);
            return (null, new(ErrorKind.QueueFull, "too many requests for the codebook; try again later", RetryAfter: TimeSpan.FromSeconds(1)));
        }
        try
        {
            await _running.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                return (await Task.Run(() => work(engine.Codebook!), cancellationToken).ConfigureAwait(false), null);
            }
            finally
            {
                _running.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _callers);
        }
    }
}
