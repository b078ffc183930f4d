using Tessera.Engine;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api;

/// <summary>An error on its way to a client: what both fronts say in the same words.</summary>
/// <param name="Kind">The kind, which decides the status.</param>
/// <param name="Message">A sentence for the client; never exception text.</param>
/// <param name="Field">The field at fault by the caller's name; null when there is none.</param>
/// <param name="RetryAfter">When to try again; null when unknown.</param>
public sealed record ApiFailure(ErrorKind Kind, string Message, string? Field = null, TimeSpan? RetryAfter = null)
{
    // Errors travel in HTTP headers too: what a client with a thousand wrong fields needs is the first few.
    private const int MaxShownProblems = 10;

    /// <summary>What a client reads when the server failed.</summary>
    public static readonly ApiFailure Internal = new(ErrorKind.Internal, "the server failed to answer this request");

    /// <summary>What a client reads while the server shuts down.</summary>
    public static readonly ApiFailure ShuttingDown = new(ErrorKind.Unavailable, "the server is shutting down");

    /// <summary>The wrong fields, when that is what the error is about.</summary>
    public IReadOnlyList<FieldProblem> Problems { get; init; } = [];

    /// <summary>How the wire shows it.</summary>
    public ErrorEntry Entry => ErrorCatalog.Get(Kind);

    /// <summary>Wrong fields: the message lists them, the field is the first.</summary>
    /// <param name="problems">At least one; the first few are shown.</param>
    public static ApiFailure FromProblems(IReadOnlyList<FieldProblem> problems)
    {
        FieldProblem[] shown = [.. problems.Take(MaxShownProblems)];
        var message = string.Join("; ", shown.Select(problem => $"{problem.Field}: {problem.Message}"));
        var more = problems.Count - shown.Length;
        return new(ErrorKind.InvalidArgument, more == 0 ? message : $"{message}; and {more} more", problems[0].Field) { Problems = shown };
    }

    /// <summary>A model that is not served.</summary>
    /// <param name="asked">What the client asked for.</param>
    /// <param name="served">Name of the served model.</param>
    public static ApiFailure UnknownModel(string asked, string served) =>
        new(ErrorKind.ModelNotFound, $"model: expected '{served}', found '{Echo.Shorten(asked)}'", "model");

    /// <summary>A body that did not arrive in time.</summary>
    public static ApiFailure BodyLate(TimeSpan time) =>
        new(ErrorKind.BodyTimeout, $"body: expected all of it within {time.TotalSeconds:0} seconds, found a slower sender");

    /// <summary>Why a submission was refused; null when it was accepted.</summary>
    public static ApiFailure? FromSubmit(SubmitResult result, EngineState state) => result switch
    {
        SubmitResult.Accepted => null,
        SubmitResult.Full full => new(ErrorKind.QueueFull, "the queue is full; try again later", RetryAfter: full.RetryAfter),
        _ => NotReady(state),
    };

    /// <summary>Why an engine in this state takes no request.</summary>
    public static ApiFailure NotReady(EngineState state) => state switch
    {
        EngineState.Starting => new(ErrorKind.Unavailable, "the model is warming up; try again shortly"),
        EngineState.Failed => new(ErrorKind.Unavailable, "the model has failed; the server must be restarted"),
        _ => ShuttingDown,
    };

    /// <summary>Why a response ended badly; null when it ended with stop or length.</summary>
    public static ApiFailure? FromFinished(FinishedEvent finished) => finished.Reason switch
    {
        FinishReason.Stop or FinishReason.Length => null,
        FinishReason.Cancelled => new(ErrorKind.Cancelled, "the request was cancelled"),
        FinishReason.Shutdown => ShuttingDown,
        FinishReason.Deadline => new(ErrorKind.DeadlineExceeded, "the time limit passed before the response was complete"),
        _ => finished.Error is { } sentence ? new(ErrorKind.Internal, sentence) : Internal,
    };
}
