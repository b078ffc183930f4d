using Tessera.Engine;
using Tessera.Server.Api.Operations;

namespace Tessera.Server.Api.Rest;

/// <summary><c>POST /v1/latents/decode</c> and <c>POST /v1/latents/encode</c>.</summary>
internal sealed class LatentEndpoints(InferenceEngine engine, LatentOperations operations)
{
    private readonly string _model = engine.Package.Manifest.Name;

    /// <summary>What codes stand for.</summary>
    public Task DecodeAsync(HttpContext context) => JsonRoute.HandleAsync<DecodedLatents>(
        context,
        _model,
        async (root, fields, problems) =>
        {
            if (operations.Refusal is { } refusal)
            {
                return (null, refusal);
            }
            var codes = fields.Numbers(root, "codes") ?? [];
            var prompt = PromptReader.Read(root, fields, takesIds: true);
            if (problems.Count > 0)
            {
                return (null, null);
            }
            var (hints, error) = await operations.DecodeAsync(codes, "codes", prompt, PromptReader.Names, problems, context.RequestAborted).ConfigureAwait(false);
            return hints is null ? (null, error) : (new(
                "latents.decoded", _model, [.. codes.Select(code => (int)code)], string.Join(' ', hints.Select(hint => hint.Text)),
                [.. hints.Select(hint => hint.Text)], [.. hints.Select(hint => hint.Confidence)], [.. hints.Select(hint => hint.TokenCount)],
                hints.Average(hint => hint.Confidence)), null);
        },
        RestJson.Wire.DecodedLatents);

    /// <summary>Codes of the steps of a trace.</summary>
    public Task EncodeAsync(HttpContext context) => JsonRoute.HandleAsync<EncodedLatents>(
        context,
        _model,
        async (root, fields, problems) =>
        {
            if (operations.Refusal is { } refusal)
            {
                return (null, refusal);
            }
            var steps = fields.Strings(root, "steps") ?? [];
            var prompt = PromptReader.Read(root, fields, takesIds: true);
            if (problems.Count > 0)
            {
                return (null, null);
            }
            var (codes, error) = await operations.EncodeAsync(steps, "steps", prompt, PromptReader.Names, problems, context.RequestAborted).ConfigureAwait(false);
            return codes is null
                ? (null, error)
                : (new("latents.encoded", _model, codes, [.. codes.Select(engine.Package.Vocabulary.IdOf)]), null);
        },
        RestJson.Wire.EncodedLatents);
}
