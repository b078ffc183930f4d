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
    private const int MaxTopK = 1_000_000;
    private const double MaxTemperature = 2;

    // Far above the mean of any tokenizer: a prompt that cannot fit is refused before it costs any tokenising.
    private const int MaxCharactersPerPosition = 16;

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
        var sampling = ReadSampling();
        var stop = ReadStop();
        var maxTokens = (int?)_problems.WholeNumber(names.MaxTokens, input.MaxTokens, 1, options.MaxTokensLimit);
        var promptIds = ReadPrompt();
        var effectiveMaxTokens = promptIds is null ? 0 : FitMaxTokens(maxTokens, promptIds.Length);
        return Problems.Count == 0 ? new EffectiveRequest(requestId, promptIds!, effectiveMaxTokens, reasoning, sampling, stop) : null;
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

    private SamplingOptions ReadSampling()
    {
        var defaults = package.Manifest.Sampling;
        var temperature = _problems.Number(names.Temperature, input.Temperature, 0, lowIncluded: true, MaxTemperature) ?? defaults.Temperature;
        var topK = (int)(_problems.WholeNumber(names.TopK, input.TopK, 0, MaxTopK) ?? defaults.TopK);
        var topP = _problems.Number(names.TopP, input.TopP, 0, lowIncluded: false, 1) ?? defaults.TopP;
        var seed = _problems.WholeNumber(names.Seed, input.Seed, 0, SeedLimit);

        // Greedy sampling draws nothing: 0 keeps its echo the same every time.
        var effectiveSeed = seed is { } given ? (ulong)given : temperature == 0 ? 0 : seedSource();
        return new SamplingOptions(temperature, topK, topP, effectiveSeed);
    }

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

    private int[]? ReadPrompt()
    {
        if (input.Prompt is null && input.Chat is null)
        {
            _problems.Add(names.Prompt, $"is required: give {names.Prompt} or {names.Chat}");
            return null;
        }

        if (input.Prompt is not null && input.Chat is not null)
        {
            _problems.Add(names.Prompt, $"must not be given together with {names.Chat}");
            return null;
        }

        return input.Prompt is not null ? ReadText(input.Prompt) : ReadChat(input.Chat!);
    }

    private int[]? ReadText(string prompt)
    {
        if (prompt.Length == 0)
        {
            _problems.Add(names.Prompt, "must not be empty");
            return null;
        }

        return HasTokenisableLength(names.Prompt, prompt.Length) ? package.Tokenizer.Encode(prompt) : null;
    }

    private int[]? ReadChat(IReadOnlyList<ChatTurn> chat)
    {
        if (chat.Count == 0)
        {
            _problems.Add(names.Chat, "must have at least one message");
            return null;
        }

        var before = Problems.Count;
        long characters = 0;
        for (var i = 0; i < chat.Count; i++)
        {
            CheckMessage($"{names.Chat}[{i}]", chat[i]);
            characters += chat[i].Content?.Length ?? 0;
        }

        return Problems.Count == before && HasTokenisableLength(names.Chat, characters) ? package.EncodeChat(chat) : null;
    }

    private void CheckMessage(string field, ChatTurn message)
    {
        if (message.Role is not ("system" or "user" or "assistant"))
        {
            _problems.Add($"{field}.role", $"must be one of system, user, assistant; got {ProblemList.Show(message.Role ?? "")}");
        }

        if (string.IsNullOrEmpty(message.Content))
        {
            _problems.Add($"{field}.content", "must not be empty");
        }
    }

    private bool HasTokenisableLength(string field, long characters)
    {
        var limit = (long)PositionLimit * MaxCharactersPerPosition;
        if (characters <= limit)
        {
            return true;
        }

        _problems.Add(field, $"must have at most {limit} characters for the {PositionLimit} positions of this model; got {characters}");
        return false;
    }

    private int FitMaxTokens(int? maxTokens, int promptTokens)
    {
        // <think> follows the prompt, and at least one token must fit after it.
        var room = PositionLimit - promptTokens - 1;
        if (room < 1)
        {
            var field = input.Prompt is not null ? names.Prompt : names.Chat;
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
