using static Tessera.Server.Api.Rest.Describing.BodyField;

namespace Tessera.Server.Api.Rest.Describing;

/// <summary>The fields of every JSON body that the server reads. A test sends each of them with a wrong type and expects to see it named.</summary>
internal static class BodyFields
{
    private static readonly BodyField Model = Text("model", "Name of the served model; when it is left out, the served one.");

    private static readonly BodyField[] Reasoning =
    [
        Text("mode", "auto: the model chooses. latent: a latent span is forced. text: plain chain of thought. none: the answer alone.", "auto", "latent", "text", "none"),
        Whole("latent_budget", "After so many latents the model goes on in text; 0 = no latents.", 0),
        Whole("thinking_budget", "After so many reasoning tokens the reasoning is ended.", 0),
        Flag("explain", "Whether latents get hints; true when left out."),
    ];

    private static readonly BodyField Effort =
        Text("reasoning_effort", "none, low (latent), medium (auto) or high (text): OpenAI's name for reasoning.mode.", "none", "low", "medium", "high");

    private static readonly BodyField[] Sampling =
    [
        Number("temperature", "0 = greedy.", 0, 2),
        Number("top_p", "Above 0.", 0, 1),
        Whole("top_k", "0 = off.", 0),
        Number("min_p", "Least probability of a candidate as a part of the best one's; 0 = off.", 0, 1),
        Number("repetition_penalty", "Above 0; 1 = off.", 0, 10),
        Number("frequency_penalty", "0 = off.", -2, 2),
        Number("presence_penalty", "0 = off.", -2, 2),
        new("logit_bias", new() { ["type"] = "object", ["additionalProperties"] = Type("number") }, "By token id, -100 to 100."),
        Whole("seed", "Same seed, same tokens, in any batch; choice c of n uses the seed plus c.", 0, 9007199254740992),
        Either("stop", "Up to four texts that end the answer; never matched inside reasoning.", Type("string"), ArrayOf(Type("string"))),
        List("stop_token_ids", Type("integer"), "Ids that end the answer."),
        Whole("min_tokens", "Generated tokens, reasoning included, before which nothing ends the answer.", 0),
        Text("cache_salt", "Only requests with the same salt share cached prompt prefixes."),
    ];

    private static readonly BodyField Stream = Flag("stream", "Whether the answer comes as server-sent events.");

    private static readonly BodyField StreamOptions = Object(
        "stream_options", "Only together with stream.",
        Flag("include_usage", "A last chunk carries the usage."), Flag("continuous_usage_stats", "Every chunk carries the usage so far."));

    private static readonly BodyField ReturnTokenIds = Flag("return_token_ids", "Ids of prompt and response are given out, latents and delimiters included.");

    private static readonly BodyField Choices = Whole("n", "Responses to the same prompt.", 1);

    private static readonly BodyField Messages = new(
        "messages",
        ArrayOf(ObjectOf(
        [
            Text("role", "Who speaks; developer is another name of system.", "system", "developer", "user", "assistant") with { IsRequired = true },
            Either("content", "Text, or text parts.", Type("string"), ArrayOf(ObjectOf([Text("type", "text", "text"), Text("text", "The text.")]))) with { IsRequired = true },
        ])),
        "The conversation, oldest first.");

    /// <summary>Of <c>POST /v1/chat/completions</c>.</summary>
    public static IReadOnlyList<BodyField> Chat { get; } =
    [
        Model, Messages with { IsRequired = true },
        Whole("max_tokens", "Tokens to generate at most, reasoning included.", 1), Whole("max_completion_tokens", "OpenAI's newer name of max_tokens.", 1),
        Object("reasoning", "How the response reasons.", Reasoning), Effort, .. Sampling, Choices,
        Flag("logprobs", "Log probabilities of the tokens."), Whole("top_logprobs", "Alternatives per token; only together with logprobs.", 0),
        Stream, StreamOptions, ReturnTokenIds,
    ];

    /// <summary>Of <c>POST /v1/completions</c>.</summary>
    public static IReadOnlyList<BodyField> Completion { get; } =
    [
        Model,
        Either(
            "prompt", "A prompt, used as it is: text or token ids; or several. Choice c of prompt p has the index p x n + c.", Type("string"),
            ArrayOf(Type("integer")), ArrayOf(Type("string")), ArrayOf(ArrayOf(Type("integer")))) with { IsRequired = true },
        Whole("max_tokens", "Tokens to generate at most, reasoning included.", 1),
        Object("reasoning", "How the response reasons.", Reasoning), Effort, .. Sampling, Choices,
        Whole("logprobs", "Log probabilities of the answer's tokens with so many alternatives.", 0),
        Stream, StreamOptions, ReturnTokenIds,
    ];

    /// <summary>Of <c>POST /v1/responses</c>.</summary>
    public static IReadOnlyList<BodyField> Response { get; } =
    [
        Model,
        Either(
            "input", "The conversation: a text, or items of type message; items of type reasoning are passed over.", Type("string"),
            ArrayOf(ObjectOf(
            [
                Text("type", "message when left out.", "message", "reasoning"), Text("role", "Who speaks.", "system", "developer", "user", "assistant"),
                Either("content", "Text, or text parts.", Type("string"), ArrayOf(ObjectOf([Text("type", "Kind of part.", "input_text", "output_text", "text"), Text("text", "The text.")]))),
            ]))) with { IsRequired = true },
        Text("instructions", "A system message before the input."),
        Whole("max_output_tokens", "Tokens to generate at most, reasoning included.", 1),
        Object(
            "reasoning", "How the response reasons.",
            [
                .. Reasoning, Text("effort", "none, low (latent), medium (auto) or high (text).", "none", "low", "medium", "high"),
                Text("summary", "Any of these makes the hints of latents the reasoning's summary.", "auto", "concise", "detailed"),
            ]),
        .. Sampling,
        List("include", Text("", "", "message.output_text.logprobs").Schema, "Log probabilities of the answer's tokens."),
        Whole("top_logprobs", "Alternatives per token; only together with that entry of include.", 0),
        Object("metadata", "Echoed."), Flag("parallel_tool_calls", "Echoed; there are no tools."), Text("user", "Echoed."),
        Flag("store", "false, or left out: nothing is stored."),
        Stream, ReturnTokenIds,
    ];

    /// <summary>Of <c>POST /tokenize</c>.</summary>
    public static IReadOnlyList<BodyField> Tokenize { get; } =
    [
        Model, Text("prompt", "A text; either this or messages."), Messages,
        Flag("add_generation_prompt", "Whether <think> follows; true for messages when left out."), Flag("return_token_strs", "Text and kind of each token too."),
    ];

    /// <summary>Of <c>POST /detokenize</c>.</summary>
    public static IReadOnlyList<BodyField> Detokenize { get; } =
    [
        Model, List("tokens", Type("integer"), "Ids of the extended vocabulary.") with { IsRequired = true },
        Flag("skip_special_tokens", "Whether latents, delimiters and the end token leave no text."),
    ];

    /// <summary>Of <c>POST /v1/latents/decode</c>.</summary>
    public static IReadOnlyList<BodyField> DecodeLatents { get; } =
    [
        Model, List("codes", Type("integer"), "Codes of one span, in order.") with { IsRequired = true },
        Either("prompt", "The prompt that they answer: text or token ids; either this or messages.", Type("string"), ArrayOf(Type("integer"))), Messages,
    ];

    /// <summary>Of <c>POST /v1/latents/encode</c>.</summary>
    public static IReadOnlyList<BodyField> EncodeTrace { get; } =
    [
        Model, List("steps", Type("string"), "Steps of a reasoning trace; each becomes one code.") with { IsRequired = true },
        Either("prompt", "The prompt that it answers: text or token ids; either this or messages.", Type("string"), ArrayOf(Type("integer"))), Messages,
    ];
}
