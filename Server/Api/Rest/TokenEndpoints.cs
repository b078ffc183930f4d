using Tessera.Engine;
using Tessera.Server.Api.Operations;

namespace Tessera.Server.Api.Rest;

/// <summary><c>POST /tokenize</c> and <c>POST /detokenize</c>, in the shape that vLLM's clients know.</summary>
internal sealed class TokenEndpoints(InferenceEngine engine, TokenOperations operations)
{
    private readonly string _model = engine.Package.Manifest.Name;
    private readonly int _maxPositions = engine.Package.Manifest.Architecture.MaxPositions;

    /// <summary>Ids of a text or a chat.</summary>
    public Task TokenizeAsync(HttpContext context) => JsonRoute.HandleAsync(
        context,
        _model,
        (root, fields, problems) =>
        {
            var prompt = PromptReader.Read(root, fields, takesIds: false);
            // A chat is what a generation begins with; a text stands for itself.
            var addThink = fields.Boolean(root, "add_generation_prompt") ?? prompt.Chat is not null;
            var withText = fields.Boolean(root, "return_token_strs") ?? false;
            var ids = problems.Count == 0 ? operations.Tokenize(prompt, PromptReader.TextNames, addThink, problems) : null;
            var body = ids is null ? null : new TokenizeBody(
                ids.Length, _maxPositions, ids, withText ? [.. ids.Select(operations.TextOf)] : null, withText ? [.. ids.Select(operations.KindOf)] : null);
            return Task.FromResult<(TokenizeBody?, ApiFailure?)>((body, null));
        },
        RestJson.Wire.TokenizeBody);

    /// <summary>Text of ids.</summary>
    public Task DetokenizeAsync(HttpContext context) => JsonRoute.HandleAsync(
        context,
        _model,
        (root, fields, problems) =>
        {
            var ids = fields.Numbers(root, "tokens");
            if (ids is null && problems.Count == 0)
            {
                fields.Report("tokens", "expected an array of ids, found nothing");
            }
            var skip = fields.Boolean(root, "skip_special_tokens") ?? false;
            var text = ids is null ? null : operations.Detokenize(ids, "tokens", skip, problems);
            return Task.FromResult<(DetokenizeBody?, ApiFailure?)>((text is null ? null : new DetokenizeBody(text), null));
        },
        RestJson.Wire.DetokenizeBody);
}
