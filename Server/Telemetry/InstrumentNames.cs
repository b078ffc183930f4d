namespace Tessera.Server.Telemetry;

/// <summary>Names of the instruments: those of GenAI's conventions where there is one, else our own.</summary>
internal static class InstrumentNames
{
    public const string RequestDuration = "gen_ai.server.request.duration";
    public const string TimeToFirstToken = "gen_ai.server.time_to_first_token";
    public const string TimePerOutputToken = "gen_ai.server.time_per_output_token";
    public const string TokenUsage = "gen_ai.client.token.usage";
    public const string QueueTime = "tessera.queue_time";
    public const string PrefillTime = "tessera.prefill_time";
    public const string DecodeTime = "tessera.decode_time";
    public const string HttpDuration = "http.server.request.duration";
    public const string GrpcDuration = "rpc.server.call.duration";
    public const string Requests = "tessera.requests";
    public const string Rejections = "tessera.rejections";
    public const string Stalls = "tessera.stalls";
    public const string Tokens = "tessera.tokens";
    public const string TextEquivalentTokens = "tessera.latent_text_equivalent_tokens";
    public const string LatentSpans = "tessera.latent_spans";
    public const string BudgetHits = "tessera.budget_hits";
    public const string SavedTokens = "tessera.saved_tokens";
    public const string SavedKvBytes = "tessera.saved_kv_bytes";
    public const string SavedSeconds = "tessera.saved_seconds";
    public const string RunningRequests = "tessera.requests_running";
    public const string WaitingRequests = "tessera.requests_waiting";
    public const string WaitingTokens = "tessera.waiting_tokens";
    public const string Preemptions = "tessera.preemptions";
    public const string PrefixCacheQueries = "tessera.prefix_cache_queried_tokens";
    public const string PrefixCacheHits = "tessera.prefix_cache_hit_tokens";
    public const string KvBytesResident = "tessera.kv_cache_bytes_resident";
    public const string KvPositionsInUse = "tessera.kv_cache_positions_in_use";
    public const string KvPositionsCapacity = "tessera.kv_cache_positions_capacity";
    public const string KvBytesInUse = "tessera.kv_cache_bytes_in_use";
    public const string KvBytesPeak = "tessera.kv_cache_bytes_peak";
    public const string GpuMemory = "tessera.gpu_memory";
    public const string KvUsage = "tessera.kv_cache_usage";
    public const string CacheConfiguration = "tessera.cache_config";
    public const string Steps = "tessera.steps";
    public const string SinceProgress = "tessera.since_last_progress";
    public const string Ready = "tessera.ready";
    public const string BuildInformation = "tessera.build";
    public const string ResidentMemory = "process.memory.usage";
    public const string CpuTime = "process.cpu.time";
    public const string StartTime = "process.start_time";
    public const string OpenFiles = "process.open_file_descriptors";
}

/// <summary>Upper bounds of histogram buckets.</summary>
internal static class MetricBuckets
{
    /// <summary>Whole requests, as GenAI's conventions have them.</summary>
    public static readonly IReadOnlyList<double> RequestSeconds = [.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

    /// <summary>First tokens, as GenAI's conventions have them.</summary>
    public static readonly IReadOnlyList<double> FirstTokenSeconds = [.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10];

    /// <summary>Mean time of a token: GenAI's bounds, and finer ones below for small models.</summary>
    public static readonly IReadOnlyList<double> OutputTokenSeconds = [.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5];

    /// <summary>Tokens of one request: powers of two, for a request cannot be longer than the model's positions.</summary>
    public static readonly IReadOnlyList<double> Tokens = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];
}
