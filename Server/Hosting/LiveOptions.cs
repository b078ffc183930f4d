namespace Tessera.Server.Hosting;

/// <summary>The options in force. Those that can change while the server runs are taken over all at once; whoever needs one asks here each time.</summary>
/// <param name="options">The options at the start.</param>
internal sealed class LiveOptions(TesseraOptions options)
{
    private volatile TesseraOptions _current = options;

    /// <summary>All options as they are in force now.</summary>
    public TesseraOptions Current => _current;

    /// <summary>Those of the HTTP front.</summary>
    public ServerOptions Server => _current.Server;

    /// <summary>Takes over what can change while the server runs. Called by one thread at a time.</summary>
    /// <param name="read">Valid options, as they were read again.</param>
    public OptionsChange TakeOver(TesseraOptions read)
    {
        var (taken, waiting, next) = (new List<string>(), new List<string>(), _current);
        foreach (var option in OptionCatalog.All)
        {
            var value = option.Show(read);
            if (value == option.Show(next))
            {
                continue;
            }

            if (option.IsLive)
            {
                next = option.Apply(next, value)!;
                taken.Add($"{option.Key} {value}");
            }
            else
            {
                waiting.Add(option.Key);
            }
        }

        _current = next;
        return new(taken, waiting);
    }
}

/// <summary>What became of changed options.</summary>
/// <param name="Taken">Options with their values that are in force now.</param>
/// <param name="Waiting">Options that need a restart.</param>
internal sealed record OptionsChange(IReadOnlyList<string> Taken, IReadOnlyList<string> Waiting);
