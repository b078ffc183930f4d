namespace Tessera.Models;

/// <summary>Compares manifest and tokenizer: special tokens, their order, and the latents.</summary>
internal static class VocabularyRules
{
    private const string ManifestFile = ModelPackage.ManifestFileName;

    /// <summary>The extended vocabulary of a package whose manifest and tokenizer agree.</summary>
    /// <exception cref="ModelPackageException">Names the field that does not.</exception>
    public static ExtendedVocabulary Create(Manifest manifest, Tokenizer tokenizer)
    {
        var size = manifest.Architecture.VocabularySize;
        if (tokenizer.VocabularySize > size)
        {
            throw new ModelPackageException(
                ManifestFile, "$.architecture.vocabulary_size", $"at least the {tokenizer.VocabularySize} ids of the tokenizer", $"{size}");
        }

        var ids = manifest.SpecialTokens.Named()
            .ToDictionary(token => token.Name, token => SpecialId(tokenizer, $"$.special_tokens.{token.Name}", token.Content));
        var first = manifest.Latents.FirstId;
        // <think> </think> <boLatent> <eoLatent> stand right before the latents, in this order.
        string[] ordered = ["think", "end_think", "bo_latent", "eo_latent"];
        for (var i = 0; i < ordered.Length; i++)
        {
            var expected = first - ordered.Length + i;
            if (ids[ordered[i]] != expected)
            {
                throw new ModelPackageException(
                    ManifestFile,
                    $"$.special_tokens.{ordered[i]}",
                    $"id {expected} (the four delimiters stand before latents.first_id {first})",
                    $"id {ids[ordered[i]]}");
            }
        }

        foreach (var name in (string[])["pad", "eos"])
        {
            if (ids[name] >= ids["think"])
            {
                throw new ModelPackageException(
                    ManifestFile, $"$.special_tokens.{name}", $"an id of the text vocabulary, below {ids["think"]}", $"id {ids[name]}");
            }
        }

        CheckLatents(manifest.Latents, tokenizer);
        if (manifest.Codebook is { } codebook && codebook.TextVocabularySize > ids["think"])
        {
            throw new ModelPackageException(
                ManifestFile, "$.codebook.text_vocabulary_size", $"at most the {ids["think"]} ids of the text vocabulary", $"{codebook.TextVocabularySize}");
        }

        return new ExtendedVocabulary(
            size, ids["pad"], ids["eos"], ids["think"], ids["end_think"], ids["bo_latent"], ids["eo_latent"], first, manifest.Latents.Count);
    }

    private static int SpecialId(Tokenizer tokenizer, string field, string content) =>
        tokenizer.IdOf(content) is { } id && tokenizer.IsSpecial(id)
            ? id
            : throw new ModelPackageException(ManifestFile, field, "a special added token of the tokenizer", content);

    private static void CheckLatents(LatentVocabulary latents, Tokenizer tokenizer)
    {
        var end = latents.FirstId + latents.Count;
        if (end > tokenizer.VocabularySize)
        {
            throw new ModelPackageException(
                ManifestFile, "$.latents", $"ids below the tokenizer's {tokenizer.VocabularySize}", $"first_id {latents.FirstId} + count {latents.Count}");
        }

        for (var id = latents.FirstId; id < end; id++)
        {
            if (!tokenizer.IsSpecial(id))
                throw new ModelPackageException(ManifestFile, "$.latents", "special added tokens of the tokenizer", $"id {id}, which is text");
        }
    }
}
