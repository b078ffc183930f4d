using System.Collections;
using System.Net;
using Tessera.Server.Hosting;

namespace Tessera.Server.Security;

/// <summary>Where keys are, and whether a server may do without.</summary>
internal static class KeyFilePath
{
    /// <summary>The file that the option names, or the one in the user's configuration folder; empty when the user has none.</summary>
    /// <param name="option">Value of Security:KeyFile; may be empty.</param>
    /// <param name="environment">Environment variables.</param>
    public static string Resolve(string option, IDictionary environment)
    {
        if (option.Length > 0)
        {
            return Path.GetFullPath(option);
        }

        var folder = Value("XDG_CONFIG_HOME") ?? Value("APPDATA") ?? (Value("HOME") is { } home ? Path.Combine(home, ".config") : null);
        return folder is null ? "" : Path.Combine(folder, "tessera", "keys.json");

        string? Value(string name) => environment[name] is string { Length: > 0 } value ? value : null;
    }

    /// <summary>Opens the store of a server that is about to start.</summary>
    /// <exception cref="StartException">The file is wrong; or there are no keys, and others than this machine could reach the server.</exception>
    public static KeyStore Open(TesseraOptions options, IDictionary environment)
    {
        var path = Resolve(options.Security.KeyFile, environment);
        // A file that was named must be there: a secret that was not mounted must not open the server.
        var isConfigured = options.Security.KeyFile.Length > 0 || File.Exists(path);
        if (!isConfigured && !options.Security.AllowOpen && !IsLoopback(options.Server.Host))
        {
            throw new StartException(
                $"Server:Host: {options.Server.Host} can be reached from other machines: expected API keys ('keys add NAME', Security:KeyFile) or "
                + "Security:AllowOpen true, found neither");
        }

        return new KeyStore(isConfigured ? path : null, new(options.Security.RequestsPerMinute, options.Security.TokensPerMinute), TimeProvider.System);
    }

    private static bool IsLoopback(string host) => host == "localhost" || IPAddress.IsLoopback(IPAddress.Parse(host));
}
