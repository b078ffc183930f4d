using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Tessera.EndToEnd.Tests.Support;

/// <summary>A process that a test starts: its lines as they come, its exit code, its end by signal.</summary>
internal sealed partial class ChildProcess : IAsyncDisposable
{
    /// <summary>Bound on anything that a test waits for; far above what a loaded machine takes.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>A folder that is not there. Without it the servers of these tests would ask for the keys of whoever runs them, once that user has some.</summary>
    private static readonly string NoConfiguration = Path.Combine(AppContext.BaseDirectory, "no-user-configuration");

    private const int Terminate = 15;

    private readonly Process _process;
    private readonly Channel<string> _output = Channel.CreateUnbounded<string>();
    private readonly List<string> _errors = [];

    private ChildProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Receive(line.Data);
        _process.ErrorDataReceived += (_, line) => KeepError(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Starts a program.</summary>
    public static ChildProcess Start(string program, params string[] arguments) =>
        new(new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Repository.Root,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["XDG_CONFIG_HOME"] = NoConfiguration },
        });

    /// <summary>Lines of the standard error so far; all of them after <see cref="WaitForExitAsync"/>.</summary>
    public IReadOnlyList<string> Errors
    {
        get
        {
            lock (_errors)
            {
                return [.. _errors];
            }
        }
    }

    /// <summary>Next line of the standard output; null at its end.</summary>
    public async Task<string?> ReadLineAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        return await _output.Reader.WaitToReadAsync(patience.Token) ? await _output.Reader.ReadAsync(patience.Token) : null;
    }

    /// <summary>Asks the process to end, as a service manager does.</summary>
    public void SendTerminate() => SendSignal(Terminate);

    /// <summary>Sends a signal.</summary>
    public void SendSignal(int signal) => Assert.Equal(0, Kill(_process.Id, signal));

    /// <summary>Waits for the end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> WaitForExitAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        await _process.WaitForExitAsync(patience.Token);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await WaitForExitAsync();
        }

        _process.Dispose();
    }

    private void Receive(string? line)
    {
        if (line is null)
        {
            _output.Writer.TryComplete();
        }
        else
        {
            _output.Writer.TryWrite(line);
        }
    }

    private void KeepError(string? line)
    {
        lock (_errors)
        {
            _errors.AddRange(line is null ? [] : [line]);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}
