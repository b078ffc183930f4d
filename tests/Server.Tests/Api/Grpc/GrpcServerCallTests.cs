using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tessera.Protos.V1;
using Tessera.Server.Api.Grpc;

namespace Tessera.Server.Tests.Api.Grpc;

/// <summary>What only shows when the server's own buffers are full, which no short response fills.</summary>
public sealed class GrpcServerCallTests
{
    [Fact]
    public async Task End_FlushStillBlockedAtTheDeadline_ResetsTheStreamAndSendsNoStatus()
    {
        var (context, connection) = NewContext();
        using var call = new GrpcServerCall(context, new ServerOptions(), TimeSpan.FromMilliseconds(200), TimeProvider.System);
        call.Write(new AnswerDelta { Text = "True" });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(call.FlushAsync);
        call.End(GrpcStatus.Late);

        Assert.True(call.IsDeadlinePassed);
        Assert.Equal(8, connection.ResetCode);
        Assert.Empty(connection.Trailers);
    }

    [Fact]
    public async Task End_FlushUnblocked_SendsTheStatusInTheTrailers()
    {
        var (context, connection) = NewContext();
        using var call = new GrpcServerCall(context, new ServerOptions(), timeout: null, TimeProvider.System);
        call.Write(new AnswerDelta { Text = "True" });
        var flush = call.FlushAsync();
        Assert.False(flush.IsCompleted);

        await connection.ReadAllAsync();
        await flush;
        call.End(GrpcStatus.OK);

        Assert.Null(connection.ResetCode);
        Assert.Equal("0", connection.Trailers["grpc-status"].ToString());
    }

    private static (HttpContext Context, SlowConnection Connection) NewContext()
    {
        var context = new DefaultHttpContext();
        var connection = new SlowConnection();
        context.Features.Set<IHttpResponseBodyFeature>(connection);
        context.Features.Set<IHttpResetFeature>(connection);
        context.Features.Set<IHttpResponseTrailersFeature>(connection);
        return (context, connection);
    }

    /// <summary>A response whose first byte already waits for its reader.</summary>
    private sealed class SlowConnection : IHttpResponseBodyFeature, IHttpResetFeature, IHttpResponseTrailersFeature
    {
        private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 1, resumeWriterThreshold: 0));

        public int? ResetCode { get; private set; }

        public IHeaderDictionary Trailers { get; set; } = new HeaderDictionary();

        public Stream Stream => Writer.AsStream();

        public PipeWriter Writer => _pipe.Writer;

        public void Reset(int errorCode) => ResetCode = errorCode;

        public async Task ReadAllAsync()
        {
            var read = await _pipe.Reader.ReadAsync();
            _pipe.Reader.AdvanceTo(read.Buffer.End);
        }

        public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task CompleteAsync() => Task.CompletedTask;

        public void DisableBuffering()
        {
            // Nothing is buffered but the pipe.
        }

        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();
    }
}
