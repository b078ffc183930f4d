using Tessera.Engine.Requests;

namespace Tessera.Engine.Reasoning;

/// <summary>Estimates what latents saved against spelling them out.</summary>
/// <param name="textTokensPerLatent">Mean text tokens that one latent replaces, from the manifest.</param>
/// <param name="kvBytesPerPosition">Bytes of keys and values of one position.</param>
internal sealed class SavingsCalculator(double textTokensPerLatent, long kvBytesPerPosition)
{
    private static readonly Savings None = new(0, 0, 0, 0, 0, 0, 0, SavingsBasis.Estimated);

    /// <summary>Savings of one response. The baseline has the latents' text in place of latents and their delimiters, and else the same tokens.</summary>
    /// <param name="usage">Tokens by kind.</param>
    /// <param name="latentDelimiterCount"><c>&lt;boLatent&gt;</c> and <c>&lt;eoLatent&gt;</c> that were generated.</param>
    /// <param name="hintTokenCount">Text tokens of all hints when every latent was decoded; null otherwise.</param>
    /// <param name="interTokenTime">Mean time between tokens of this response.</param>
    public Savings Estimate(Usage usage, int latentDelimiterCount, int? hintTokenCount, TimeSpan interTokenTime)
    {
        if (usage.LatentTokens == 0)
        {
            return None;
        }

        var textEquivalent = hintTokenCount ?? textTokensPerLatent * usage.LatentTokens;
        var saved = textEquivalent - usage.LatentTokens - latentDelimiterCount;
        var baseline = usage.CompletionTokens + saved;
        return new Savings(
            usage.LatentTokens,
            textEquivalent,
            saved,
            baseline > 0 ? saved / baseline : 0,
            StepsSaved: saved,
            KvBytesSaved: saved * kvBytesPerPosition,
            SecondsSaved: saved * interTokenTime.TotalSeconds,
            SavingsBasis.Estimated);
    }

    /// <summary>Savings of several responses together.</summary>
    /// <param name="usage">Their tokens together.</param>
    /// <param name="savings">Of each.</param>
    public static Savings Sum(Usage usage, IReadOnlyList<Savings> savings)
    {
        var saved = savings.Sum(item => item.TokensSaved);
        var baseline = usage.CompletionTokens + saved;
        return new Savings(
            savings.Sum(item => item.LatentTokens),
            savings.Sum(item => item.TextEquivalentTokens),
            saved,
            baseline > 0 ? saved / baseline : 0,
            savings.Sum(item => item.StepsSaved),
            savings.Sum(item => item.KvBytesSaved),
            savings.Sum(item => item.SecondsSaved),
            SavingsBasis.Estimated);
    }
}
