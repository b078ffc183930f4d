using Tessera.Models;

namespace Tessera.Testing;

/// <summary>One step of a scripted reasoning: the code that stands for it, and its text.</summary>
/// <param name="Code">Code of the codebook.</param>
/// <param name="TextIds">The step spelled out.</param>
public sealed record ScriptedReasoningStep(int Code, IReadOnlyList<int> TextIds);

/// <summary>
/// What a scripted model wants to say after <c>&lt;think&gt;</c>: steps as latents first; steps that were not written as latents as text; then the answer.
/// So a latent budget of n gives n latents and the text of the other steps, text mode gives all of them as text, and mode none the answer alone.
/// </summary>
public sealed class TraceScript(ExtendedVocabulary vocabulary, IReadOnlyList<ScriptedReasoningStep> steps, IReadOnlyList<int> answerIds)
{
    /// <summary>Makes a script of texts; leading spaces count.</summary>
    public static TraceScript FromText(ModelPackage package, IReadOnlyList<(int Code, string Text)> steps, string answer) =>
        new(
            package.Vocabulary,
            [.. steps.Select(step => new ScriptedReasoningStep(step.Code, package.Tokenizer.Encode(step.Text)))],
            package.Tokenizer.Encode(answer));

    /// <summary>Ids that the model would say next, best first; the grammar may forbid some.</summary>
    /// <param name="ids">Prompt, <c>&lt;think&gt;</c> and what was generated.</param>
    public IReadOnlyList<int> Next(IReadOnlyList<int> ids)
    {
        var generated = ids.SkipWhile(id => id != vocabulary.ThinkId).Skip(1).ToList();
        var endThink = generated.IndexOf(vocabulary.EndThinkId);
        if (endThink >= 0)
        {
            var answered = generated.Count - endThink - 1;
            return [answered < answerIds.Count ? answerIds[answered] : vocabulary.EosId];
        }

        if (generated.Count > 0 && generated[0] == vocabulary.BoLatentId && !generated.Contains(vocabulary.EoLatentId))
        {
            var latents = generated.Count - 1;
            return [latents < steps.Count ? vocabulary.IdOf(steps[latents].Code) : vocabulary.EoLatentId];
        }

        return NextText(generated);
    }

    private List<int> NextText(List<int> generated)
    {
        var latents = generated.Count(vocabulary.IsLatent);
        var written = generated.Count(id => vocabulary.KindOf(id) == TokenKind.Text);
        var next = steps.Skip(latents).SelectMany(step => step.TextIds).Skip(written).Take(1).Append(vocabulary.EndThinkId);
        return generated.Count == 0 && steps.Count > 0 ? [vocabulary.BoLatentId, .. next] : [.. next];
    }
}
