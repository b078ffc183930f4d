using System.Globalization;

namespace Tessera.Engine;

/// <summary>Limits and sizes of the engine; each default has its reason beside it.</summary>
public sealed record EngineOptions
{
    /// <summary>Sequences that run at once. 16: a step of the shipped model on two cores still takes a few milliseconds.</summary>
    public int MaxSlots { get; init; } = 16;

    /// <summary>Requests that may wait for a slot; more are refused. 256: a few seconds of work for the shipped model.</summary>
    public int MaxQueuedRequests { get; init; } = 256;

    /// <summary>Prompt tokens that may wait; more are refused. 262,144: bounds the memory of waiting prompts to a few MB.</summary>
    public int MaxQueuedTokens { get; init; } = 262_144;

    /// <summary>Positions in the KV cache over all slots; 0 = slots x the model's positions.</summary>
    public int MaxKvPositions { get; init; }

    /// <summary>Prompt positions of one step, padding included. 256: bounds the pause that prompts cause to the sequences that decode.</summary>
    public int PrefillChunk { get; init; } = 256;

    /// <summary>
    /// Part of the time that chunks of prompts above <see cref="PrefillChunk"/> may take while sequences decode, above 0; 1 = all of it. 0.33: the first token of a
    /// long prompt comes after three times the time at most, and more than 95 % of another sequence's tokens come as if there were no prompt, those right after a
    /// chunk, which find the caches full of it, included.
    /// </summary>
    public double PrefillShare { get; init; } = 0.33;

    /// <summary>Prompts of finished requests whose keys and values are kept for requests that begin alike; 0 = no prefix is shared. 16: as many as slots.</summary>
    public int PrefixCacheEntries { get; init; } = 16;

    /// <summary>Most memory of kept prompts, in MiB. 32: small beside the weights; about 6,000 positions of the shipped model.</summary>
    public int PrefixCacheMiB { get; init; } = 32;

    /// <summary>
    /// Most memory of positions that nobody uses any more that stays for the next sequences, in MiB; 0 = all goes back to the system at once. 32: what a busy
    /// server of the shipped model has in use, so that its sequences find their pages; small beside a server's weights.
    /// </summary>
    public int SpareKvMiB { get; init; } = 32;

    /// <summary>Most tokens a request may ask for.</summary>
    public int MaxTokensLimit { get; init; } = 2048;

    /// <summary>Tokens generated when a request does not say, where limits and room allow. 512: the shipped model's traces that end at all end within 160.</summary>
    public int DefaultMaxTokens { get; init; } = 512;

    /// <summary>Most responses to one prompt. 8: half of the default slots, so that one request cannot take them all.</summary>
    public int MaxChoices { get; init; } = 8;

    /// <summary>Most alternatives per token with log probabilities. 20: what OpenAI allows.</summary>
    public int MaxTopLogprobs { get; init; } = 20;

    /// <summary>Most entries of a logit bias. 300: what OpenAI allows.</summary>
    public int MaxLogitBiasEntries { get; init; } = 300;

    /// <summary>Most stop ids. 16: above what any chat format needs.</summary>
    public int MaxStopTokenIds { get; init; } = 16;

    /// <summary>Threads of the runtime; 0 = the machine's cores.</summary>
    public int Threads { get; init; }

    /// <summary>
    /// How long a thread of the runtime that waits for the next part of a step spins before it sleeps; 0 = not at all. 50: longer than the gaps inside a step of a
    /// small model, and short enough to lose little where another process wants the core. Nobody spins between steps.
    /// </summary>
    public int SpinMicroseconds { get; init; } = 50;

    /// <summary>Where the model runs; its package must be written for it. The processor: what every machine has.</summary>
    public EngineDevice Device { get; init; } = EngineDevice.Cpu;

    /// <summary>Which GPU, as CUDA numbers them. 0: the only one, on most machines.</summary>
    public int DeviceId { get; init; }

    /// <summary>Most device memory that the model may take, in MiB; 0 = what the GPU has. 0: a GPU mostly serves one model.</summary>
    public int DeviceMemoryMiB { get; init; }

    /// <summary>Whether decode steps on a GPU are captured once and replayed. True: small kernels cost more to start than to run.</summary>
    public bool CudaGraphs { get; init; } = true;

    /// <summary>
    /// How long the last event of a response waits for hints. 10 s: far above what a healthy codebook needs for all spans that can wait.
    /// </summary>
    internal TimeSpan HintPatience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Checks the engine's bookkeeping after every step, not only when idle; always so in debug builds.</summary>
#if DEBUG
    internal bool ChecksEveryStep { get; init; } = true;
#else
    internal bool ChecksEveryStep { get; init; }
#endif

    /// <summary>
    /// How long a stopping engine waits for the step in progress before it ends the requests without it. 10 s: a step of a healthy runtime ends long before.
    /// </summary>
    internal TimeSpan StopPatience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>These options with those of another's limits that can change while an engine runs: of the queue and of requests.</summary>
    internal EngineOptions WithLimitsOf(EngineOptions other) => this with
    {
        MaxQueuedRequests = other.MaxQueuedRequests,
        MaxQueuedTokens = other.MaxQueuedTokens,
        MaxTokensLimit = other.MaxTokensLimit,
        DefaultMaxTokens = other.DefaultMaxTokens,
        MaxChoices = other.MaxChoices,
        MaxTopLogprobs = other.MaxTopLogprobs,
        MaxLogitBiasEntries = other.MaxLogitBiasEntries,
        MaxStopTokenIds = other.MaxStopTokenIds,
    };

    /// <summary>Everything wrong with the options: each entry names the option, what is allowed and what was given.</summary>
    public IReadOnlyList<string> FindProblems()
    {
        var problems = new List<string>();
        Check(nameof(MaxSlots), MaxSlots, 1, 1024);
        Check(nameof(MaxQueuedRequests), MaxQueuedRequests, 1, 1_000_000);
        Check(nameof(MaxQueuedTokens), MaxQueuedTokens, 1, int.MaxValue);
        Check(nameof(MaxKvPositions), MaxKvPositions, 0, int.MaxValue);
        Check(nameof(PrefillChunk), PrefillChunk, 1, 1_000_000);
        if (!(PrefillShare is >= 0.01 and <= 1))
        {
            problems.Add(string.Create(CultureInfo.InvariantCulture, $"{nameof(PrefillShare)} must be from 0.01 to 1; got {PrefillShare}"));
        }

        Check(nameof(PrefixCacheEntries), PrefixCacheEntries, 0, 1024);
        Check(nameof(PrefixCacheMiB), PrefixCacheMiB, 0, 1_000_000);
        Check(nameof(SpareKvMiB), SpareKvMiB, 0, 1_000_000);
        Check(nameof(MaxTokensLimit), MaxTokensLimit, 1, 1_000_000);
        Check(nameof(DefaultMaxTokens), DefaultMaxTokens, 1, 1_000_000);
        Check(nameof(MaxChoices), MaxChoices, 1, 1024);
        Check(nameof(MaxTopLogprobs), MaxTopLogprobs, 0, 1000);
        Check(nameof(MaxLogitBiasEntries), MaxLogitBiasEntries, 0, 100_000);
        Check(nameof(MaxStopTokenIds), MaxStopTokenIds, 0, 1000);
        Check(nameof(Threads), Threads, 0, 1024);
        Check(nameof(DeviceId), DeviceId, 0, 255);
        Check(nameof(DeviceMemoryMiB), DeviceMemoryMiB, 0, 10_000_000);
        Check(nameof(SpinMicroseconds), SpinMicroseconds, 0, 1_000_000);
        return problems;

        void Check(string name, int value, int low, int high)
        {
            if (value < low || value > high)
            {
                problems.Add($"{name} must be from {low} to {high}; got {value}");
            }
        }
    }
}

/// <summary>Where a model runs.</summary>
public enum EngineDevice
{
    /// <summary>The processor.</summary>
    Cpu,

    /// <summary>An NVIDIA GPU.</summary>
    Cuda,
}
