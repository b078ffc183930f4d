using System.Diagnostics;
using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using Tessera.Engine.Sampling;
using Tessera.Engine.Telemetry;
using Tessera.Models;

namespace Tessera.Engine.Scheduling;

/// <summary>Makes sequences of requests for one model. Thread-safe.</summary>
/// <param name="package">The model.</param>
/// <param name="kvBytesPerPosition">Bytes of keys and values of one position.</param>
/// <param name="hints">Reads latent spans; null for none.</param>
/// <param name="meter">Told about every token.</param>
/// <param name="timeProvider">Clock.</param>
internal sealed class SequenceFactory(ModelPackage package, long kvBytesPerPosition, HintWorker? hints, EngineMeter meter, TimeProvider timeProvider)
{
    private readonly GrammarMasks _masks = new(package.Vocabulary);
    private readonly SavingsCalculator _savings = new(package.Manifest.Latents.TextTokensPerLatent, kvBytesPerPosition);

    /// <summary>Makes a waiting sequence.</summary>
    /// <param name="request">The request.</param>
    /// <param name="completed">Called once, after its last event.</param>
    public Sequence Create(GenerationRequest request, Action<ResponseStream> completed)
    {
        var response = new ResponseStream(request.MaxTokens, _savings, completed);
        var listener = new Listener(response, request, request.Reasoning.Explain ? hints : null, package.Vocabulary.ThinkId);
        var recorder = new TraceRecorder(
            package.Vocabulary, package.Tokenizer, package.Manifest.Chat.StripLeadingSpace, request.Stop, request.MinTokens, listener);
        var grammar = new TraceGrammar(_masks, request.Reasoning, request.End);
        return new Sequence(request, response, grammar, recorder, new SequenceClock(timeProvider, meter)) { History = CreateHistory(request) };
    }

    private TokenHistory? CreateHistory(GenerationRequest request)
    {
        if (!request.Sampling.HasPenalties)
        {
            return null;
        }

        var history = new TokenHistory(package.Vocabulary.ThinkId, package.Vocabulary.EosId);
        foreach (var id in request.PromptIds)
        {
            history.AddPrompt(id);
        }

        return history;
    }

    private sealed class Listener(ResponseStream response, GenerationRequest request, HintWorker? hints, int textIdCount) : ITraceListener
    {
        // Taken on the thread that submits, where the span of the request is the current one.
        private readonly ActivityContext _trace = Activity.Current?.Context ?? default;

        public void OnDelta(GenerationEvent delta) => response.Publish(delta);

        // The codebook knows text alone: an earlier trace in a prompt of ids is left out.
        public void OnLatentSpan(LatentSpan span) => hints?.Enqueue(response, span, [.. request.PromptIds.Where(id => id < textIdCount)], _trace);
    }
}
