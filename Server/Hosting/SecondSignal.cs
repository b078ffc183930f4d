using System.Runtime.InteropServices;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Hosting;

/// <summary>The first SIGTERM or SIGINT drains; the second ends the process at once, whatever it is doing.</summary>
internal sealed class SecondSignal : IHostedService, IDisposable
{
    private const int SignalExit = 128;

    private readonly ILogger<SecondSignal> _logger;
    private readonly PosixSignalRegistration[] _registrations;
    private int _count;

    /// <summary>Begins to listen.</summary>
    public SecondSignal(ILogger<SecondSignal> logger)
    {
        _logger = logger;
        _registrations = [PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal)];
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private void OnSignal(PosixSignalContext context)
    {
        // The host's own registration begins the drain; here only the next signal counts.
        context.Cancel = true;
        if (Interlocked.Increment(ref _count) < 2)
        {
            return;
        }

        Log.EndedAtOnce(_logger);
        var code = SignalExit + (context.Signal == PosixSignal.SIGINT ? 2 : 15);
        if (OperatingSystem.IsWindows())
        {
            Environment.Exit(code);
        }

        // An orderly exit would wait for what hangs: that is why somebody signals twice.
        ExitNow(code);
    }

    [DllImport("libc", EntryPoint = "_exit")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern void ExitNow(int code);
}
