using System.Globalization;
using System.Text.RegularExpressions;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Datasets.Generators;

namespace Tessera.LoadTests.Tests.Datasets;

public sealed partial class ProblemGeneratorTests
{
    [Theory]
    [InlineData("builtin:prosqa", AnswerRule.FinalSentence)]
    [InlineData("builtin:prontoqa", AnswerRule.Exact)]
    [InlineData("builtin:arithmetic", AnswerRule.FinalNumber)]
    public void Generate_SameSeed_GivesTheSameDistinctProblems(string dataset, AnswerRule rule)
    {
        var first = ProblemGenerator.Generate(dataset, 100, 5);
        var longer = ProblemGenerator.Generate(dataset, 120, 5);

        Assert.Equal(rule, first.AnswerRule);
        Assert.Equal(DatasetLayout.Generated, first.Layout);
        Assert.Equal(100, first.Cases.Select(problem => problem.Prompt).Distinct().Count());
        Assert.Equal(first.Cases, longer.Cases.Take(100));
        Assert.Equal(first.Sha256, ProblemGenerator.Generate(dataset, 100, 5).Sha256);
        Assert.NotEqual(first.Sha256, ProblemGenerator.Generate(dataset, 100, 6).Sha256);
        Assert.All(first.Cases, problem => Assert.True(AnswerChecker.IsCorrect(rule, problem.Answer, problem.Answer)));
    }

    // Walks the sentences: the right concept can be reached from the person, the other one cannot.
    [Fact]
    public void Generate_ProsQa_HasExactlyOneReachableCandidate()
    {
        foreach (var problem in ProblemGenerator.Generate("builtin:prosqa", 200, 1).Cases)
        {
            var edges = Edge().Matches(problem.Prompt).ToLookup(match => match.Groups[1].Value, match => match.Groups[2].Value);
            var question = Question().Match(problem.Prompt);
            var reached = new HashSet<string>();
            var queue = new Queue<string>([question.Groups[1].Value]);
            while (queue.TryDequeue(out var node))
            {
                foreach (var next in edges[node].Where(reached.Add))
                {
                    queue.Enqueue(next);
                }
            }

            var candidates = new[] { question.Groups[2].Value, question.Groups[3].Value };
            var right = Assert.Single(candidates, reached.Contains);
            Assert.Equal($"{question.Groups[1].Value} is a {right}.", problem.Answer);
        }
    }

    // Follows the rules from the entity up to the asked property, in whichever form they are written.
    [Fact]
    public void Generate_ProntoQa_AnswersFollowFromTheFacts()
    {
        var answers = new HashSet<string>();
        foreach (var problem in ProblemGenerator.Generate("builtin:prontoqa", 200, 1).Cases)
        {
            var claim = Claim().Match(problem.Prompt);
            var facts = problem.Prompt[..claim.Index].Split('.', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(Singular).ToLookup(
                fact => fact.Subject, fact => (fact.Object, fact.Positive));
            var known = new Dictionary<string, bool>();
            var queue = new Queue<string>([claim.Groups[1].Value.ToLowerInvariant()]);
            while (queue.TryDequeue(out var subject))
            {
                foreach (var (thing, positive) in facts[subject])
                {
                    known[thing] = positive;
                    queue.Enqueue(thing);
                }
            }

            var isTrue = known[claim.Groups[3].Value] == (claim.Groups[2].Length == 0);
            Assert.Equal(isTrue ? "True" : "False", problem.Answer);
            answers.Add(problem.Answer);
        }

        Assert.Equal(2, answers.Count);
    }

    [Fact]
    public void Generate_Arithmetic_AnswersFollowFromTheSentences()
    {
        foreach (var problem in ProblemGenerator.Generate("builtin:arithmetic", 200, 1).Cases)
        {
            var values = Start().Matches(problem.Prompt).ToDictionary(match => match.Groups[1].Value, match => Number(match.Groups[2].Value));
            var relations = Relation().Matches(problem.Prompt).ToList();
            Assert.Equal(problem.Prompt.Count(character => character == '.'), values.Count + relations.Count);
            for (var rounds = 0; rounds < relations.Count; rounds++)
            {
                foreach (var relation in relations.Where(relation => values.ContainsKey(relation.Groups[4].Value)))
                {
                    var from = values[relation.Groups[4].Value];
                    values[relation.Groups[1].Value] = relation.Groups[3].Value switch
                    {
                        "more than" or "in excess of" => from + Number(relation.Groups[2].Value),
                        "fewer than" or "less than" or "short of" => from - Number(relation.Groups[2].Value),
                        "times as many as" or "times the number of" => from * Number(relation.Groups[2].Value),
                        _ => from / 2,
                    };
                }
            }

            var asked = Asked().Match(problem.Prompt).Groups[1].Value;
            Assert.Equal(values[asked], Number(problem.Answer));
            Assert.InRange(values[asked], 0, 99);
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    // "Xes are (not) Y(es)", "Every X is (not) (a) Y", "Sam is a Y".
    private static (string Subject, string Object, bool Positive) Singular(string sentence)
    {
        var words = sentence.ToLowerInvariant().Split(' ').ToList();
        var verb = words.FindIndex(word => word is "is" or "are");
        var subject = words[verb - 1];
        var thing = words[^1];
        if (words[verb] == "are")
        {
            subject = subject[..^2];
            thing = thing.EndsWith("uses", StringComparison.Ordinal) ? thing[..^2] : thing;
        }

        return (subject, thing, !words.Contains("not"));
    }

    [GeneratedRegex(@"(?:Every )?(\w+) is a (\w+)\.")]
    private static partial Regex Edge();

    [GeneratedRegex(@"Is (\w+) a (\w+) or (\w+)\?$")]
    private static partial Regex Question();

    [GeneratedRegex(@"True or false: (\w+) is (not )?(\w+)\.$")]
    private static partial Regex Claim();

    [GeneratedRegex(@"(\w+) (?:has|owns|keeps) (\d+) \w+\.")]
    private static partial Regex Start();

    [GeneratedRegex(
        @"(\w+) (?:has|owns|keeps) (?:(\d+) )?(more than|in excess of|fewer than|less than|short of|times as many as|times the number of|half as many as|half the number of) (\w+)\.")]
    private static partial Regex Relation();

    [GeneratedRegex(@"does (\w+) have\?$")]
    private static partial Regex Asked();
}
