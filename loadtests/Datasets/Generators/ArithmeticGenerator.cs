using System.Globalization;

namespace Tessera.LoadTests.Datasets.Generators;

/// <summary>
/// Arithmetic word problems: shuffled comparisons ("Tom has 4 fewer than Leo."), asked for the last person of a chain of 2 to 6; distractors hang off the chain, off
/// the asked person, or stand apart. Every count is within 0 to 99. The form and the training wordings of Training/tessera_training/tasks/arithmetic.py.
/// </summary>
internal static class ArithmeticGenerator
{
    private const int MostCount = 99;
    private const int MostAmount = 9;
    private const int MostTimes = 4;
    private const double ForkRate = 0.35;
    private const double TailRate = 0.35;
    private const double ApartRate = 0.15;

    private static readonly string[] Names = "Ann Ben Dan Eve Ian Joy Kim Leo Mia Ned Pam Zoe".Split(' ');

    private static readonly string[] Items = "apples books cards coins eggs pens shells stamps".Split(' ');

    private static readonly string[] Verbs = ["has", "owns", "keeps"];

    // Verb and phrase; the other pairs are held out of training.
    private static readonly Dictionary<string, string[]> Wordings = new(StringComparer.Ordinal)
    {
        ["more"] = ["has {0} more than", "has {0} in excess of", "owns {0} in excess of", "keeps {0} more than"],
        ["fewer"] =
        [
            "has {0} fewer than", "has {0} less than", "owns {0} less than", "owns {0} short of", "keeps {0} fewer than", "keeps {0} short of",
        ],
        ["times"] = ["has {0} times as many as", "has {0} times the number of", "owns {0} times as many as", "keeps {0} times the number of"],
        ["half"] = ["has half as many as", "owns half as many as", "owns half the number of", "keeps half the number of"],
    };

    public static (string Prompt, string Answer) Make(Random random)
    {
        var length = random.Next(2, 7);
        var story = new Story(random, random.Sample(Names, length + 5));
        var chain = story.Give();
        for (var i = 0; i < length; i++)
        {
            chain.Add(story.Compare(chain[^1]));
        }

        if (random.NextDouble() < ForkRate)
        {
            story.Compare(chain[random.Next(length)]);
        }

        if (random.NextDouble() < TailRate)
        {
            story.Compare(chain[^1]);
        }

        if (random.NextDouble() < ApartRate)
        {
            story.Compare(story.Give()[0]);
        }

        var sentences = random.Sample(story.Sentences, story.Sentences.Count);
        var (asked, count) = chain[^1];
        return ($"{string.Join(' ', sentences)} How many {story.Item} does {asked} have?", count.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Persons with their counts, and the sentences that tell of them.</summary>
    private sealed class Story(Random random, string[] names)
    {
        private int _used;

        public string Item { get; } = random.Choose(Items);

        public List<string> Sentences { get; } = [];

        /// <summary>A person with a given count, as the start of a chain.</summary>
        public List<(string Name, int Count)> Give()
        {
            var person = (Name: names[_used++], Count: random.Next(2, 21));
            Sentences.Add($"{person.Name} {random.Choose(Verbs)} {person.Count} {Item}.");
            return [person];
        }

        /// <summary>A person who is compared with another one.</summary>
        public (string Name, int Count) Compare((string Name, int Count) source)
        {
            var (kind, amount, count) = Draw(source.Count);
            var name = names[_used++];
            var relation = string.Format(CultureInfo.InvariantCulture, random.Choose(Wordings[kind]), amount);
            Sentences.Add($"{name} {relation} {source.Name}.");
            return (name, count);
        }

        private (string Kind, int Amount, int Count) Draw(int of)
        {
            while (true)
            {
                var kind = random.NextDouble() switch { < 0.16 => "times", < 0.26 => "half", < 0.64 => "more", _ => "fewer" };
                var amount = kind == "times" ? random.Next(2, MostTimes + 1) : random.Next(1, MostAmount + 1);
                var count = kind switch { "times" => of * amount, "half" => of / 2, "more" => of + amount, _ => of - amount };
                if (count is >= 0 and <= MostCount && (kind != "half" || (of % 2 == 0 && of > 0)))
                {
                    return (kind, amount, count);
                }
            }
        }
    }
}
