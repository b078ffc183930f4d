namespace Tessera.LoadTests.Datasets.Generators;

/// <summary>Comparison arithmetic: "Leo has 9 coins. Tom has 4 fewer coins than Leo." How many does the last person have? Numbers stay within 0 to 99.</summary>
internal static class ArithmeticGenerator
{
    private const double DistractorRate = 0.3;

    private static readonly string[] Persons = "Ann Ben Cara Dan Ella Finn Gina Hugo Ivy Leo Mia Ned Olga Paul Tom".Split(' ');

    private static readonly string[] Items = "apples coins books cards".Split(' ');

    public static (string Prompt, string Answer) Make(Random random)
    {
        var comparisons = random.Next(2, 6);
        var names = random.Sample(Persons, comparisons + 2);
        var item = random.Choose(Items);
        var values = new List<int> { random.Next(2, 21) };
        var sentences = new List<string> { $"{names[0]} has {values[0]} {item}." };
        for (var i = 1; i <= comparisons; i++)
        {
            var (relation, value) = Compare(random, values[i - 1], item);
            sentences.Add($"{names[i]} has {relation} {names[i - 1]}.");
            values.Add(value);
        }

        if (random.NextDouble() < DistractorRate)
        {
            var other = random.Next(comparisons);
            sentences.Add($"{names[^1]} has {Compare(random, values[other], item).Relation} {names[other]}.");
        }

        var ordered = random.Sample(sentences, sentences.Count);
        return ($"{string.Join(' ', ordered)} How many {item} does {names[comparisons]} have?", values[^1].ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    private static (string Relation, int Value) Compare(Random random, int value, string item)
    {
        var kind = random.NextDouble();
        if (kind < 0.15 && value <= 49)
        {
            return ($"2 times as many {item} as", value * 2);
        }

        if (kind < 0.25 && value <= 33)
        {
            return ($"3 times as many {item} as", value * 3);
        }

        if ((kind < 0.62 && value <= 90) || value == 0)
        {
            var more = random.Next(1, 10);
            return ($"{more} more {item} than", value + more);
        }

        var fewer = random.Next(1, Math.Min(9, value) + 1);
        return ($"{fewer} fewer {item} than", value - fewer);
    }
}
