using System.Runtime.InteropServices;
using Tessera.Engine;
using Tessera.Server.Security;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Hosting;

/// <summary>Takes over changed keys and limits while the server runs: when a file has changed, and on SIGHUP at once.</summary>
internal sealed class ReloadService(KeyStore keys, OptionsReload reload, LiveOptions options, InferenceEngine engine, ILogger<ReloadService> logger) : BackgroundService
{
    // A revoked key stops working within about this time; looking at two files costs microseconds.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var signalled = new SemaphoreSlim(0);
        using var hangup = OperatingSystem.IsWindows() ? null : PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            signalled.Release();
        });
        while (!stoppingToken.IsCancellationRequested)
        {
            var isForced = await signalled.WaitAsync(Interval, stoppingToken).ConfigureAwait(false);
            ReloadKeys();
            ReloadOptions(isForced);
        }
    }

    private void ReloadKeys()
    {
        try
        {
            if (keys.ReloadIfChanged())
            {
                Log.KeysReloaded(logger);
            }
        }
        catch (StartException e)
        {
            Log.ReloadRefused(logger, e.Message);
        }
    }

    private void ReloadOptions(bool isForced)
    {
        if (reload.Read(isForced, out var problems) is { } read)
        {
            var change = options.TakeOver(read);
            var now = options.Current;
            engine.SetLimits(now.Engine);
            keys.SetDefaults(new(now.Security.RequestsPerMinute, now.Security.TokensPerMinute));
            Log.OptionsReloaded(logger, Join(change.Taken), Join(change.Waiting));
        }

        foreach (var problem in problems)
        {
            Log.ReloadRefused(logger, problem);
        }
    }

    private static string Join(IReadOnlyList<string> options) => options.Count == 0 ? "nothing" : string.Join(", ", options);
}

/// <summary>Reads the options again from where they came from.</summary>
/// <param name="settingsFile">Path of appsettings.json; empty = options that never change.</param>
/// <param name="read">Reads all sources; gives the problems.</param>
internal sealed class OptionsReload(string settingsFile, Func<(TesseraOptions Options, IReadOnlyList<string> Problems)> read)
{
    private FileStamp _stamp = settingsFile.Length == 0 ? default : FileStamp.Of(settingsFile);

    /// <summary>Options that never change.</summary>
    public static OptionsReload None { get; } = new("", () => throw new InvalidOperationException("there is nothing to read again"));

    /// <summary>The options, when the file has changed or <paramref name="isForced"/>; null otherwise and when they are wrong.</summary>
    public TesseraOptions? Read(bool isForced, out IReadOnlyList<string> problems)
    {
        problems = [];
        if (settingsFile.Length == 0)
        {
            return null;
        }

        // Taken first: a change while the file is read is then seen the next time. A wrong file is reported once, not every second.
        var stamp = FileStamp.Of(settingsFile);
        if (stamp == _stamp && !isForced)
        {
            return null;
        }

        _stamp = stamp;
        (var options, problems) = read();
        return problems.Count == 0 ? options : null;
    }
}
