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
/// <param name="hintWait">How long last events wait for hints.</param>
/// <param name="delivery">Wakes the readers of events.</param>
/// <param name="meter">Told about every token.</param>
/// <param name="timeProvider">Clock.</param>
internal sealed class SequenceFactory(
    ModelPackage package, long kvBytesPerPosition, HintWorker? hints, HintWait hintWait, EventDelivery delivery, EngineMeter meter, TimeProvider timeProvider)
{
    private readonly GrammarMasks _masks = new(package.Vocabulary);
    private readonly SavingsCalculator _savings = new(package.Manifest.Latents.TextTokensPerLatent, kvBytesPerPosition);

    /// <summary>Makes the sequences of a request, one for each response; all but the first follow the first.</summary>
    /// <param name="request">The request.</param>
    /// <param name="completed">Called once, after its last event.</param>
    public IReadOnlyList<Sequence> Create(GenerationRequest request, Action<ResponseStream> completed)
    {
        var response = new ResponseStream(request.MaxTokens, _savings, completed, request.N, hintWait, delivery);
        var trace = Activity.Current?.Context ?? default;
        Sequence[] sequences = [.. Enumerable.Range(0, request.N).Select(choice => Create(request, response, choice, trace))];
        foreach (var follower in sequences.Skip(1))
        {
            sequences[0].Follow(follower);
        }

        return sequences;
    }

    private Sequence Create(GenerationRequest request, ResponseStream response, int choice, ActivityContext trace)
    {
        var listener = new Listener(response, choice, request, request.Reasoning.Explain ? hints : null, package.Vocabulary.ThinkId, trace);
        var recorder = new TraceRecorder(
            package.Vocabulary, package.Tokenizer, package.Manifest.Chat.StripLeadingSpace, request.Stop, request.MinTokens, listener);
        var grammar = new TraceGrammar(_masks, request.Reasoning, request.End);
        return new Sequence(request, response, grammar, recorder, new SequenceClock(timeProvider, meter)) { Choice = choice, History = CreateHistory(request) };
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

    private sealed class Listener(
        ResponseStream response, int choice, GenerationRequest request, HintWorker? hints, int textIdCount, ActivityContext trace) : ITraceListener
    {
        public void OnDelta(GenerationEvent delta) => response.Publish(choice == 0 ? delta : delta with { Choice = choice });

        // The codebook knows text alone: an earlier trace in a prompt of ids is left out.
        public void OnLatentSpan(LatentSpan span) =>
            hints?.Enqueue(response, span, [.. request.PromptIds.Where(id => id < textIdCount)], trace, choice);
    }
}
