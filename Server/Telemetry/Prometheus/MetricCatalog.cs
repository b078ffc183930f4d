using Tessera.Engine.Telemetry;
using Label = System.Collections.Generic.KeyValuePair<string, string>;
using Labels = System.Collections.Generic.IReadOnlyList<System.Collections.Generic.KeyValuePair<string, string>>;

namespace Tessera.Server.Telemetry.Prometheus;

/// <summary>Every name on <c>/metrics</c>. Schedulers and dashboards rest on these: none is ever renamed.</summary>
internal static class MetricCatalog
{
    private static readonly string[] TokenKinds = ["latent", "control", "reasoning_text", "answer", "prompt", "cached"];
    private static readonly string[] GeneratedKinds = TokenKinds[..4];

    /// <summary>All families in the order in which they are shown.</summary>
    /// <param name="model">Name of the served model, a label of the names that follow vLLM.</param>
    public static IReadOnlyList<MetricFamily> For(string model) => [.. Requests, .. Latents, .. KvCache, .. Process, .. Aliases(new("model_name", model))];

    private static IReadOnlyList<MetricFamily> Requests =>
    [
        new("tessera_requests_running", InstrumentNames.RunningRequests, "Requests with a slot."),
        new("tessera_requests_waiting", InstrumentNames.WaitingRequests, "Requests that wait for a slot."),
        new("tessera_waiting_tokens", InstrumentNames.WaitingTokens, "Prompt tokens of waiting requests."),
        new("tessera_requests_total", InstrumentNames.Requests, "Generations that have ended, by how, by operation and by protocol."),
        new("tessera_rejections_total", InstrumentNames.Rejections, "Requests that were answered with an error before anything was generated, by reason."),
        new("tessera_request_seconds", InstrumentNames.RequestDuration, "Seconds from submission to the last token."),
        new("tessera_time_to_first_token_seconds", InstrumentNames.TimeToFirstToken, "Seconds from submission to the first token of any kind."),
        new("tessera_time_per_output_token_seconds", InstrumentNames.TimePerOutputToken, "Mean seconds per token of a response after its first."),
        new("tessera_inter_token_seconds", EngineMeter.InterTokenTimeName, "Seconds between two tokens of a response, latents and control tokens included.")
        {
            StartingLabels = [[]],
        },
        new("tessera_queue_seconds", InstrumentNames.QueueTime, "Seconds until a request got a slot.") { StartingLabels = [[]] },
        new("tessera_prefill_seconds", InstrumentNames.PrefillTime, "Seconds from the slot to the first token.") { StartingLabels = [[]] },
        new("tessera_decode_seconds", InstrumentNames.DecodeTime, "Seconds from the first token to the end.") { StartingLabels = [[]] },
        new("tessera_steps_total", InstrumentNames.Steps, "Steps of the model."),
        new("tessera_step_seconds", EngineMeter.StepTimeName, "Seconds of one step of the model, all sequences together.") { StartingLabels = [[]] },
        new("tessera_since_last_progress_seconds", InstrumentNames.SinceProgress, "Seconds since the step loop last finished a step or was idle."),
        new("tessera_stalls_total", InstrumentNames.Stalls, "Times that the step loop made no progress for Server:StallSeconds.") { StartingLabels = [[]] },
        new("tessera_preemptions_total", InstrumentNames.Preemptions, "Sequences that lost their positions to an older one and were computed again."),
        new("tessera_ready", InstrumentNames.Ready, "1 while requests are taken, else 0."),
        new("tessera_http_request_seconds", InstrumentNames.HttpDuration, "Seconds of REST requests, by method, route and status."),
        new("tessera_grpc_call_seconds", InstrumentNames.GrpcDuration, "Seconds of gRPC calls, by method and status."),
        new("tessera_build_info", InstrumentNames.BuildInformation, "Always 1; the labels tell server and model."),
    ];

    private static IReadOnlyList<MetricFamily> Latents =>
    [
        new("tessera_tokens_total", InstrumentNames.Tokens, "Tokens by kind; cached ones are a part of the prompt's.")
        {
            StartingLabels = [.. TokenKinds.Select(kind => new[] { new Label(MetricTags.Kind, kind) })],
        },
        new("tessera_request_tokens", InstrumentNames.TokenUsage, "Tokens of a request: input is the prompt, output everything generated."),
        new("tessera_latent_spans_total", InstrumentNames.LatentSpans, "Latent spans that were generated.") { StartingLabels = [[]] },
        new("tessera_latent_text_equivalent_tokens_total", InstrumentNames.TextEquivalentTokens, "Text tokens that the generated latents stand for.")
        {
            StartingLabels = [[]],
        },
        new("tessera_saved_tokens", InstrumentNames.SavedTokens, "Tokens saved against plain chain of thought since the start; a response may save less than none.")
        {
            StartingLabels = [[new(MetricTags.Basis, "estimated")]],
        },
        new("tessera_saved_kv_bytes", InstrumentNames.SavedKvBytes, "KV cache bytes saved against plain chain of thought since the start.")
        {
            StartingLabels = [[new(MetricTags.Basis, "estimated")]],
        },
        new("tessera_saved_seconds", InstrumentNames.SavedSeconds, "Seconds saved against plain chain of thought since the start.")
        {
            StartingLabels = [[new(MetricTags.Basis, "estimated")]],
        },
        new("tessera_budget_hits_total", InstrumentNames.BudgetHits, "Responses that used a budget up: latents, reasoning tokens, or all tokens.")
        {
            StartingLabels = [[new(MetricTags.Budget, "latent")], [new(MetricTags.Budget, "thinking")], [new(MetricTags.Budget, "max_tokens")]],
        },
    ];

    private static IReadOnlyList<MetricFamily> KvCache =>
    [
        new("tessera_kv_cache_positions_in_use", InstrumentNames.KvPositionsInUse, "KV cache positions in use."),
        new("tessera_kv_cache_positions_capacity", InstrumentNames.KvPositionsCapacity, "KV cache positions that may be in use."),
        new("tessera_kv_cache_bytes_in_use", InstrumentNames.KvBytesInUse, "Bytes of the KV cache positions in use."),
        new("tessera_kv_cache_bytes_resident", InstrumentNames.KvBytesResident, "Bytes of positions in use and of prefixes that are kept for sharing."),
        new("tessera_prefix_cache_queried_tokens_total", InstrumentNames.PrefixCacheQueries, "Prompt tokens for which a cached prefix was looked for."),
        new("tessera_prefix_cache_hit_tokens_total", InstrumentNames.PrefixCacheHits, "Prompt tokens that were copied instead of computed."),
        new("tessera_kv_cache_bytes_peak", InstrumentNames.KvBytesPeak, "Most KV cache bytes in use since the start."),
        new("tessera_gpu_memory_bytes", InstrumentNames.GpuMemory, "Device memory that the engine holds; only with a GPU."),
    ];

    private static IReadOnlyList<MetricFamily> Process =>
    [
        new("process_resident_memory_bytes", InstrumentNames.ResidentMemory, "Resident memory of the process."),
        new("process_cpu_seconds_total", InstrumentNames.CpuTime, "CPU seconds of the process."),
        new("process_start_time_seconds", InstrumentNames.StartTime, "When the process started, in seconds since 1970."),
        new("process_open_fds", InstrumentNames.OpenFiles, "Open files and sockets of the process."),
    ];

    // What schedulers and dashboards that know vLLM read: one series each, with the model as its label.
    private static IReadOnlyList<MetricFamily> Aliases(Label model)
    {
        return
        [
            Alias("vllm:num_requests_running", InstrumentNames.RunningRequests, "Same as tessera_requests_running."),
            Alias("vllm:num_requests_waiting", InstrumentNames.WaitingRequests, "Same as tessera_requests_waiting."),
            Alias("vllm:kv_cache_usage_perc", InstrumentNames.KvUsage, "KV cache positions in use over those there are; 1 is full."),
            Alias("vllm:time_to_first_token_seconds", InstrumentNames.TimeToFirstToken, "Same as tessera_time_to_first_token_seconds."),
            Alias("vllm:inter_token_latency_seconds", EngineMeter.InterTokenTimeName, "Same as tessera_inter_token_seconds."),
            Alias("vllm:e2e_request_latency_seconds", InstrumentNames.RequestDuration, "Same as tessera_request_seconds."),
            Alias("vllm:request_queue_time_seconds", InstrumentNames.QueueTime, "Same as tessera_queue_seconds."),
            Alias("vllm:request_prefill_time_seconds", InstrumentNames.PrefillTime, "Same as tessera_prefill_seconds."),
            Alias("vllm:request_decode_time_seconds", InstrumentNames.DecodeTime, "Same as tessera_decode_seconds."),
            Alias("vllm:num_preemptions_total", InstrumentNames.Preemptions, "Same as tessera_preemptions_total."),
            Alias("vllm:prefix_cache_queries_total", InstrumentNames.PrefixCacheQueries, "Same as tessera_prefix_cache_queried_tokens_total."),
            Alias("vllm:prefix_cache_hits_total", InstrumentNames.PrefixCacheHits, "Same as tessera_prefix_cache_hit_tokens_total."),
            Alias("vllm:prompt_tokens_total", InstrumentNames.Tokens, "Prompt tokens.", tags => KindOf(tags) == "prompt"),
            Alias("vllm:generation_tokens_total", InstrumentNames.Tokens, "Generated tokens of every kind.", tags => GeneratedKinds.Contains(KindOf(tags))),
            new("vllm:request_success_total", InstrumentNames.Requests, "Generations that ended with stop or length.")
            {
                LabelsOf = tags => OutcomeOf(tags) is "stop" or "length" ? Success(OutcomeOf(tags)) : null,
                StartingLabels = [Success("length"), Success("stop")],
            },
            new("vllm:cache_config_info", InstrumentNames.CacheConfiguration, "Always 1; the labels tell the KV cache, whose blocks are single positions.")
            {
                LabelsOf = tags => [model, .. tags],
            },
        ];

        MetricFamily Alias(string name, string instrument, string help, Func<Labels, bool>? isShown = null) => new(name, instrument, help)
        {
            LabelsOf = tags => isShown is null || isShown(tags) ? [model] : null,
            StartingLabels = [[model]],
        };

        Labels Success(string reason) => [model, new("finished_reason", reason)];
    }

    private static string OutcomeOf(Labels tags) => tags.First(tag => tag.Key == MetricTags.Outcome).Value;

    private static string KindOf(Labels tags) => tags.First(tag => tag.Key == MetricTags.Kind).Value;
}
