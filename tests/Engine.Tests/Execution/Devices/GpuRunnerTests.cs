using Tessera.Engine.Execution;
using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Runtime;
using Tessera.Models;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Execution.Devices;

/// <summary>The runner on a device with memory of its own: bit for bit what it gives in main memory.</summary>
public sealed class GpuRunnerTests : IDisposable
{
    private const int PadId = 3;
    private const int Slots = 6;

    private readonly TemporaryFolder _folder = new();
    private readonly FakeGpu _gpu = new();
    private readonly List<OnnxModelRunner> _runners = [];

    public void Dispose()
    {
        foreach (var runner in _runners)
            runner.Dispose();
        Assert.Equal(_runners.Count > 0, _gpu.IsDisposed);
        _folder.Dispose();
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(3, true)]
    [InlineData(3, false)]
    public void Run_AnyPlan_GivesTheBitsOfMainMemory(int ngrams, bool capturesGraphs)
    {
        var (device, host) = Load(ngrams, capturesGraphs);
        device.Prepare();
        int[][] ids = [.. Enumerable.Range(0, Slots).Select(i => Ids(30 + i, seed: i))];

        // A chunk, whole prompts beside a second chunk, then decode rows of every number beside a prompt that is still being run.
        AssertSame(new StepPlan([], new SequenceSlice(5, ids[5], 0, 7, false)));
        AssertSame(new StepPlan([], new SequenceSlice(5, ids[5], 7, 6, true)) { Prompts = [.. Enumerable.Range(0, 5).Select(i => new SequenceSlice(i, ids[i], 0, 4 + i, true))] });
        var lengths = Enumerable.Range(4, 5).ToArray();
        for (var rows = 1; rows <= 5; rows++)
        {
            for (var step = 0; step < 2; step++)
                AssertSame(new StepPlan([.. Enumerable.Range(0, rows).Select(i => new SequenceSlice(i, ids[i], lengths[i]++, 1, true))], null));
        }

        AssertSame(new StepPlan([new SequenceSlice(0, ids[0], lengths[0], 1, true)], new SequenceSlice(5, ids[5], 13, 10, true)));

        void AssertSame(StepPlan plan) => Assert.Equal(host.Run(plan).ToArray(), device.Run(plan).ToArray());
    }

    [Fact]
    public void MoveSlot_PrefixesForksAndHoles_KeepTheBits()
    {
        var (device, host) = Load(ngrams: 3, capturesGraphs: true);
        device.Prepare();
        var (first, second) = (Ids(40, 1), Ids(40, 2));

        Both(runner => runner.Run(new StepPlan([], new SequenceSlice(2, first, 0, 20, false))).ToArray());
        Both(runner => runner.Run(new StepPlan([], new SequenceSlice(4, second, 0, 30, false))).ToArray());

        // A fork, a prefix for another sequence, and one kept above the slots of sequences.
        Do(runner => runner.MoveSlot(2, 0, 20));
        Do(runner => runner.MoveSlot(4, 1, 12));
        Do(runner => runner.MoveSlot(2, Slots, 16));
        Do(runner => runner.ReleaseSlot(2));
        Do(runner => runner.MoveSlot(Slots, 2, 16));
        Both(runner => runner.Run(new StepPlan(
            [new SequenceSlice(0, first, 20, 1, true), new SequenceSlice(1, second, 12, 1, true), new SequenceSlice(2, first, 16, 1, true)], null)).ToArray());

        // The last one moves into a hole; the one above goes on with its prompt.
        Do(runner => runner.MoveSlot(2, 0, 17));
        Do(runner => runner.ReleaseSlot(2));
        Both(runner => runner.Run(new StepPlan(
            [new SequenceSlice(0, first, 17, 1, true), new SequenceSlice(1, second, 13, 1, true)], new SequenceSlice(4, second, 30, 10, true))).ToArray());

        Assert.Equal([0, 0, 0, 40], new[] { 2, 3, 5, 4 }.Select(device.Cache.PositionCount));

        void Both(Func<OnnxModelRunner, float[]> run) => Assert.Equal(run(host), run(device));

        void Do(Action<OnnxModelRunner> act)
        {
            act(host);
            act(device);
        }
    }

    [Fact]
    public void Run_RowsBetweenCapturedSizes_AreFilledUp()
    {
        var (device, _) = Load(ngrams: 0, capturesGraphs: true);
        var ids = Ids(10, 1);
        device.Prepare();
        Assert.Equal([1, 2, 4, 6], _gpu.RunIds);
        foreach (var rows in new[] { 1, 2, 3, 4, 5, 6 })
            device.Run(new StepPlan([.. Enumerable.Range(0, rows).Select(i => new SequenceSlice(i, ids, 0, 1, true))], null));
        device.Run(new StepPlan([], new SequenceSlice(0, ids, 1, 5, true)));

        Assert.Equal([1, 2, 4, 4, 6, 6, -1], _gpu.RunIds[4..]);
        Assert.Equal([1, 1, 1, 1, 1, 1], Enumerable.Range(1, 5).Select(device.Cache.PositionCount).Prepend(1));
        Assert.Equal(6, device.Cache.PositionCount(0));
    }

    [Fact]
    public void Prepare_CapturedCalls_AreTotalledForEveryPosition()
    {
        var (device, _) = Load(ngrams: 0, capturesGraphs: true);

        device.Prepare();

        Assert.Equal([(1, 64), (2, 64), (4, 64), (6, 64)], _gpu.CapturedHostInputs.Select(input => (input.Key, input.Value)));
        Assert.All(Enumerable.Range(0, Slots), slot => Assert.Equal(0, device.Cache.PositionCount(slot)));
    }

    [Fact]
    public void Run_WithoutGraphs_RunsJustTheRows()
    {
        var (device, _) = Load(ngrams: 0, capturesGraphs: false);
        device.Prepare();

        device.Run(new StepPlan([.. Enumerable.Range(0, 3).Select(i => new SequenceSlice(i, Ids(1, i), 0, 1, true))], null));

        Assert.Equal([-1], _gpu.RunIds);
    }

    [Fact]
    public void Run_BesideAFullSlot_LeavesItAlone()
    {
        var (device, host) = Load(ngrams: 0, capturesGraphs: true);
        var (full, other) = (Ids(64, 1), Ids(64, 2));
        foreach (var runner in new[] { device, host })
        {
            runner.Run(new StepPlan([], new SequenceSlice(3, full, 0, 64, false)));
            runner.Run(new StepPlan([.. Enumerable.Range(0, 3).Select(i => new SequenceSlice(i, other, 0, 1, true))], null));
        }

        Assert.Equal(DecodeShape.NoGraph, _gpu.RunIds[^1]);
        var again = new StepPlan([], new SequenceSlice(3, full, 60, 4, true));
        Assert.Equal(host.Run(again).ToArray(), device.Run(again).ToArray());
    }

    [Fact]
    public void Run_Decode_CopiesOnceInAndOnceOut()
    {
        var (device, _) = Load(ngrams: 3, capturesGraphs: true);
        device.Prepare();
        var before = _gpu.CopyCounts;

        device.Run(new StepPlan([.. Enumerable.Range(0, 3).Select(i => new SequenceSlice(i, Ids(1, i), 0, 1, true))], null));
        Assert.Equal((before.In + 1, before.Out + 1, 0), _gpu.CopyCounts);

        device.MoveSlot(2, 5, 1);
        Assert.Equal(4, _gpu.CopyCounts.Rows);
    }

    [Fact]
    public void DeviceBytes_AreThePoolsInputsAndLogits_AndStay()
    {
        var (device, host) = Load(ngrams: 0, capturesGraphs: true);
        var bytes = device.DeviceBytes;

        // Pools of 6 slots and 16 kept prompts, 64 positions of 512 bytes; 7 rows of 96 logits; 256 ids, and three small inputs on borders of 256 bytes.
        Assert.Equal((22 * 64 * 512) + (7 * 96 * 4) + (256 * 8) + (3 * 256), bytes);
        device.Run(new StepPlan([], new SequenceSlice(0, Ids(20, 1), 0, 20, false)));
        device.ReleaseSlot(0);

        Assert.Equal(bytes, device.DeviceBytes);
        Assert.Null(host.DeviceBytes);
    }

    [Fact]
    public void Load_TooLittleMemory_SaysSoAndFreesTheRest()
    {
        var shape = TinyDecoderWeights.Small();
        TinyDecoderGraph.Save(_folder["decoder.onnx"], shape);
        using var gpu = new FakeGpu { MaxAllocation = 50_000 };

        Assert.Throws<DeviceException>(() => new OnnxModelRunner(
            _folder["decoder.onnx"], shape, PadId, new EngineOptions { MaxSlots = 4 }, "f32", new GpuDevice(gpu, new DecodeShapes(4, 64, true))));

        Assert.True(gpu is { IsEmpty: true, IsDisposed: true });
    }

    [Fact]
    public void Run_Terminated_IsAnOrtException()
    {
        var (device, _) = Load(ngrams: 0, capturesGraphs: true);
        device.Terminate();

        Assert.Throws<OrtException>(() => device.Run(new StepPlan([], new SequenceSlice(0, Ids(4, 1), 0, 4, true))).Length);
        Assert.Equal(0, device.Cache.PositionCount(0));
    }

    private (OnnxModelRunner Device, OnnxModelRunner Host) Load(int ngrams, bool capturesGraphs)
    {
        var shape = TinyDecoderWeights.Small(ngrams);
        var path = _folder["decoder.onnx"];
        TinyDecoderGraph.Save(path, shape);
        var options = new EngineOptions { MaxSlots = Slots, Threads = 1 };
        var host = new OnnxModelRunner(path, shape, PadId, options);
        var device = new OnnxModelRunner(path, shape, PadId, options, "f32", new GpuDevice(_gpu, new DecodeShapes(Slots, shape.MaxPositions, capturesGraphs)));
        _runners.AddRange([host, device]);
        return (device, host);
    }

    private static int[] Ids(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(96))];
    }
}
