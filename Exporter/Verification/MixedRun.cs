using Tessera.Engine.Execution;

namespace Tessera.Exporter.Verification;

/// <summary>
/// Runs several sequences at once as the engine does: each is prefilled in chunks beside the ones that already decode, they end at different steps, and the
/// last one moves into the slot that became free.
/// </summary>
internal sealed class MixedRun
{
    private readonly IModelRunner _runner;
    private readonly int _slotCount;
    private readonly int _chunk;
    private readonly DifferenceMeter _meter;
    private readonly Queue<Member> _waiting = new();
    private readonly List<Member> _decoding = [];
    private Member? _prefilling;

    /// <summary>Plans the run.</summary>
    /// <param name="runner">The decoder; its slots are free.</param>
    /// <param name="cases">Every one runs twice, with other prefill lengths.</param>
    /// <param name="slotCount">Slots to use.</param>
    /// <param name="chunk">Positions of a prefill chunk.</param>
    /// <param name="meter">Gets every logits row that the reference has.</param>
    public MixedRun(IModelRunner runner, IReadOnlyList<ReferenceCase> cases, int slotCount, int chunk, DifferenceMeter meter)
    {
        _runner = runner;
        _slotCount = slotCount;
        _chunk = chunk;
        _meter = meter;
        for (var i = 0; i < 2 * cases.Count; i++)
        {
            var reference = cases[i % cases.Count];
            // Decoding starts a little before the recorded rows, at another distance in each member, so that lengths are ragged.
            _waiting.Enqueue(new Member(reference, prefillCount: Math.Max(1, reference.Rows[0] - (3 * i))));
        }
    }

    /// <summary>Runs all sequences to their ends.</summary>
    public void Run()
    {
        while (_waiting.Count > 0 || _prefilling is not null || _decoding.Count > 0)
        {
            if (_prefilling is null && _decoding.Count < _slotCount && _waiting.TryDequeue(out _prefilling))
            {
                _prefilling.Slot = _decoding.Count;
            }

            Step();
            EndFinished();
            StartDecoding();
        }
    }

    private void Step()
    {
        var prefill = _prefilling is { } member ? member.Slice(Math.Min(_chunk, member.PrefillCount - member.Position)) : (SequenceSlice?)null;
        var logits = _runner.Run(new StepPlan([.. _decoding.Select(decoding => decoding.Slice(1))], prefill));
        for (var i = 0; i < _decoding.Count; i++)
        {
            Compare(_decoding[i].Advance(1), logits, i);
        }

        if (prefill is { } slice)
        {
            Compare(_prefilling!.Advance(slice.Count), logits, _decoding.Count);
        }
    }

    private void Compare(ReadOnlySpan<float> expected, ReadOnlySpan<float> logits, int row)
    {
        if (expected.Length > 0)
        {
            _meter.Add(expected, logits.Slice(row * expected.Length, expected.Length));
        }
    }

    /// <summary>Frees the slots of sequences at their end; from the back, so that whoever moves has not ended.</summary>
    private void EndFinished()
    {
        for (var i = _decoding.Count - 1; i >= 0; i--)
        {
            if (_decoding[i].Position < _decoding[i].Reference.Ids.Length)
            {
                continue;
            }

            var last = _decoding[^1];
            if (!ReferenceEquals(last, _decoding[i]))
            {
                _runner.MoveSlot(last.Slot, i, last.Position);
            }

            _runner.ReleaseSlot(last.Slot);
            last.Slot = i;
            _decoding[i] = last;
            _decoding.RemoveAt(_decoding.Count - 1);
        }
    }

    private void StartDecoding()
    {
        if (_prefilling is not { } member || member.Position < member.PrefillCount)
        {
            return;
        }

        if (member.Slot != _decoding.Count)
        {
            _runner.MoveSlot(member.Slot, _decoding.Count, member.Position);
            _runner.ReleaseSlot(member.Slot);
            member.Slot = _decoding.Count;
        }

        _decoding.Add(member);
        _prefilling = null;
    }

    private sealed class Member(ReferenceCase reference, int prefillCount)
    {
        public ReferenceCase Reference => reference;

        public int PrefillCount => prefillCount;

        public int Slot { get; set; }

        public int Position { get; private set; }

        public SequenceSlice Slice(int count) => new(Slot, reference.Ids, Position, count, WantsLogits: true);

        /// <summary>Takes positions as run; gives the reference's logits after the last one.</summary>
        public ReadOnlySpan<float> Advance(int count)
        {
            Position += count;
            return reference.LogitsAt(Position - 1);
        }
    }
}
