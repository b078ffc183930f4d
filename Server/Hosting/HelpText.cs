using System.Text;
using Tessera.Server.Security;

namespace Tessera.Server.Hosting;

/// <summary>What <c>--help</c> prints.</summary>
internal static class HelpText
{
    /// <summary>Usage and every option with its default.</summary>
    public static string Write()
    {
        var defaults = new TesseraOptions();
        var width = OptionCatalog.All.Max(o => o.Key.Length);
        var text = new StringBuilder()
            .AppendLine("Tessera serves language models that reason in latent tokens, over REST and gRPC.")
            .AppendLine()
            .AppendLine("Usage: Tessera.Server [--Section:Name value]...")
            .AppendLine("       Tessera.Server keys add|list|revoke ...")
            .AppendLine()
            .AppendLine("An option is read from appsettings.json beside the binaries, from the environment")
            .AppendLine("(TESSERA__Section__Name) and from the command line; the last one wins. The ones with")
            .AppendLine("an asterisk can change in the file while the server runs.")
            .AppendLine();
        foreach (var option in OptionCatalog.All)
        {
            var shown = option.Show(defaults) is { Length: > 0 } value ? value : "empty";
            text.Append("  --").Append(option.Key.PadRight(width + 2)).Append(option.IsLive ? "* " : "").Append(option.Description).Append(" [").Append(shown).AppendLine("]");
        }
        text.AppendLine();
        foreach (var line in KeysCommand.Usage.Split('\n'))
        {
            text.Append("  ").AppendLine(line.TrimEnd('\r'));
        }
        text.AppendLine().Append("  --").Append("help".PadRight(width + 2)).AppendLine("this text");
        text.Append("  --").Append("version".PadRight(width + 2)).AppendLine("the version");
        return text.ToString();
    }
}
