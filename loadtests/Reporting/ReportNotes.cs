using System.Globalization;
using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>What a reader should know before using the figures.</summary>
internal static class ReportNotes
{
    public static IEnumerable<string> Find(
        ServerFacts facts, IReadOnlyList<MeasuredPoint> points, IReadOnlyList<PointReport> reports, int usageProblemCount)
    {
        foreach (var result in points.Select(point => point.Result).Where(result => result.End != CompareEnd.Completed))
        {
            var whole = result.Prompts.Count(prompt => prompt.ByArm.All(request => request is not null));
            var why = result.End == CompareEnd.Interrupted ? "the run was interrupted" : "the server stopped answering";
            yield return $"{why}: {whole} of {result.Prompts.Count} prompts ran{(result.Arms.Count > 1 ? " in every mode" : "")}";
        }

        if (!facts.HasLatents)
        {
            yield return "the server has no /info: it is taken for a plain OpenAI-compatible one, without latents and KV bytes";
        }
        else if (facts.KvBytesPerPosition is null)
        {
            yield return "the server does not tell engine.kv_bytes_per_position on /info: no KV bytes per request";
        }

        foreach (var arm in reports.SelectMany(point => point.Arms).Where(arm => arm is { Mode: "latent", LatentBudget: not 0, Tokens: { N: > 0, Latent: 0 } }))
        {
            yield return $"{arm.Arm} mode gave no latents at all: this compares text with text";
        }

        if (usageProblemCount > 0)
        {
            yield return $"{usageProblemCount} responses have counts that contradict each other; they are left out of tokens, TPOT, KV bytes and savings";
        }

        foreach (var note in reports.SelectMany(FindSaturation))
        {
            yield return note;
        }
    }

    private static IEnumerable<string> FindSaturation(PointReport point)
    {
        foreach (var arm in point.Arms)
        {
            if (arm.Saturation is { IsOverSaturated: true } saturation)
            {
                yield return string.Create(
                    CultureInfo.InvariantCulture,
                    $"{arm.Arm}: over-saturated: {saturation.ArrivalsPerSecond:0.##} requests/s arrived, {saturation.CompletionsPerSecond:0.##} ended, "
                    + $"the backlog grew from {saturation.InFlightAtHalf} to {saturation.InFlightAtEnd}; latencies grow with the length of the run, lower --rate");
            }

            if (point.Load.Kind == "open_loop" && arm.InFlight.Max >= point.Load.Concurrency)
            {
                yield return $"{arm.Arm}: all {point.Load.Concurrency} connections were in use (--concurrency); requests waited in the client, and their latency says so";
            }
        }
    }
}
