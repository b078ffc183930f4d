using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Tessera.Engine.Runtime;

/// <summary>
/// A thread that gives way to all others: for work that nobody waits for token by token. Work is done in order. On Linux it has a nice value of its own; elsewhere
/// a priority below normal. Thread-safe.
/// </summary>
internal sealed partial class QuietThread
{
    // 10: about a tenth of a core against a busy thread of normal priority, so that it gives way and still never starves.
    private const int Nice = 10;
    private const int PriorityOfThread = 0;
    private const int ThisThread = 0;

    private readonly Channel<Action> _work = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });

    /// <summary>Starts the thread.</summary>
    public QuietThread(string name) => new Thread(Work) { IsBackground = true, Name = name, Priority = ThreadPriority.BelowNormal }.Start();

    /// <summary>Has a function called; what awaits it goes on elsewhere, at normal priority.</summary>
    /// <exception cref="InvalidOperationException">The thread was told to end.</exception>
    public Task<T> RunAsync<T>(Func<T> function)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var isTaken = _work.Writer.TryWrite(() =>
        {
            try
            {
                result.SetResult(function());
            }
            catch (Exception exception)
            {
                result.SetException(exception);
            }
        });
        return isTaken ? result.Task : throw new InvalidOperationException("the thread was told to end");
    }

    /// <summary>Ends the thread when it has done what it has.</summary>
    public void End() => _work.Writer.Complete();

    private void Work()
    {
        if (OperatingSystem.IsLinux())
        {
            // A thread that cannot be made to give way works all the same.
            _ = SetPriority(PriorityOfThread, ThisThread, Nice);
        }

        while (_work.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_work.Reader.TryRead(out var action))
            {
                action();
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "setpriority")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetPriority(int which, uint who, int value);
}
