using System.Text.Json.Nodes;
using Tessera.Testing;

namespace Tessera.Models.Tests;

public sealed class VocabularyRulesTests : PackageTestBase
{
    private const string File = ModelPackage.ManifestFileName;

    [Fact]
    public void Load_SpecialTokenThatTheTokenizerLacks_IsRefused()
    {
        Builder.Manifest = Builder.Manifest with { SpecialTokens = Builder.Manifest.SpecialTokens with { Eos = "<end>" } };

        AssertRefused(File, "$.special_tokens.eos");
    }

    [Fact]
    public void Load_SpecialTokenThatIsOrdinaryText_IsRefused()
    {
        Builder.Manifest = Builder.Manifest with { SpecialTokens = Builder.Manifest.SpecialTokens with { Pad = "." } };

        AssertRefused(File, "$.special_tokens.pad");
    }

    [Fact]
    public void Load_DelimiterThatUserTextCouldSpell_IsRefused()
    {
        Added("<boLatent>")["special"] = false;

        AssertRefused(File, "$.special_tokens.bo_latent");
    }

    [Fact]
    public void Load_DelimitersInAnotherOrder_IsRefused()
    {
        var tokens = Builder.Manifest.SpecialTokens;
        Builder.Manifest = Builder.Manifest with { SpecialTokens = tokens with { Think = tokens.EndThink, EndThink = tokens.Think } };

        AssertRefused(File, "$.special_tokens.think");
    }

    [Fact]
    public void Load_LatentsThatBeginElsewhere_IsRefused()
    {
        Builder.Manifest = Builder.Manifest with { Latents = Builder.Manifest.Latents with { FirstId = TinyTokenizer.FirstLatentId + 1, Count = 3 } };

        AssertRefused(File, "$.special_tokens.think");
    }

    [Fact]
    public void Load_PadAmongTheLatents_IsRefused()
    {
        Builder.Manifest = Builder.Manifest with { SpecialTokens = Builder.Manifest.SpecialTokens with { Pad = "<latent_0>" } };

        AssertRefused(File, "$.special_tokens.pad");
    }

    [Fact]
    public void Load_MoreLatentsThanTheTokenizerHas_IsRefused()
    {
        var manifest = Builder.Manifest;
        Builder.Manifest = manifest with
        {
            Architecture = manifest.Architecture with { VocabularySize = TinyTokenizer.VocabularySize + 8 },
            Latents = manifest.Latents with { Count = 8 },
        };

        AssertRefused(File, "$.latents");
    }

    [Fact]
    public void Load_LatentThatUserTextCouldSpell_IsRefused()
    {
        Added("<latent_2>")["special"] = false;

        AssertRefused(File, "$.latents");
    }

    [Fact]
    public void Load_VocabularyNarrowerThanTheTokenizer_IsRefused()
    {
        var manifest = Builder.Manifest;
        Builder.Manifest = manifest with
        {
            Architecture = manifest.Architecture with { VocabularySize = TinyTokenizer.VocabularySize - 1 },
            Latents = manifest.Latents with { Count = 3 },
        };

        AssertRefused(File, "$.architecture.vocabulary_size");
    }

    [Fact]
    public void Load_CodebookTextThatReachesTheDelimiters_IsRefused()
    {
        Builder.Manifest = Builder.Manifest with { Codebook = Builder.Manifest.Codebook! with { TextVocabularySize = TinyTokenizer.ThinkId + 1 } };

        AssertRefused(File, "$.codebook.text_vocabulary_size");
    }

    private JsonObject Added(string content) =>
        Builder.Tokenizer["added_tokens"]!.AsArray().Select(node => node!.AsObject()).Single(node => node["content"]!.GetValue<string>() == content);
}
