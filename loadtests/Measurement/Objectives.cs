using System.Globalization;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Measurement;

/// <summary>Service level objectives of one request, in milliseconds; null = no objective. A request is good when it meets all that are set.</summary>
/// <param name="TimeToFirstTokenMs">Most time to the first token.</param>
/// <param name="TimeToFirstAnswerTokenMs">Most time to the first answer token.</param>
/// <param name="TimePerOutputTokenMs">Most time per output token after the first.</param>
/// <param name="EndToEndMs">Most time to the end.</param>
public sealed record Objectives(double? TimeToFirstTokenMs, double? TimeToFirstAnswerTokenMs, double? TimePerOutputTokenMs, double? EndToEndMs)
{
    /// <summary>What <see cref="TryParse"/> takes.</summary>
    public const string Form = "objectives in milliseconds like ttft:200,tpot:50,e2e:3000 (also ttfa: first answer token)";

    /// <summary>Reads <c>ttft:..,ttfa:..,tpot:..,e2e:..</c>; <c>e2el</c>, vLLM's name, is taken too.</summary>
    public static bool TryParse(string text, out Objectives objectives)
    {
        ArgumentNullException.ThrowIfNull(text);
        objectives = new Objectives(null, null, null, null);
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var colon = part.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0
                || !double.TryParse(part.AsSpan(colon + 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var milliseconds)
                || milliseconds <= 0)
            {
                return false;
            }

            Objectives? next = part[..colon] switch
            {
                "ttft" => objectives with { TimeToFirstTokenMs = milliseconds },
                "ttfa" => objectives with { TimeToFirstAnswerTokenMs = milliseconds },
                "tpot" => objectives with { TimePerOutputTokenMs = milliseconds },
                "e2e" or "e2el" => objectives with { EndToEndMs = milliseconds },
                _ => null,
            };
            if (next is null)
            {
                return false;
            }

            objectives = next;
        }

        return true;
    }

    /// <summary>Whether a request is good. One that did not succeed is not; nor is one that lacks a value for which there is an objective.</summary>
    public bool AreMet(RequestOutcome outcome)
    {
        ArgumentNullException.ThrowIfNull(outcome);

        // A response of one token has no time per further token: it cannot miss that objective.
        var perToken = outcome.Usage is { Completion: < 2 } ? TimeSpan.Zero : outcome.TimePerOutputToken;
        return outcome.Kind == OutcomeKind.Succeeded
            && IsWithin(outcome.TimeToFirstToken, TimeToFirstTokenMs)
            && IsWithin(outcome.TimeToFirstAnswerToken, TimeToFirstAnswerTokenMs)
            && IsWithin(perToken, TimePerOutputTokenMs)
            && IsWithin(outcome.EndToEnd, EndToEndMs);
    }

    private static bool IsWithin(TimeSpan? time, double? limitMs) => limitMs is null || time?.TotalMilliseconds <= limitMs;
}
