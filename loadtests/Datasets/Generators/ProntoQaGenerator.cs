namespace Tessera.LoadTests.Datasets.Generators;

/// <summary>ProntoQA with five hops: is a property true of an entity, given fictional rules? The form of Training/tessera_training/tasks/prontoqa.py.</summary>
internal static class ProntoQaGenerator
{
    private const double NegationRate = 1.0 / 3;

    // Of the asked property, as measured on the released problems.
    private const double AskedNegationRate = 0.44;

    private static readonly string[] Entities = "Fae Rex Sally Max Alex Sam Polly Stella Wren".Split(' ');

    private static readonly string[] Concepts =
        "wumpus yumpus zumpus dumpus rompus numpus tumpus vumpus impus jompus gorpus shumpus lempus sterpus grimpus lorpus brimpus".Split(' ');

    private static readonly string[][] Families =
    [
        .. ("blue red brown orange|small large|metallic wooden luminous liquid|transparent opaque|nervous happy feisty shy|bright dull|"
            + "sweet sour spicy bitter|floral fruity earthy|hot cold temperate|kind mean angry amenable aggressive|"
            + "melodic muffled discordant loud|slow moderate fast|windy sunny overcast rainy snowy").Split('|').Select(family => family.Split(' ')),
    ];

    public static (string Prompt, string Answer) Make(Random random)
    {
        var entity = random.Choose(Entities);
        var names = random.Sample(Concepts, 14);
        var chain = names[1..6]; // chain[0] is a names[0]; the entity is a chain[4]
        var distractors = names[6..11];
        var (extraTop, extra, contrary) = (names[11], names[12], names[13]);
        var sentences = new List<string> { Rule(random, extra, extraTop) };
        for (var i = 0; i < chain.Length; i++)
        {
            sentences.Add(Rule(random, chain[i], i == 0 ? names[0] : chain[i - 1]));
            sentences.Add(Rule(random, chain[i], distractors[i]));
        }

        var families = random.Sample(Families, 11);
        var asked = (Word: "", Positive: false);
        var owners = chain.Concat(distractors).Append(extra).ToArray();
        for (var i = 0; i < owners.Length; i++)
        {
            var rate = i == 0 ? AskedNegationRate : NegationRate;
            var (word, positive) = (random.Choose(families[i]), random.NextDouble() >= rate);
            asked = i == 0 ? (word, positive) : asked;
            sentences.Add(Property(random, owners[i], word, positive));
        }

        sentences.Add(Property(random, contrary, asked.Word, !asked.Positive));
        var ordered = random.Sample(sentences, sentences.Count);
        var facts = random.Sample(new[] { $"{entity} is {WithArticle(chain[^1])}.", $"{entity} is {WithArticle(extra)}." }, 2);
        var claim = random.NextDouble() < 0.5 ? asked.Positive : !asked.Positive;
        var prompt = $"{string.Join(' ', ordered.Concat(facts))} True or false: {entity} is {Not(claim)}{asked.Word}.";
        return (prompt, claim == asked.Positive ? "True" : "False");
    }

    private static string Rule(Random random, string subject, string kind) => random.NextDouble() switch
    {
        < 0.5 => $"{Capitalised(subject)}es are {kind}es.",
        < 0.75 => $"Every {subject} is {WithArticle(kind)}.",
        _ => $"Each {subject} is {WithArticle(kind)}.",
    };

    private static string Property(Random random, string subject, string word, bool positive) => random.NextDouble() switch
    {
        < 0.5 => $"{Capitalised(subject)}es are {Not(positive)}{word}.",
        < 0.75 => $"Every {subject} is {Not(positive)}{word}.",
        _ => $"Each {subject} is {Not(positive)}{word}.",
    };

    private static string Not(bool positive) => positive ? "" : "not ";

    private static string WithArticle(string word) => "aeiou".Contains(word[0], StringComparison.Ordinal) ? $"an {word}" : $"a {word}";

    private static string Capitalised(string word) => char.ToUpperInvariant(word[0]) + word[1..];
}
