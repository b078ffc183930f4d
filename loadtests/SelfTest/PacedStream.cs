using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Tessera.LoadTests.SelfTest;

/// <summary>One response of the paced server: chunks as a Tessera server sends them, latents first, then reasoning, then the answer.</summary>
internal sealed class PacedStream
{
    private const string Head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

    private readonly Socket _socket;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public PacedStream(Socket socket, SelfTestPlan plan, int stream)
    {
        (_socket, Plan, Stream) = (socket, plan, stream);
        Send(Encoding.ASCII.GetBytes(Head));
    }

    public SelfTestPlan Plan { get; }

    public int Stream { get; }

    /// <summary>Completes when the response was sent whole.</summary>
    public Task Ended => _ended.Task;

    // A quarter of the tokens are latents, half are reasoning, the rest is the answer.
    private int LatentCount => Plan.TokensPerStream / 4;

    private int ReasoningCount => Plan.TokensPerStream / 2;

    public void SendToken(int token)
    {
        var delta = token < LatentCount ? $"\"latent_reasoning\":{{\"span\":0,\"index\":{token},\"codes\":[{token % 64}]}}"
            : token < LatentCount + ReasoningCount ? $"\"reasoning\":\" word{token}\",\"reasoning_content\":\" word{token}\""
            : $"\"content\":\" word{token}\"";
        SendEvent($"\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":null}}]");
    }

    public void SendEnd()
    {
        var (all, latent, text) = (Plan.TokensPerStream, LatentCount, ReasoningCount);
        SendEvent("\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]");
        SendEvent(string.Create(
            CultureInfo.InvariantCulture,
            $"\"choices\":[],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{all},\"total_tokens\":{all + 10},\"completion_tokens_details\":"
            + $"{{\"reasoning_tokens\":{latent + text},\"latent_tokens\":{latent},\"reasoning_text_tokens\":{text},\"control_tokens\":0}}}}"));
        SendChunk("data: [DONE]\n\n");
        Send("0\r\n\r\n"u8);
        _ended.SetResult();
    }

    private void SendEvent(string fields) =>
        SendChunk($"data: {{\"id\":\"chatcmpl-{Stream:x32}\",\"object\":\"chat.completion.chunk\",\"created\":1795200466,\"model\":\"self-test\",{fields}}}\n\n");

    private void SendChunk(string text) =>
        Send(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{text.Length:x}\r\n{text}\r\n")));

    private void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[_socket.Send(bytes)..];
        }
    }
}
