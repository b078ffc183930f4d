namespace Tessera.Testing;

/// <summary>Stops a thread at a known place until the test lets it go: put <see cref="Pass"/> into a hook such as <see cref="ScriptedModelRunner.BeforeRun"/>.</summary>
public sealed class StepGate : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly SemaphoreSlim _permits = new(0);
    private readonly SemaphoreSlim _arrivals = new(0);
    private volatile bool _isOpen;

    /// <summary>Waits for a permit; at most a minute, so that a broken test ends.</summary>
    public void Pass()
    {
        _arrivals.Release();
        if (!_isOpen && !_permits.Wait(Patience))
        {
            throw new TimeoutException("nobody opened the gate");
        }
    }

    /// <summary>Lets a number of passes through.</summary>
    public void Allow(int count = 1) => _permits.Release(count);

    /// <summary>Lets everybody through from now on.</summary>
    public void Open()
    {
        _isOpen = true;
        _permits.Release(1000);
    }

    /// <summary>Completes when somebody has come to the gate; each arrival counts once.</summary>
    public async Task WhenArrivedAsync()
    {
        if (!await _arrivals.WaitAsync(Patience).ConfigureAwait(false))
        {
            throw new TimeoutException("nobody came to the gate");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _permits.Dispose();
        _arrivals.Dispose();
    }
}
