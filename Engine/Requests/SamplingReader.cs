using Tessera.Models;

namespace Tessera.Engine.Requests;

/// <summary>Turns the sampling fields of a request into effective values.</summary>
internal sealed class SamplingReader(GenerationInput input, ModelPackage package, EngineOptions options, GenerationFieldNames names, ProblemList problems)
{
    private const int MaxTopK = 1_000_000;
    private const double MaxTemperature = 2;
    private const double MaxPenalty = 2;
    private const double MaxRepetitionPenalty = 10;
    private const double MaxBias = 100;

    /// <summary>The effective values; of use when there are no problems.</summary>
    /// <param name="seedSource">Gives a seed to a sampled request without one.</param>
    public SamplingOptions Read(Func<ulong> seedSource)
    {
        var defaults = package.Manifest.Sampling;
        var temperature = problems.Number(names.Temperature, input.Temperature, 0, lowIncluded: true, MaxTemperature) ?? defaults.Temperature;
        var topK = (int)(problems.WholeNumber(names.TopK, input.TopK, 0, MaxTopK) ?? defaults.TopK);
        var topP = problems.Number(names.TopP, input.TopP, 0, lowIncluded: false, 1) ?? defaults.TopP;
        var seed = problems.WholeNumber(names.Seed, input.Seed, 0, RequestReader.SeedLimit);

        // Greedy sampling draws nothing: 0 keeps its echo the same every time.
        var effectiveSeed = seed is { } given ? (ulong)given : temperature == 0 ? 0 : seedSource();
        return new SamplingOptions(temperature, topK, topP, effectiveSeed)
        {
            MinP = problems.Number(names.MinP, input.MinP, 0, lowIncluded: true, 1) ?? 0,
            RepetitionPenalty = problems.Number(names.RepetitionPenalty, input.RepetitionPenalty, 0, lowIncluded: false, MaxRepetitionPenalty) ?? 1,
            FrequencyPenalty = problems.Number(names.FrequencyPenalty, input.FrequencyPenalty, -MaxPenalty, lowIncluded: true, MaxPenalty) ?? 0,
            PresencePenalty = problems.Number(names.PresencePenalty, input.PresencePenalty, -MaxPenalty, lowIncluded: true, MaxPenalty) ?? 0,
            LogitBias = ReadLogitBias(),
        };
    }

    private Dictionary<int, float>? ReadLogitBias()
    {
        if (input.LogitBias is not { Count: > 0 } given)
        {
            return null;
        }

        if (given.Count > options.MaxLogitBiasEntries)
        {
            problems.Add(names.LogitBias, $"must have at most {options.MaxLogitBiasEntries} entries; got {given.Count}");
            return null;
        }

        var bias = new Dictionary<int, float>(given.Count);
        foreach (var (id, value) in given)
        {
            if (id < 0 || id >= package.Vocabulary.Size)
            {
                problems.Add(names.LogitBias, $"must name ids of the vocabulary, 0 to {package.Vocabulary.Size - 1}; got {id}");
            }
            else if (problems.Number($"{names.LogitBias}.{id}", value, -MaxBias, lowIncluded: true, MaxBias) is { } number)
            {
                bias[id] = number;
            }
        }

        return bias;
    }
}
