using System.CommandLine;
using Tessera.LoadTests.Arrivals;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Commands;

/// <summary>The options of <c>run</c> and <c>compare</c>: declared once, read into <see cref="LoadOptions"/>.</summary>
internal sealed class LoadCommandOptions
{
    private const int MostConnections = 4096;
    private const double MostRate = 100_000;

    private readonly bool _isComparison;

    private readonly Option<string> _dataset = new("--dataset")
    {
        Description = "JSONL with \"prompt\" and \"answer\" (or GSM8K's \"question\"), the ProsQA JSON array, or builtin:prosqa, builtin:prontoqa, builtin:arithmetic.",
        Required = true,
        HelpName = "file",
    };

    private readonly Option<AnswerRule?> _answerRule = OptionParsing.Value<AnswerRule?>(
        "--answer-rule", "How answers are compared; the dataset's own rule when not given.", "rule",
        "exact, final_number, final_sentence or exact_or_final_number", TryParseRule);

    private readonly Option<int?> _requests;

    private readonly Option<List<int>> _concurrency = OptionParsing.Counts(
        "--concurrency", "Requests at once (closed loop), one measurement each; 1 when not given. With --rate: most requests at once.", 1, MostConnections);

    private readonly Option<List<double>> _rate = OptionParsing.Value<List<double>>(
        "--rate", "Open loop: requests per second on average, whatever the server does; one measurement each.", "r[,r..]",
        $"requests per second above 0, at most {MostRate:0}, or several with commas",
        (string text, out List<double> values) => OptionParsing.TryParseList(
            text, (string part, out double value) => OptionParsing.TryParseNumber(part, 1e-6, MostRate, out value), out values));

    private readonly Option<double?> _burstiness = OptionParsing.Number(
        "--burstiness", "Open loop: shape of the gamma distributed gaps; 1 (Poisson) when not given, below 1 burstier, above 1 more even.", "shape", 0.01, 1000,
        "a number, 0.01 to 1000");

    private readonly Option<double?> _rampFrom = OptionParsing.Number(
        "--ramp-from", "Open loop: the rate climbs from here to --rate.", "rate", 1e-6, MostRate, $"requests per second above 0, at most {MostRate:0}");

    private readonly Option<RampShape?> _ramp = OptionParsing.Value<RampShape?>(
        "--ramp", "How the rate climbs; linear when not given.", "shape", "linear or exponential", TryParseRamp);

    private readonly Option<string> _out = new("--out") { Description = "Folder for report.json, report.html and the charts.", Required = true, HelpName = "folder" };
    private readonly Option<Uri?> _url = OptionParsing.Address("--url", "REST address of the server; http://127.0.0.1:8080 when not given.", "http://127.0.0.1:8080");

    private readonly Option<Uri?> _grpc = OptionParsing.Address(
        "--grpc", "Send the requests over gRPC to this address; models and memory are still read from --url.", "http://127.0.0.1:8081");

    private readonly Option<string> _apiKeyEnvironment = new("--api-key-env")
    {
        Description = "Environment variable with the API key; TESSERA_API_KEY when not given.",
        HelpName = "name",
    };

    private readonly Option<string> _apiKeyFile = new("--api-key-file") { Description = "File with the API key on its first line.", HelpName = "file" };
    private readonly Option<ReasoningMode?> _mode;
    private readonly Option<List<int?>> _latentBudget;
    private readonly Option<int?> _maxTokens = OptionParsing.Count("--max-tokens", "Most tokens per response; the server's default when not given.", 1);

    private readonly Option<int?> _warmup = OptionParsing.Count(
        "--warmup", "Prompts run first in each mode and not counted; as many as the concurrency (8 with --rate) when not given.", 0);

    private readonly Option<double?> _timeout = OptionParsing.Number(
        "--timeout", "Seconds after which a request counts as timed out; 120 when not given.", "seconds", 0.001, 86_400, "seconds, 0.001 to 86400");

    private readonly Option<int?> _seed = OptionParsing.Count("--seed", "Seed of prompts, order, arrivals and intervals; 1 when not given.", 0);
    private readonly Option<string> _model = new("--model") { Description = "Model id; the server's only model when not given.", HelpName = "id" };

    private readonly Option<Objectives?> _goodput = OptionParsing.Value<Objectives?>(
        "--goodput", "Count requests that meet all objectives, in milliseconds: ttft:200,ttfa:400,tpot:50,e2e:3000.", "objectives", Objectives.Form, TryParseObjectives);

    private readonly Option<string> _baseline = new("--baseline") { Description = "An earlier report.json to compare with.", HelpName = "file" };

    private readonly Option<List<FailRule>> _failOn = OptionParsing.Value<List<FailRule>>(
        "--fail-on", $"Exit with 3 when a figure is worse than in --baseline: p99_e2e=+10%,accuracy=-1pt. Figures: {Baseline.Names}.", "rules",
        FailRule.Form, (string text, out List<FailRule> rules) => OptionParsing.TryParseList(text, FailRule.TryParse, out rules));


    private readonly Option<bool> _sharedPrefixCache = new("--shared-prefix-cache")
    {
        Description = "Let modes and loads find each other's prompts in the server's prefix cache; each has its own salt when not given.",
    };

    private readonly Option<bool> _noPng = new("--no-png") { Description = "Do not write the charts as PNG (they need Chromium or Chrome)." };

    public LoadCommandOptions(bool isComparison)
    {
        _isComparison = isComparison;
        _requests = OptionParsing.Count(
            "--requests", isComparison ? "Prompts to run, each in every mode; all (200 built-in ones) when not given." : "Prompts to run; all (200 built-in ones) when not given.", 1);
        _mode = OptionParsing.Value<ReasoningMode?>(
            "--mode", "Reasoning mode; auto when not given (plain on servers that are not Tessera).", "mode", "text, latent, auto, none or plain", TryParseMode);
        _latentBudget = OptionParsing.Value<List<int?>>(
            "--latent-budget",
            isComparison ? "Most latents per response in latent mode, several for a sweep along the dial: 0,1,2,4,all; all when not given." : "Most latents per response; all when not given.",
            isComparison ? "n[,n..]" : "n",
            isComparison ? "a whole number, 0 or more, or all, or several with commas" : "a whole number, 0 or more, or all", TryParseBudgets);
    }

    /// <summary>Adds all options to their command, with the checks that need more than one of them.</summary>
    public void AddTo(Command command)
    {
        Option[] all =
        [
            _dataset, _answerRule, _requests, _concurrency, _rate, _burstiness, _rampFrom, _ramp, _out, _url, _grpc, _apiKeyEnvironment, _apiKeyFile, _latentBudget,
            _maxTokens, _warmup, _timeout, _seed, _model, _goodput, _baseline, _failOn, _sharedPrefixCache, _noPng,
        ];
        foreach (var option in all)
        {
            command.Options.Add(option);
        }

        if (!_isComparison)
        {
            command.Options.Add(_mode);
        }

        command.Validators.Add(result =>
        {
            void Needs(Option option, Option other)
            {
                if (result.GetResult(option) is { Implicit: false } && result.GetResult(other) is null)
                {
                    result.AddError($"{option.Name}: needs {other.Name}");
                }
            }

            Needs(_burstiness, _rate);
            Needs(_rampFrom, _rate);
            Needs(_ramp, _rampFrom);
            Needs(_failOn, _baseline);
        });
    }

    /// <exception cref="LoadTestException">The options contradict each other, or the key cannot be read.</exception>
    public LoadOptions Read(ParseResult parsed)
    {
        var rates = parsed.GetValue(_rate) ?? [];
        var concurrency = parsed.GetValue(_concurrency) ?? [];
        var budgets = parsed.GetValue(_latentBudget) is { Count: > 0 } given ? given : [null];
        if (rates.Count > 0 && concurrency.Count > 1)
        {
            throw new LoadTestException("--concurrency: expected one number together with --rate");
        }

        if (!_isComparison && budgets.Count > 1)
        {
            throw new LoadTestException("--latent-budget: expected one number in run; several are a sweep of compare");
        }

        return new LoadOptions
        {
            IsComparison = _isComparison,
            Dataset = parsed.GetRequiredValue(_dataset),
            AnswerRule = parsed.GetValue(_answerRule),
            Requests = parsed.GetValue(_requests),
            Concurrency = concurrency,
            Rates = rates,
            Burstiness = parsed.GetValue(_burstiness) ?? 1,
            Ramp = parsed.GetValue(_rampFrom) is { } from ? new Ramp(from, parsed.GetValue(_ramp) ?? RampShape.Linear) : null,
            Out = parsed.GetRequiredValue(_out),
            Url = parsed.GetValue(_url) ?? new Uri("http://127.0.0.1:8080"),
            Grpc = parsed.GetValue(_grpc),
            ApiKey = ApiKeys.Read(parsed.GetValue(_apiKeyEnvironment), parsed.GetValue(_apiKeyFile)),
            Mode = _isComparison ? null : parsed.GetValue(_mode),
            LatentBudgets = budgets,
            MaxTokens = parsed.GetValue(_maxTokens),
            Warmup = parsed.GetValue(_warmup),
            Timeout = TimeSpan.FromSeconds(parsed.GetValue(_timeout) ?? 120),
            Seed = parsed.GetValue(_seed) ?? 1,
            Model = parsed.GetValue(_model),
            Objectives = parsed.GetValue(_goodput),
            Baseline = parsed.GetValue(_baseline),
            FailOn = parsed.GetValue(_failOn) ?? [],
            SharesPrefixCache = parsed.GetValue(_sharedPrefixCache),
            WritesPng = !parsed.GetValue(_noPng),
        };
    }

    private static bool TryParseRule(string text, out AnswerRule? rule)
    {
        rule = Enum.GetValues<AnswerRule>().Cast<AnswerRule?>().FirstOrDefault(known => ReportBuilder.Name(known!.Value) == text);
        return rule is not null;
    }

    private static bool TryParseRamp(string text, out RampShape? shape)
    {
        shape = text switch
        {
            "linear" => RampShape.Linear,
            "exponential" => RampShape.Exponential,
            _ => null,
        };
        return shape is not null;
    }

    private static bool TryParseMode(string text, out ReasoningMode? mode)
    {
        var known = ReasoningModes.TryParse(text, out var parsed);
        mode = parsed;
        return known;
    }

    private static bool TryParseObjectives(string text, out Objectives? objectives)
    {
        var known = Objectives.TryParse(text, out var parsed);
        objectives = parsed;
        return known;
    }

    private static bool TryParseBudgets(string text, out List<int?> budgets) => OptionParsing.TryParseList(
        text, (string part, out int? value) =>
        {
            value = null;
            return part == "all" || OptionParsing.TryParseCount(part, 0, int.MaxValue, out value);
        }, out budgets);
}
