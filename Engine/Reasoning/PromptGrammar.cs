using Tessera.Models;

namespace Tessera.Engine.Reasoning;

/// <summary>
/// Checks a prompt that came as ids: text, and earlier traces <c>&lt;think&gt; [ &lt;boLatent&gt; z1 .. zk &lt;eoLatent&gt; ] text &lt;/think&gt;</c> as
/// the model itself could have written them.
/// </summary>
internal static class PromptGrammar
{
    private enum Place
    {
        Outside,
        AfterThink,
        AfterBoLatent,
        InSpan,
        InText,
    }

    /// <summary>The first thing wrong; null for a well-formed prompt.</summary>
    public static (int? Index, string Message)? FindProblem(ExtendedVocabulary vocabulary, IReadOnlyList<int> ids)
    {
        var place = Place.Outside;
        for (var i = 0; i < ids.Count; i++)
        {
            if (ids[i] < 0 || ids[i] >= vocabulary.Size)
            {
                return (i, $"must be an id of the vocabulary, 0 to {vocabulary.Size - 1}; got {ids[i]}");
            }

            if (Next(vocabulary, place, ids[i]) is not { } next)
            {
                return (i, $"id {ids[i]} cannot stand {Describe(place)}");
            }

            place = next;
        }

        return place == Place.Outside ? null : (null, "must not end inside of a reasoning trace; <think> is added by the server");
    }

    private static Place? Next(ExtendedVocabulary vocabulary, Place place, int id)
    {
        if (id == vocabulary.ThinkId)
        {
            return place == Place.Outside ? Place.AfterThink : null;
        }

        if (id == vocabulary.BoLatentId)
        {
            return place == Place.AfterThink ? Place.AfterBoLatent : null;
        }

        if (id == vocabulary.EoLatentId)
        {
            return place == Place.InSpan ? Place.InText : null;
        }

        if (id == vocabulary.EndThinkId)
        {
            return place is Place.AfterThink or Place.InText ? Place.Outside : null;
        }

        if (vocabulary.IsLatent(id))
        {
            return place is Place.AfterBoLatent or Place.InSpan ? Place.InSpan : null;
        }

        // What is left is text, <eos>, padding and ids past the latents; <eos> stands between turns only.
        return id == vocabulary.EosId ? (place == Place.Outside ? place : null)
            : id == vocabulary.PadId || id > vocabulary.ThinkId ? null
            : place switch
            {
                Place.Outside => Place.Outside,
                Place.AfterThink or Place.InText => Place.InText,
                _ => null,
            };
    }

    private static string Describe(Place place) => place switch
    {
        Place.Outside => "outside of a reasoning trace",
        Place.AfterThink => "directly after <think>",
        Place.AfterBoLatent or Place.InSpan => "inside of a latent span",
        _ => "in the text of a reasoning trace",
    };
}
