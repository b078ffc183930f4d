namespace Tessera.LoadTests.Datasets.Generators;

/// <summary>
/// ProsQA: which of two concepts is reachable from a person in a graph of "Every X is a Y." sentences? Graphs as the published generator makes them, in the
/// form of Training/tessera_training/tasks/prosqa.py.
/// </summary>
internal static class ProsQaGenerator
{
    private const int NodeCount = 28;
    private const int FewestHops = 3;
    private const int MostHops = 6;
    private const int Unreached = int.MaxValue;

    private static readonly string[] Concepts =
        ("boompus bompus brimpus chorpus dumpus felpus fompus gerpus gorpus grimpus gwompus hilpus impus jelpus jompus "
        + "kerpus lempus lorpus numpus quimpus rempus rompus rorpus scrompus shumpus sterpus storpus terpus timpus tumpus "
        + "vumpus worpus wumpus yerpus yimpus yumpus zhorpus zumpus").Split(' ');

    private static readonly string[] Persons = "Alex Bob Carol Davis Eva Fae Gabriel Jack Max Oliver Polly Rex Sally Sam Stella Tom Wren".Split(' ');

    public static (string Prompt, string Answer) Make(Random random)
    {
        Graph? graph;
        do
        {
            graph = TryGrow(random);
        }
        while (graph is null);

        var names = Name(random, graph);
        var sentences = graph.Edges.Select(edge => graph.IsPerson(edge.From)
            ? $"{names[edge.From]} is a {names[edge.To]}."
            : $"Every {names[edge.From]} is a {names[edge.To]}.").ToArray();
        random.Shuffle(sentences);
        var (first, second) = random.Next(2) == 0 ? (graph.Target, graph.Other) : (graph.Other, graph.Target);
        var prompt = $"{string.Join(' ', sentences)} Is {names[graph.Root]} a {names[first]} or {names[second]}?";
        return (prompt, $"{names[graph.Root]} is a {names[graph.Target]}.");
    }

    // Two roots grow; a node's label has bit r when root r reaches it. The asked target is below one root only, the other candidate below the other one only.
    private static Graph? TryGrow(Random random)
    {
        var edges = new List<(int From, int To)>();
        var label = new int[NodeCount];
        var depth = new int[NodeCount];
        (label[0], label[1]) = (1, 2);
        List<int>[] groups = [[], [0], [1], []];
        for (var node = 2; node < NodeCount; node++)
        {
            var wanted = Poisson(random, 1.5);
            var side = random.NextDouble();
            var candidates = side <= 0.35 ? groups[1] : side <= 0.8 ? groups[2] : [.. Enumerable.Range(0, node)];
            var parents = Draw(random, candidates, candidate => (1.5 * depth[candidate]) + 1, Math.Min(wanted, candidates.Count));
            foreach (var parent in parents)
            {
                label[node] |= label[parent];
                edges.Add((parent, node));
            }

            groups[label[node]].Add(node);
            depth[node] = parents.Count == 0 ? 0 : 1 + parents.Min(parent => depth[parent]);
        }

        return ChooseQuestion(random, edges, label);
    }

    private static Graph? ChooseQuestion(Random random, List<(int From, int To)> edges, int[] label)
    {
        var children = edges.ToLookup(edge => edge.From, edge => edge.To);
        var deepest = new (int Hops, int Node)[2];
        var leaves = new List<int>[2];
        for (var root = 0; root < 2; root++)
        {
            var hops = Distances(children, root);
            leaves[root] = [.. Enumerable.Range(2, NodeCount - 2).Where(node => label[node] == root + 1 && !children[node].Any())];
            if (leaves[root].Count == 0)
            {
                return null;
            }

            var most = leaves[root].Max(node => hops[node]);
            deepest[root] = (most, random.Choose([.. leaves[root].Where(node => hops[node] == most)]));
        }

        var asked = deepest[0].Hops == deepest[1].Hops ? random.Next(2) : deepest[1].Hops > deepest[0].Hops ? 1 : 0;
        if (deepest[asked].Hops is < FewestHops or > MostHops)
        {
            return null;
        }

        var other = random.NextDouble() < 0.5 ? deepest[1 - asked].Node : random.Choose(leaves[1 - asked]);
        var graph = new Graph(edges, asked, deepest[asked].Node, other);
        return graph.Persons.Count <= Persons.Length && graph.Concepts.Count <= Concepts.Length ? graph : null;
    }

    private static Dictionary<int, string> Name(Random random, Graph graph)
    {
        var names = new Dictionary<int, string>();
        foreach (var (nodes, words) in new[] { (graph.Persons, Persons), (graph.Concepts, Concepts) })
        {
            foreach (var (node, word) in nodes.Zip(random.Sample(words, nodes.Count)))
            {
                names[node] = word;
            }
        }

        return names;
    }

    private static int[] Distances(ILookup<int, int> children, int start)
    {
        var distance = Enumerable.Repeat(Unreached, NodeCount).ToArray();
        distance[start] = 0;
        var queue = new Queue<int>([start]);
        while (queue.TryDequeue(out var node))
        {
            foreach (var child in children[node].Where(child => distance[child] == Unreached))
            {
                distance[child] = distance[node] + 1;
                queue.Enqueue(child);
            }
        }

        return distance;
    }

    // Knuth's product of uniforms.
    private static int Poisson(Random random, double rate)
    {
        var limit = Math.Exp(-rate);
        var count = 0;
        for (var product = random.NextDouble(); product > limit; product *= random.NextDouble())
        {
            count++;
        }

        return count;
    }

    private static List<int> Draw(Random random, IReadOnlyList<int> items, Func<int, double> weight, int count)
    {
        var left = items.ToList();
        var drawn = new List<int>(count);
        while (drawn.Count < count)
        {
            var mark = random.NextDouble() * left.Sum(weight);
            var index = 0;
            while (index < left.Count - 1 && (mark -= weight(left[index])) >= 0)
            {
                index++;
            }

            drawn.Add(left[index]);
            left.RemoveAt(index);
        }

        return drawn;
    }

    /// <summary>A labelled graph without cycles; edge (a, b) says "a is a b". Nodes without parents are persons.</summary>
    private sealed class Graph
    {
        private readonly HashSet<int> _withParents;

        public Graph(List<(int From, int To)> edges, int root, int target, int other)
        {
            (Edges, Root, Target, Other) = (edges, root, target, other);
            _withParents = [.. edges.Select(edge => edge.To)];
            var nodes = edges.SelectMany(edge => new[] { edge.From, edge.To }).Distinct().Order().ToList();
            Persons = [.. nodes.Where(IsPerson)];
            Concepts = [.. nodes.Where(node => !IsPerson(node))];
        }

        public List<(int From, int To)> Edges { get; }

        public int Root { get; }

        public int Target { get; }

        public int Other { get; }

        public List<int> Persons { get; }

        public List<int> Concepts { get; }

        public bool IsPerson(int node) => !_withParents.Contains(node);
    }
}
