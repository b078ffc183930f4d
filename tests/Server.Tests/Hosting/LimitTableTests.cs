using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Tessera.Server.Hosting;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Api.Rest;
using Tessera.Server.Tests.Security;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Hosting;

/// <summary>The table of docs/reference/limits.md: each default is the option's and what <c>/info</c> says, and each limit is tested at its bound and past it.</summary>
public sealed partial class LimitTableTests(LimitTableTests.Shared shared) : IClassFixture<LimitTableTests.Shared>
{
    private const string FieldRest = $"{nameof(FieldLimitTests)}.{nameof(FieldLimitTests.Rest_AtTheBoundAndPastIt_IsAnsweredAndRefusedByName)}";
    private const string FieldGrpc = $"{nameof(FieldLimitTests)}.{nameof(FieldLimitTests.Grpc_AtTheBoundAndPastIt_IsAnsweredAndRefusedWithAViolation)}";

    // The limit as the table names it, and the tests at its bound and past it.
    private static readonly Dictionary<string, string[]> Tests = new()
    {
        ["body, or message of a gRPC call, also when decompressed"] =
        [
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.Body_AtAndPastTheBound_IsTakenAndRefused)}",
            $"{nameof(GrpcWireTests)}.{nameof(GrpcWireTests.Call_MessageOfTheLargestSize_IsRead)}",
            $"{nameof(GrpcWireTests)}.{nameof(GrpcWireTests.Call_MessageOverTheLargestSize_IsResourceExhausted)}",
            $"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.GrpcMessage_LargerOnceDecompressed_IsResourceExhausted)}",
            $"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.GrpcMessage_AnswerLargerThanTheBound_IsResourceExhausted)}",
        ],
        ["compressed REST bodies"] = [$"{nameof(JsonBodyTests)}.{nameof(JsonBodyTests.Post_CompressedBody_IsRefused)}"],
        ["levels of JSON"] = [$"{nameof(JsonBodyTests)}.{nameof(JsonBodyTests.Post_NestedArrays_AreTakenUpToTheLimit)}"],
        ["headers"] =
        [
            $"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.HeaderBytes_AtTheBoundAndPastIt_AreTakenAndRefused)}",
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.GrpcHeaders_AtTheBoundAndPastIt_AreTakenAndRefused)}",
        ],
        ["number of headers"] = [$"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.HeaderCount_AtTheBoundAndPastIt_IsTakenAndRefused)}"],
        ["connections, both ports together"] =
            [$"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.Connections_AtTheBoundAndPastIt_AreServedAndClosedBothPortsTogether)}"],
        ["time for the headers"] =
        [
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.Headers_CompleteInTime_AreTaken)}",
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.Headers_NeverComplete_ConnectionIsAnsweredAndClosed)}",
        ],
        ["time for the body"] =
        [
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.Body_CompleteInTime_IsTakenOverBothFronts)}",
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.Body_NeverComplete_IsToldSoAndClosed)}",
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.GrpcMessage_NeverComplete_EndsThatCallAndNoOtherOfItsConnection)}",
        ],
        ["rate of a body"] =
        [
            $"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.Rates_Host_HasThemForBothDirections)}",
            $"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.Rate_SenderOfABodyAboveIt_IsServedAfterTheGrace)}",
            $"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.Rate_SenderOfABodyBelowIt_IsToldSoLongBeforeTheTimeOfABody)}",
        ],
        ["time for a reader to take what was sent"] =
        [
            $"{nameof(SlowReaderTests)}.{nameof(SlowReaderTests.Rest_AnswerIsReadInTime_ComesWhole)}",
            $"{nameof(SlowReaderTests)}.{nameof(SlowReaderTests.Rest_AnswerIsNotRead_ConnectionIsClosedAndNothingRunsOn)}",
            $"{nameof(SlowReaderTests)}.{nameof(SlowReaderTests.Grpc_WindowOpensInTime_AnswerComesWhole)}",
            $"{nameof(SlowReaderTests)}.{nameof(SlowReaderTests.Grpc_LongAnswerIsNotRead_StreamIsResetAndTheConnectionGoesOn)}",
            $"{nameof(SlowReaderTests)}.{nameof(SlowReaderTests.Grpc_ShortAnswerIsNotRead_CallIsOverAndTheConnectionGoesOn)}",
            $"{nameof(SlowReaderTests)}.{nameof(SlowReaderTests.Grpc_ConnectionIsNotRead_IsClosed)}",
            $"{nameof(RawHttp2Tests)}.{nameof(RawHttp2Tests.Generate_ClientLeavesNoRoomForTheAnswer_TakesNoSlotForIt)}",
        ],
        ["time of a request"] =
        [
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.Time_JustBelowTheBoundAndAtIt_IsAnsweredAndEndedOverBothFronts)}",
            $"{nameof(RequestLimitTests)}.{nameof(RequestLimitTests.Time_RequestTakesLonger_IsEndedWithItsStatusOverBothFronts)}",
        ],
        ["prompts of one request for completions"] =
            [$"{nameof(SeveralPromptsTests)}.{nameof(SeveralPromptsTests.Post_PromptCount_AtTheBoundIsAnsweredAndPastItIsRefused)}"],
        ["requests that wait"] =
        [
            $"{nameof(OverloadTests)}.{nameof(OverloadTests.Post_QueueFull_IsRefusedWithTimeToComeBackAndOthersFinish)}",
            $"{nameof(GenerateFailureTests)}.{nameof(GenerateFailureTests.Generate_QueueFull_IsResourceExhaustedAndSaysWhenToRetry)}",
        ],
        ["prompt tokens that wait"] = [$"{nameof(ConnectionLimitTests)}.{nameof(ConnectionLimitTests.QueuedTokens_AtTheBoundAndPastIt_WaitAndAreRefusedOnBothFronts)}"],
        ["requests per minute and key"] = [$"{nameof(RateLimitTests)}.{nameof(RateLimitTests.Requests_KeyOverItsLimit_IsToldWhenToComeBackOverBothFrontsAndOthersGoOn)}"],
        ["tokens per minute and key"] =
        [
            $"{nameof(RateLimitTests)}.{nameof(RateLimitTests.Tokens_KeyOverItsLimit_IsRefusedUntilWhatItTookIsPaidBack)}",
            $"{nameof(RateLimitTests)}.{nameof(RateLimitTests.Tokens_KeyOverItsLimitOverGrpc_IsResourceExhaustedWithTheTimeToComeBack)}",
        ],
        ["prompt and completion"] = [FieldRest, FieldGrpc],
        ["`max_tokens`"] = [FieldRest, FieldGrpc],
        ["`n`"] = [FieldRest, FieldGrpc],
        ["`top_logprobs`"] = [FieldRest, FieldGrpc],
        ["`logit_bias`"] = [FieldRest, FieldGrpc],
        ["`stop`"] = [FieldRest, FieldGrpc],
        ["stop ids"] = [FieldRest, FieldGrpc],
        ["text for `/tokenize` and codes for `/v1/latents/*`"] =
        [
            $"{nameof(TokenRoutesTests)}.{nameof(TokenRoutesTests.Tokenize_TextAtItsBound_IsTakenAndOneMoreIsNot)}",
            $"{nameof(FieldLimitTests)}.{nameof(FieldLimitTests.LatentCodes_AtTheBoundAndPastIt_AreAnsweredAndRefusedOnBothFronts)}",
        ],
    };

    // What /info says beside the bounds: sizes of the engine and a default.
    private static readonly string[] NoBounds = ["default_max_tokens", "max_slots", "prefill_chunk"];

    [Fact]
    public void Table_EveryLimit_HasTests()
    {
        Assert.Equal(Tests.Keys.Order(StringComparer.Ordinal), Rows().Select(row => row.What).Order(StringComparer.Ordinal));
        Assert.All(Tests.Values.SelectMany(names => names), name => Assert.True(IsTest(name), name));
    }

    [Fact]
    public async Task Table_EveryDefault_IsTheOptionsAndOnInfo()
    {
        var limits = (await shared.Server.InfoAsync())["limits"]!.AsObject();
        var rows = Rows();

        Assert.Equal(
            limits.Select(limit => limit.Key).Except(NoBounds).Order(StringComparer.Ordinal), rows.SelectMany(row => row.OnInfo).Order(StringComparer.Ordinal));
        Assert.Equal(shared.Server.Package.Manifest.Architecture.MaxPositions, (int)limits["max_positions"]!);
        var compared = 0;
        foreach (var (what, text, options, onInfo) in rows.Where(row => row.Options.Count > 0 || (row.OnInfo.Count == 1 && row.OnInfo[0] != "max_positions")))
        {
            var value = Value(text);
            Assert.True(value is not null, $"{what}: no value in '{text}'");
            Assert.All(onInfo, name => Assert.Equal((what, value), (what, (int?)limits[name])));
            Assert.All(options, key => Assert.Equal((what, $"{value}"), (what, OptionCatalog.All.Single(option => option.Key == key).Show(new TesseraOptions()))));
            compared++;
        }

        Assert.Equal(18, compared);
    }

    private static bool IsTest(string name)
    {
        var parts = name.Split('.');
        var types = typeof(LimitTableTests).Assembly.GetTypes().Where(type => type.Name == parts[0]);
        return types.Any(type => type.GetMethod(parts[1])?.GetCustomAttributes().Any(attribute => attribute is FactAttribute) == true);
    }

    private static List<Row> Rows()
    {
        var lines = File.ReadAllLines(Path.Combine(RepositoryFolder.Path, "docs", "reference", "limits.md"));
        return [.. lines.Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Skip(1).Select(line => line.Split('|')).Select(cells =>
            new Row(cells[1].Trim(), cells[2].Trim(), Quoted(cells[3], name => name.Contains(':', StringComparison.Ordinal)), Quoted(cells[4], _ => true)))];
    }

    private static List<string> Quoted(string cell, Func<string, bool> isWanted) =>
        [.. InBackticks().Matches(cell).Select(match => match.Groups[1].Value).Where(isWanted)];

    // 1 MiB, 15 s, 300 ids, 4096; none is 0.
    private static int? Value(string text)
    {
        var match = NumberAndUnit().Match(text);
        return text == "none" ? 0
            : !match.Success ? null
            : int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * (match.Groups[2].Value switch { "KiB" => 1 << 10, "MiB" => 1 << 20, _ => 1 });
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex InBackticks();

    [GeneratedRegex("^([0-9]+)(?: (KiB|MiB|s|ids))?$")]
    private static partial Regex NumberAndUnit();

    private sealed record Row(string What, string Default, List<string> Options, List<string> OnInfo);

    public sealed class Shared : SharedServer;
}
