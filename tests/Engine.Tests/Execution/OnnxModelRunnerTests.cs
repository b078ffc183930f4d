using Tessera.Engine.Execution;
using Tessera.Engine.Runtime;
using Tessera.Models;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Execution;

public sealed class OnnxModelRunnerTests : IDisposable
{
    private const int PadId = 3;
    private const int Slots = 4;
    private const float Tolerance = 1e-5f;

    private readonly TemporaryFolder _folder = new();
    private readonly List<OnnxModelRunner> _runners = [];

    public void Dispose()
    {
        foreach (var runner in _runners)
            runner.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Run_WholePrompt_EqualsTheReference(int ngrams)
    {
        var (runner, weights) = Load(ngrams);
        foreach (var length in new[] { 1, 2, 3, 7, 64 })
        {
            var ids = Ids(length, seed: length);
            var expected = TinyDecoderReference.Logits(weights, ids, PadId);

            AssertClose([.. expected.Select(x => (float)x)], Prefill(runner, 0, ids, ids.Length), 1e-4f);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Run_TokenByToken_EqualsWholePrompt(int ngrams)
    {
        var (runner, _) = Load(ngrams);
        var ids = Ids(40, seed: 1);
        var whole = Prefill(runner, 1, ids, ids.Length);

        var last = Array.Empty<float>();
        for (var position = 0; position < ids.Length; position++)
            last = runner.Run(new StepPlan([new SequenceSlice(0, ids, position, 1, true)], null)).ToArray();

        AssertClose(whole, last);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0, 7)]
    [InlineData(3, 1)]
    [InlineData(3, 2)]
    [InlineData(3, 16)]
    public void Run_ChunkedPrompt_EqualsWholePrompt(int ngrams, int chunk)
    {
        var (runner, _) = Load(ngrams);
        var ids = Ids(45, seed: 2);

        AssertClose(Prefill(runner, 0, ids, ids.Length), Prefill(runner, 2, ids, chunk));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Run_RaggedBatch_EqualsEachAlone(int ngrams)
    {
        var (runner, _) = Load(ngrams);
        int[][] sequences = [Ids(5, 1), Ids(33, 2), Ids(1, 3), Ids(17, 4)];
        var (single, _) = Load(ngrams);
        foreach (var (slot, ids) in sequences.Index())
            Prefill(runner, slot, ids.AsSpan(..^1).ToArray(), 8);

        var rows = runner.Run(new StepPlan([.. sequences.Select((ids, slot) => new SequenceSlice(slot, ids, ids.Length - 1, 1, true))], null)).ToArray();

        foreach (var (slot, ids) in sequences.Index())
            AssertClose(Prefill(single, 0, ids, ids.Length), rows.AsSpan(slot * runner.VocabularySize, runner.VocabularySize).ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Run_RowsDividedOverThreads_GiveTheSameBitsAsInOneCall(int ngrams)
    {
        // 19 rows: two parts, of 10 and 9.
        var shape = TinyDecoderWeights.Small(ngrams);
        var (divided, _) = Load(shape, threads: 2, slots: 19);
        var (whole, _) = Load(shape, threads: 1, slots: 19);
        int[][] sequences = [.. Enumerable.Range(0, 19).Select(i => Ids(2 + (i * 3 % 17), seed: i))];
        foreach (var runner in new[] { divided, whole })
        {
            foreach (var (slot, ids) in sequences.Index())
                Prefill(runner, slot, ids[..^1], 32);
        }

        var plan = new StepPlan([.. sequences.Select((ids, slot) => new SequenceSlice(slot, ids, ids.Length - 1, 1, true))], null);
        var expected = whole.Run(plan).ToArray();
        var found = divided.Run(plan).ToArray();

        Assert.Equal(expected, found);
        Assert.Equal(19, found.Chunk(whole.VocabularySize).Select(row => string.Join(',', row)).Distinct().Count());
        Assert.Equal(whole.Cache.PositionCount(18), divided.Cache.PositionCount(18));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Run_WholePromptsInOneCall_EqualEachAlone(int ngrams)
    {
        var (runner, _) = Load(ngrams);
        var (single, _) = Load(ngrams);
        int[] decoding = Ids(12, 1);
        int[][] prompts = [Ids(5, 2), Ids(20, 3), Ids(1, 4)];
        Prefill(runner, 0, decoding[..^1], 8);

        var first = runner.Run(new StepPlan([new SequenceSlice(0, decoding, 11, 1, true)], null)
        {
            Prompts = [.. prompts.Select((ids, i) => new SequenceSlice(i + 1, ids, 0, ids.Length, true))],
        }).ToArray();
        int[][] longer = [.. prompts.Prepend(decoding).Select((ids, i) => (int[])[.. ids, 40 + i])];
        var second = runner.Run(new StepPlan([.. longer.Select((ids, slot) => new SequenceSlice(slot, ids, ids.Length - 1, 1, true))], null)).ToArray();

        foreach (var (row, ids) in longer.Index())
        {
            AssertClose(Prefill(single, 0, ids[..^1], ids.Length), first.AsSpan(row * runner.VocabularySize, runner.VocabularySize).ToArray());
            AssertClose(Prefill(single, 0, ids, ids.Length), second.AsSpan(row * runner.VocabularySize, runner.VocabularySize).ToArray());
        }
    }

    [Fact]
    public void Run_WholePromptsBesideAChunk_GivesDecodeRowsThenPromptsThenTheChunk()
    {
        var (runner, _) = Load(ngrams: 3);
        var (single, _) = Load(ngrams: 3);
        int[][] prompts = [Ids(9, 2), Ids(7, 3)];
        int[] entering = Ids(21, 6);

        var logits = runner.Run(new StepPlan([], new SequenceSlice(3, entering, 0, 21, true))
        {
            Prompts = [.. prompts.Select((ids, slot) => new SequenceSlice(slot, ids, 0, ids.Length, true))],
        }).ToArray();

        foreach (var (row, ids) in prompts.Append(entering).Index())
            AssertClose(Prefill(single, 0, ids, ids.Length), logits.AsSpan(row * runner.VocabularySize, runner.VocabularySize).ToArray());
    }

    [Theory]
    [InlineData(1, 0, 2)]
    [InlineData(0, 1, 2)]
    [InlineData(0, 0, 5)]
    public void Run_WholePromptsOutOfPlace_RefusesThem(int shift, int start, int count)
    {
        var (runner, _) = Load(ngrams: 0);
        var ids = Ids(10, 1);

        Assert.Throws<ArgumentException>(() =>
        {
            runner.Run(new StepPlan([], null) { Prompts = [.. Enumerable.Range(0, count).Select(i => new SequenceSlice(i + shift, ids, start, 5, true))] });
        });
    }

    [Fact]
    public void Run_GreedyInABatchWhoseRowsComeAndGo_EqualsAlone()
    {
        var (runner, _) = Load(ngrams: 3);
        int[][] prompts = [Ids(4, 11), Ids(9, 12), Ids(2, 13)];
        var alone = prompts.Select(prompt => Continue(Load(ngrams: 3).Runner, prompt, 12)).ToArray();

        // Row 1 ends after 5 tokens; row 2 moves into its slot and goes on.
        var sequences = prompts.Select(prompt => prompt.ToList()).ToArray();
        foreach (var (slot, ids) in sequences.Index())
            ids.Add(Best(Prefill(runner, slot, [.. ids], 3)));
        Decode(runner, sequences, 4);
        runner.MoveSlot(2, 1, sequences[2].Count - 1);
        runner.ReleaseSlot(2);
        Decode(runner, [sequences[0], sequences[2]], 7);

        Assert.Equal(alone[0], sequences[0]);
        Assert.Equal(alone[1][..sequences[1].Count], sequences[1]);
        Assert.Equal(prompts[1].Length + 5, sequences[1].Count);
        Assert.Equal(alone[2], sequences[2]);
    }

    [Fact]
    public void Run_DecodeAndChunkInOneStep_GivesDecodeRowsThenTheChunk()
    {
        var (runner, _) = Load(ngrams: 3);
        int[] decoding = Ids(10, 5), entering = Ids(21, 6);
        var expectedDecode = Prefill(runner, 3, decoding, 10);
        var expectedChunk = Prefill(runner, 3, entering, 21);
        Prefill(runner, 0, decoding[..^1], 4);

        var logits = runner.Run(new StepPlan([new SequenceSlice(0, decoding, 9, 1, true)], new SequenceSlice(2, entering, 0, 21, true))).ToArray();

        Assert.Equal(2 * runner.VocabularySize, logits.Length);
        AssertClose(expectedDecode, logits[..runner.VocabularySize]);
        AssertClose(expectedChunk, logits[runner.VocabularySize..]);
    }

    [Fact]
    public void Run_ChunkThatWantsNoLogits_GivesNone()
    {
        var (runner, _) = Load(ngrams: 0);

        Assert.Equal(0, runner.Run(new StepPlan([], new SequenceSlice(1, Ids(8, 1), 0, 8, false))).Length);
        Assert.Equal(8, runner.Cache.PositionCount(1));
    }

    [Fact]
    public void Run_RaggedBatchOnTwoThreads_EqualsEachAlone()
    {
        // Wide enough that the runtime splits matrices and heads over the threads.
        var shape = TinyDecoderWeights.Small(ngramEmbeddings: 3, vocabularySize: 800) with { HiddenSize = 128, HeadDim = 32, KvHeadCount = 4 };
        var (runner, _) = Load(shape, threads: 2);
        int[][] sequences = [Ids(25, 1), Ids(33, 2), Ids(11, 3), Ids(64, 4)];
        var alone = sequences.Select(ids =>
        {
            Prefill(runner, 0, ids[..^1], 16);
            return Prefill(runner, 0, ids, 1, from: ids.Length - 1);
        }).ToArray();
        foreach (var (slot, ids) in sequences.Index())
            Prefill(runner, slot, ids[..^1], 16);

        var rows = runner.Run(new StepPlan([.. sequences.Select((ids, slot) => new SequenceSlice(slot, ids, ids.Length - 1, 1, true))], null)).ToArray();

        foreach (var (slot, expected) in alone.Index())
            AssertClose(expected, rows[(slot * 800)..((slot + 1) * 800)]);
    }

    [Fact]
    public void Run_OfDecodeRows_AllocatesNothing()
    {
        var (runner, _) = Load(ngrams: 2);
        int[][] sequences = [Ids(40, 1), Ids(40, 2), Ids(40, 3)];
        var slices = new List<SequenceSlice>();
        var plan = new StepPlan(slices, null);
        foreach (var (slot, ids) in sequences.Index())
            Prefill(runner, slot, ids[..10], 10);

        var allocated = new List<long>();
        for (var position = 10; position < 40; position++)
        {
            slices.Clear();
            for (var slot = 0; slot < sequences.Length; slot++)
                slices.Add(new SequenceSlice(slot, sequences[slot], position, 1, true));
            var before = GC.GetAllocatedBytesForCurrentThread();
            runner.Run(plan);
            allocated.Add(GC.GetAllocatedBytesForCurrentThread() - before);
        }

        // The first step binds what all later ones use.
        Assert.All(allocated.Skip(1), bytes => Assert.Equal(0, bytes));
    }

    [Fact]
    public void Run_EmptyPlan_GivesNothing() => Assert.Equal(0, Load(ngrams: 0).Runner.Run(new StepPlan([], null)).Length);

    [Fact]
    public void Run_ChunkBesideOtherSlots_LeavesTheirPositions()
    {
        var (runner, _) = Load(ngrams: 0);
        var neighbours = new[] { Ids(64, 1), Ids(64, 2) };
        Prefill(runner, 0, neighbours[0][..^1], 63);
        Prefill(runner, 2, neighbours[1][..^1], 63);
        var expected = neighbours.Select(ids => Prefill(runner, 3, ids, 64)).ToArray();

        Prefill(runner, 1, Ids(64, 3), 16);

        AssertClose(expected[0], Prefill(runner, 0, neighbours[0], 1, from: 63));
        AssertClose(expected[1], Prefill(runner, 2, neighbours[1], 1, from: 63));
    }

    [Fact]
    public void MoveSlot_ThenDecode_KeepsLogits()
    {
        var (runner, _) = Load(ngrams: 3);
        var ids = Ids(30, 8);
        var expected = Prefill(runner, 0, ids, 30);
        Prefill(runner, 3, ids[..^1], 29);
        Prefill(runner, 1, Ids(50, 9), 50);

        runner.MoveSlot(3, 1, 29);
        runner.ReleaseSlot(3);

        AssertClose(expected, Prefill(runner, 1, ids, 1, from: 29));
        Assert.Equal(0, runner.Cache.PositionCount(3));
    }

    [Fact]
    public void Run_GoingBack_ForgetsWhatCameAfter()
    {
        var (runner, _) = Load(ngrams: 0);
        var first = Ids(20, 1);
        var second = first[..10].Concat(Ids(10, 2)).ToArray();
        var expected = Prefill(runner, 1, second, 20);
        Prefill(runner, 0, first, 20);

        AssertClose(expected, Prefill(runner, 0, second, 10, from: 10));
    }

    [Fact]
    public void Run_SamePlanTwice_GivesTheSameBits()
    {
        var ids = Ids(25, 3);

        Assert.Equal(Prefill(Load(ngrams: 3).Runner, 0, ids, 8), Prefill(Load(ngrams: 3).Runner, 2, ids, 8));
    }

    [Fact]
    public void Run_IdOutsideOfTheVocabulary_FailsAndTheRunnerGoesOn()
    {
        var (runner, _) = Load(ngrams: 0);
        var ids = Ids(6, 1);
        var expected = Prefill(runner, 1, ids, 6);

        var error = Assert.Throws<OrtException>(() => runner.Run(new StepPlan([], new SequenceSlice(0, new[] { 96 }, 0, 1, true))).Length);

        Assert.Equal(OrtErrorCode.InvalidArgument, error.Code);
        Assert.Equal(0, runner.Cache.PositionCount(0));
        AssertClose(expected, Prefill(runner, 0, ids, 6));
    }

    [Fact]
    public void Run_Terminated_IsAnOrtException()
    {
        var (runner, _) = Load(ngrams: 0);
        runner.Terminate();

        Assert.Throws<OrtException>(() => runner.Run(new StepPlan([], new SequenceSlice(0, Ids(4, 1), 0, 4, true))).Length);
        Assert.Equal(0, runner.Cache.PositionCount(0));
    }

    [Theory]
    [InlineData(1, 0, 1, "decode row 0 has slot 1 and 1 positions, expected slot 0 and 1 position")]
    [InlineData(0, 0, 2, "decode row 0 has slot 0 and 2 positions, expected slot 0 and 1 position")]
    [InlineData(0, 1, 1, "slot 0 holds 0 positions, the slice starts at 1")]
    [InlineData(0, -1, 1, "slot 0: positions -1+1 of 5 ids, with room for 64")]
    [InlineData(0, 5, 1, "slot 0: positions 5+1 of 5 ids, with room for 64")]
    public void Run_DecodeRowThatCannotBe_NamesTheNumbers(int slot, int start, int count, string message)
    {
        var (runner, _) = Load(ngrams: 0);

        var error = Assert.Throws<ArgumentException>(() => runner.Run(new StepPlan([new SequenceSlice(slot, Ids(5, 1), start, count, true)], null)).Length);

        Assert.StartsWith(message, error.Message);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(Slots, 1)]
    [InlineData(1, 65)]
    public void Run_ChunkThatCannotBe_IsRefusedBeforeAnythingRuns(int slot, int count)
    {
        var (runner, _) = Load(ngrams: 0);
        var decode = new SequenceSlice(0, Ids(1, 1), 0, 1, true);

        Assert.Throws<ArgumentException>(() => runner.Run(new StepPlan([decode], new SequenceSlice(slot, Ids(80, 1), 0, count, true))).Length);

        Assert.Equal(0, runner.Cache.PositionCount(0));
    }

    [Fact]
    public void Sizes_AreThoseOfTheArchitecture()
    {
        var (runner, _) = Load(ngrams: 0);

        Assert.Equal((96, Slots, 64, 512L), (runner.VocabularySize, runner.SlotCount, runner.MaxPositions, runner.KvBytesPerPosition));
    }

    private (OnnxModelRunner Runner, TinyDecoderWeights Weights) Load(int ngrams) => Load(TinyDecoderWeights.Small(ngrams), threads: 1);

    private (OnnxModelRunner Runner, TinyDecoderWeights Weights) Load(Architecture shape, int threads, int slots = Slots)
    {
        var path = _folder["decoder.onnx"];
        var weights = TinyDecoderGraph.Save(path, shape);
        var runner = new OnnxModelRunner(path, shape, PadId, new EngineOptions { MaxSlots = slots, Threads = threads });
        _runners.Add(runner);
        return (runner, weights);
    }

    private static int[] Ids(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(96))];
    }

    /// <summary>Logits after the last id, run in chunks.</summary>
    private static float[] Prefill(OnnxModelRunner runner, int slot, int[] ids, int chunk, int from = 0)
    {
        var logits = Array.Empty<float>();
        for (var start = from; start < ids.Length; start += chunk)
        {
            var count = Math.Min(chunk, ids.Length - start);
            logits = runner.Run(new StepPlan([], new SequenceSlice(slot, ids, start, count, start + count == ids.Length))).ToArray();
        }

        return logits;
    }

    private static List<int> Continue(OnnxModelRunner runner, int[] prompt, int count)
    {
        var ids = prompt.ToList();
        ids.Add(Best(Prefill(runner, 0, prompt, prompt.Length)));
        Decode(runner, [ids], count - 1);
        return ids;
    }

    private static void Decode(OnnxModelRunner runner, IReadOnlyList<List<int>> sequences, int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            var logits = runner.Run(new StepPlan([.. sequences.Select((ids, slot) => new SequenceSlice(slot, ids.ToArray(), ids.Count - 1, 1, true))], null));
            foreach (var (row, ids) in sequences.Index())
                ids.Add(Best(logits.Slice(row * runner.VocabularySize, runner.VocabularySize)));
        }
    }

    private static int Best(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best])
                best = i;
        }

        return best;
    }

    private static void AssertClose(float[] expected, float[] found, float tolerance = Tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        Assert.True(expected.Max() - expected.Min() > 0.1, "the logits do not differ enough to say anything");
        var difference = expected.Zip(found, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(difference <= tolerance, $"logits differ by {difference}, tolerance {tolerance}");
    }
}
