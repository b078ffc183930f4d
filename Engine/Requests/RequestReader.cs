using Tessera.Models;

namespace Tessera.Engine.Requests;

/// <summary>Turns what a client sent into effective values, or into the list of all problems. One use per request.</summary>
internal sealed class RequestReader(GenerationInput input, ModelPackage package, EngineOptions options, GenerationFieldNames names, Func<ulong> seedSource)
{
    /// <summary>Seeds are below 2^53, so that they survive a JSON number.</summary>
    public const long SeedLimit = 1L << 53;

    private const int MaxStopCount = 4;
    private const int MaxStopCharacters = 64;
    private const int MaxRequestIdCharacters = 128;
    private const int MaxCacheSaltCharacters = 256;
    private static readonly TimeSpan MaxTimeout = TimeSpan.FromDays(1);

    // <boLatent>, one latent and <eoLatent>: the shortest latent span.
    private const int ShortestLatentSpan = 3;

    private static readonly (string Name, ReasoningMode Mode)[] Modes =
        [("auto", ReasoningMode.Auto), ("latent", ReasoningMode.Latent), ("text", ReasoningMode.Text), ("none", ReasoningMode.None)];

    private readonly ProblemList _problems = new();

    /// <summary>What was found; empty for a valid request.</summary>
    public IReadOnlyList<FieldProblem> Problems => _problems.Problems;

    // Positions that one request can have: the model's, or the whole KV cache where that is smaller.
    private int PositionLimit => options.MaxKvPositions > 0
        ? Math.Min(options.MaxKvPositions, package.Manifest.Architecture.MaxPositions)
        : package.Manifest.Architecture.MaxPositions;

    /// <summary>The effective values; null when there are problems.</summary>
    public EffectiveRequest? Read()
    {
        var requestId = ReadRequestId();
        var reasoning = ReadReasoning();
        var sampling = new SamplingReader(input, package, options, names, _problems).Read(seedSource);
        var stop = ReadStop();
        var maxTokens = (int?)_problems.WholeNumber(names.MaxTokens, input.MaxTokens, 1, options.MaxTokensLimit);
        var promptIds = new PromptReader(input, package, names, _problems).Read(PositionLimit);
        var effectiveMaxTokens = promptIds is null ? 0 : FitMaxTokens(maxTokens, promptIds.Length);
        var extent = ReadExtent(effectiveMaxTokens, promptIds?.Length ?? 0);
        return Problems.Count == 0 ? new EffectiveRequest(requestId, promptIds!, effectiveMaxTokens, reasoning, sampling, stop, extent) : null;
    }

    // Positions over all slots.
    private long PositionCapacity =>
        options.MaxKvPositions > 0 ? options.MaxKvPositions : (long)options.MaxSlots * package.Manifest.Architecture.MaxPositions;

    private RequestExtent ReadExtent(int maxTokens, int promptTokens)
    {
        var stopIds = ReadStopTokenIds();
        var minTokens = (int)(_problems.WholeNumber(names.MinTokens, input.MinTokens, 0, options.MaxTokensLimit) ?? 0);
        if (maxTokens > 0 && minTokens > maxTokens)
        {
            _problems.Add(names.MinTokens, $"must be at most {names.MaxTokens}, which is {maxTokens}; got {minTokens}");
        }

        var logprobs = (int?)_problems.WholeNumber(names.Logprobs, input.Logprobs, 0, options.MaxTopLogprobs);
        var n = (int)(_problems.WholeNumber(names.N, input.N, 1, Math.Min(options.MaxChoices, options.MaxSlots)) ?? 1);
        var worstCase = (long)n * (promptTokens + 1 + maxTokens);
        if (n > 1 && maxTokens > 0 && worstCase > PositionCapacity)
        {
            _problems.Add(names.N, $"{n} responses may take {worstCase} positions, the KV cache has {PositionCapacity}");
        }

        return new RequestExtent(stopIds, minTokens, logprobs, n, ReadTimeout(), ReadCacheSalt());
    }

    private IReadOnlyList<int> ReadStopTokenIds()
    {
        var ids = input.StopTokenIds ?? [];
        if (ids.Count > options.MaxStopTokenIds)
        {
            _problems.Add(names.StopTokenIds, $"must have at most {options.MaxStopTokenIds} entries; got {ids.Count}");
            return [];
        }

        for (var i = 0; i < ids.Count; i++)
        {
            if (ids[i] < 0 || ids[i] >= package.Vocabulary.Size)
            {
                _problems.Add($"{names.StopTokenIds}[{i}]", $"must be an id of the vocabulary, 0 to {package.Vocabulary.Size - 1}; got {ids[i]}");
            }
        }

        return [.. ids];
    }

    private TimeSpan? ReadTimeout()
    {
        if (input.Timeout is { } timeout && (timeout <= TimeSpan.Zero || timeout > MaxTimeout))
        {
            _problems.Add(names.Timeout, $"must be above 0 and at most {MaxTimeout.TotalSeconds} seconds; got {ProblemList.Show(timeout.TotalSeconds)}");
        }

        return input.Timeout;
    }

    private string? ReadCacheSalt()
    {
        if (input.CacheSalt?.Length > MaxCacheSaltCharacters)
        {
            _problems.Add(names.CacheSalt, $"must have at most {MaxCacheSaltCharacters} characters; got {input.CacheSalt.Length}");
        }

        return input.CacheSalt;
    }

    private string ReadRequestId()
    {
        if (string.IsNullOrEmpty(input.RequestId))
        {
            return "req-" + Guid.NewGuid().ToString("N");
        }

        // The id goes into headers and logs.
        if (input.RequestId.Length > MaxRequestIdCharacters || !input.RequestId.All(c => c is > ' ' and <= '~'))
        {
            _problems.Add(names.RequestId, $"must be at most {MaxRequestIdCharacters} visible ASCII characters; got {input.RequestId.Length} characters");
        }

        return input.RequestId;
    }

    private ReasoningOptions ReadReasoning()
    {
        var mode = ReadMode();
        var latentBudget = (int?)_problems.WholeNumber(names.LatentBudget, input.LatentBudget, 0, options.MaxTokensLimit);
        var thinkingBudget = (int?)_problems.WholeNumber(names.ThinkingBudget, input.ThinkingBudget, 0, options.MaxTokensLimit);
        if (mode is { } known)
        {
            CheckBudgets(known, latentBudget, thinkingBudget);
        }

        var explain = (input.Explain ?? true) && package.Manifest.Codebook is not null;
        return new ReasoningOptions(mode ?? ReasoningMode.Auto, latentBudget, thinkingBudget, explain);
    }

    private ReasoningMode? ReadMode()
    {
        if (input.Mode is null)
        {
            return ReasoningMode.Auto;
        }

        foreach (var (name, mode) in Modes)
        {
            if (name == input.Mode)
            {
                return mode;
            }
        }

        _problems.Add(names.Mode, $"must be one of auto, latent, text, none; got {ProblemList.Show(input.Mode)}");
        return null;
    }

    private void CheckBudgets(ReasoningMode mode, int? latentBudget, int? thinkingBudget)
    {
        if (latentBudget > 0 && mode is ReasoningMode.None or ReasoningMode.Text)
        {
            _problems.Add(names.LatentBudget, $"must be 0 or absent when {names.Mode} is {Name(mode)}, which writes no latents; got {latentBudget}");
        }

        if (thinkingBudget > 0 && mode == ReasoningMode.None)
        {
            _problems.Add(names.ThinkingBudget, $"must be 0 or absent when {names.Mode} is none, which does no reasoning; got {thinkingBudget}");
        }

        var leastReasoning = LeastReasoningTokens(mode, latentBudget);
        if (thinkingBudget < leastReasoning)
        {
            _problems.Add(
                names.ThinkingBudget, $"must be at least {leastReasoning} when {names.Mode} is {Name(mode)}, which forces some reasoning; got {thinkingBudget}");
        }
    }

    // Reasoning tokens before </think> that a mode forces.
    private static int LeastReasoningTokens(ReasoningMode mode, int? latentBudget) => mode switch
    {
        ReasoningMode.Latent when latentBudget != 0 => ShortestLatentSpan,
        ReasoningMode.Latent or ReasoningMode.Text => 1,
        _ => 0,
    };

    private static string Name(ReasoningMode mode) => Modes.First(entry => entry.Mode == mode).Name;

    private IReadOnlyList<string> ReadStop()
    {
        var stop = input.Stop ?? [];
        if (stop.Count > MaxStopCount)
        {
            _problems.Add(names.Stop, $"must have at most {MaxStopCount} entries; got {stop.Count}");
            return [];
        }

        for (var i = 0; i < stop.Count; i++)
        {
            if (stop[i] is not { Length: >= 1 and <= MaxStopCharacters })
            {
                _problems.Add($"{names.Stop}[{i}]", $"must have 1 to {MaxStopCharacters} characters; got {stop[i]?.Length ?? 0}");
            }
        }

        return [.. stop];
    }

    private int FitMaxTokens(int? maxTokens, int promptTokens)
    {
        // <think> follows the prompt, and at least one token must fit after it.
        var room = PositionLimit - promptTokens - 1;
        if (room < 1)
        {
            var field = input.Prompt is not null ? names.Prompt : input.Chat is not null ? names.Chat : names.PromptIds;
            _problems.Add(
                field,
                $"must have at most {PositionLimit - 2} tokens, so that <think> and one token fit into {PositionLimit} positions; got {promptTokens} tokens");
            return 0;
        }

        if (maxTokens > room)
        {
            _problems.Add(
                names.MaxTokens, $"must be at most {room}, the room that a prompt of {promptTokens} tokens leaves in {PositionLimit} positions; got {maxTokens}");
        }

        return maxTokens ?? Math.Min(Math.Min(options.DefaultMaxTokens, options.MaxTokensLimit), room);
    }
}
