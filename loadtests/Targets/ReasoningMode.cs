namespace Tessera.LoadTests.Targets;

/// <summary>How a request asks the model to reason.</summary>
public enum ReasoningMode
{
    /// <summary>Plain chain of thought: the baseline.</summary>
    Text,

    /// <summary>The reasoning starts with latents.</summary>
    Latent,

    /// <summary>The model chooses.</summary>
    Auto,

    /// <summary>No reasoning.</summary>
    None,

    /// <summary>Nothing is said about reasoning: what any OpenAI-compatible server understands.</summary>
    Plain,
}

/// <summary>Names of the modes on the wire, on the command line and in reports.</summary>
public static class ReasoningModes
{
    /// <summary>Name of a mode.</summary>
    public static string Name(this ReasoningMode mode) => mode switch
    {
        ReasoningMode.Text => "text",
        ReasoningMode.Latent => "latent",
        ReasoningMode.Auto => "auto",
        ReasoningMode.None => "none",
        ReasoningMode.Plain => "plain",
        _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, null),
    };

    /// <summary>The mode of a name; false for any other text.</summary>
    public static bool TryParse(string text, out ReasoningMode mode)
    {
        foreach (var known in Enum.GetValues<ReasoningMode>())
        {
            if (known.Name() == text)
            {
                mode = known;
                return true;
            }
        }

        mode = default;
        return false;
    }
}
