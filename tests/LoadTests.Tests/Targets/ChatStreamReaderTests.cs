using System.Text;
using Tessera.LoadTests.Targets;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Targets;

public sealed class ChatStreamReaderTests
{
    // Each event arrives one millisecond after the one before it.
    private static async Task<RequestOutcome> ReadAsync(string events, int bytesPerRead = int.MaxValue)
    {
        var milliseconds = 0;
        await using var stream = new DribblingStream(Encoding.UTF8.GetBytes(events), bytesPerRead);
        return await ChatStreamReader.ReadAsync(stream, new ChatStreamState(), () => TimeSpan.FromMilliseconds(++milliseconds), CancellationToken.None);
    }

    private static double[] Milliseconds(IEnumerable<TimeSpan> times) => [.. times.Select(time => time.TotalMilliseconds)];

    [Theory]
    [InlineData(1, "\n")]
    [InlineData(2, "\n")]
    [InlineData(7, "\r\n")]
    [InlineData(1, "\r\n")]
    [InlineData(1, "\r")]
    [InlineData(int.MaxValue, "\r\n")]
    public async Task Read_SplitAnywhereWithAnyLineEnd_GivesTheSame(int bytesPerRead, string lineEnd)
    {
        var events = Transcript.Response(latents: 2, reasoningWords: 1, answer: "Zoë is a 🐾.").Replace("\n", lineEnd, StringComparison.Ordinal);

        var outcome = await ReadAsync(events, bytesPerRead);

        // Role 1, latents 2 3, hints 4 5, reasoning 6, answer 7 8 9 10, finish 11, usage 12, end 13.
        Assert.Equal(OutcomeKind.Succeeded, outcome.Kind);
        Assert.Equal("Zoë is a 🐾.", outcome.Answer);
        Assert.Equal(new TokenUsage(20, 4, 2, 3, 1, 5), outcome.Usage);
        Assert.Null(outcome.UsageProblem);
        Assert.Equal(TimeSpan.FromMilliseconds(2), outcome.TimeToFirstToken);
        Assert.Equal(TimeSpan.FromMilliseconds(7), outcome.TimeToFirstAnswerToken);
        Assert.Equal(TimeSpan.FromMilliseconds(13), outcome.EndToEnd);
        Assert.Equal([1, 3, 1, 1, 1, 1], Milliseconds(outcome.InterTokenTimes));
        Assert.Equal(TimeSpan.FromMilliseconds(1.1), outcome.TimePerOutputToken);
    }

    [Fact]
    public async Task Read_CommentsAndOtherFields_AreNoEvents()
    {
        var events = ": keep-alive\n\n: another\nevent: message\nid: 3\nretry: 10\n" + new Transcript().Answer("yes") + ":\n\n"
            + new Transcript().Finish("stop").Tokens(Usage.Of(3, 0, 0, 1)) + Transcript.Done;

        var outcome = await ReadAsync(events);

        Assert.Equal("yes", outcome.Answer);
        Assert.Equal(TimeSpan.FromMilliseconds(1), outcome.TimeToFirstToken);
        Assert.Equal(TimeSpan.FromMilliseconds(4), outcome.EndToEnd);
    }

    [Fact]
    public async Task Read_SeveralLatentsInOneEvent_ShareItsTime()
    {
        var events = new Transcript()
            .Raw("""data: {"choices":[{"delta":{"latent_reasoning":{"span":0,"index":0,"codes":[1,2,3]}}}]}""" + "\n\n")
            .Raw("""data: {"choices":[{"delta":{"latent_reasoning":{"span":0,"index":3,"codes":[4,5]}}}]}""" + "\n\n")
            .Answer("ok").Finish("stop").Tokens(Usage.Of(3, 5, 0, 1)) + Transcript.Done;

        var outcome = await ReadAsync(events);

        Assert.Null(outcome.UsageProblem);
        Assert.Equal(5, outcome.Usage!.Latent);
        Assert.Equal([0, 0, 0.5, 0.5, 1], Milliseconds(outcome.InterTokenTimes));
    }

    [Fact]
    public async Task Read_LengthFinish_SucceedsAndSaysSo()
    {
        var outcome = await ReadAsync(Transcript.Response(2, 0, "cut", finishReason: "length"));

        Assert.Equal(OutcomeKind.Succeeded, outcome.Kind);
        Assert.True(outcome.EndedByLength);
    }

    [Theory]
    [InlineData("data: {\"choices\"\n\n", "a stream event is not JSON")]
    [InlineData("data: hello\n\n", "a stream event is not JSON")]
    [InlineData("data: 7\n\n", "a stream event is not a JSON object")]
    [InlineData("data: {\"error\":{\"message\":\"no room\\nleft\",\"param\":\"max_tokens\"}}\n\n", "no room left (param: max_tokens)")]
    [InlineData("data: {\"error\":\"odd\"}\n\n", "an error without a message")]
    [InlineData("data: [DONE]\n\n", "the stream ended without a finish reason")]
    [InlineData("", "the stream ended without its end mark [DONE]")]
    public async Task Read_BrokenStream_FailsWithAReasonAndKeepsWhatCame(string tail, string expected)
    {
        var outcome = await ReadAsync(new Transcript().Role().Answer("half") + tail);

        Assert.Equal(OutcomeKind.Failed, outcome.Kind);
        Assert.Equal(expected, outcome.Error);
        Assert.Equal("half", outcome.Answer);
        Assert.Equal(TimeSpan.FromMilliseconds(2), outcome.TimeToFirstToken);
        Assert.Null(outcome.Usage);
    }

    [Fact]
    public async Task Read_NoUsage_SucceedsWithAProblem()
    {
        var outcome = await ReadAsync(new Transcript().Answer("yes").Finish("stop") + Transcript.Done);

        Assert.Equal(OutcomeKind.Succeeded, outcome.Kind);
        Assert.Null(outcome.Usage);
        Assert.Equal("no usage chunk although stream_options.include_usage was set", outcome.UsageProblem);
        Assert.Null(outcome.TimePerOutputToken);
    }

    public static TheoryData<Usage, string> WrongUsages() => new()
    {
        { new Usage(10, 8, 19, 5, 2, 0, 3), "usage: prompt_tokens 10 + completion_tokens 8 = 18, but total_tokens is 19" },
        { new Usage(10, 8, 18, 6, 2, 0, 3), "usage: latent 2 + control 3 + reasoning text 0 = 5, but reasoning_tokens is 6" },
        { new Usage(10, 4, 14, 5, 2, 0, 3), "usage: reasoning_tokens 5 is more than completion_tokens 4" },
        { new Usage(10, 9, 19, 6, 3, 0, 3), "usage: latent_tokens is 3, but the stream carried 2 latents" },
        { new Usage(int.MaxValue, int.MaxValue, -2, 5, 2, 0, 3), "usage: total_tokens is missing or not a whole number" },
    };

    [Theory]
    [MemberData(nameof(WrongUsages))]
    public async Task Read_UsageContradictsItself_GivesBothCountsAndNoUsage(Usage usage, string expected)
    {
        var outcome = await ReadAsync(Transcript.Response(latents: 2, reasoningWords: 0, answer: "a b", usage: usage));

        Assert.Equal(OutcomeKind.Succeeded, outcome.Kind);
        Assert.Equal(expected, outcome.UsageProblem);
        Assert.Null(outcome.Usage);
    }

    /// <summary>Gives a few bytes per read, as a network may.</summary>
    private sealed class DribblingStream(byte[] bytes, int bytesPerRead) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, bytesPerRead)], cancellationToken);

        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, bytesPerRead)]);
    }
}
