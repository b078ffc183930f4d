using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Kernels;

/// <summary>
/// Our kernel for <c>com.microsoft.GroupQueryAttention</c> on the CPU, in place of the runtime's: the same operator in the same graphs, for a cache in
/// single precision or in 8 bits with a scale per channel.
/// </summary>
internal static unsafe class AttentionOperator
{
    private const int InputCount = 14;
    private const int OutputCount = 3;
    private const int FirstOptionalInput = 9;

    // The runtime's kernel wants no others, and they fill vectors of every width.
    public const int HeadSizeStep = 16;

    private static readonly Lazy<OrtOperator> WideFloats = new(() => Describe(&FloatInputType, &FloatOutputType, &CreateWide));
    private static readonly Lazy<OrtOperator> WideBytes = new(() => Describe(&ByteInputType, &ByteOutputType, &CreateWide));
    private static readonly Lazy<OrtOperator> Floats = new(() => Describe(&FloatInputType, &FloatOutputType, &CreateNarrow));
    private static readonly Lazy<OrtOperator> Bytes = new(() => Describe(&ByteInputType, &ByteOutputType, &CreateNarrow));

    private static readonly byte* Name = OperatorDescription.NativeText("GroupQueryAttention"u8);

    /// <summary>Our kernels for a decoder on this machine; null where the runtime's own are to be used.</summary>
    /// <param name="headSize">Elements of a head.</param>
    /// <param name="cache">Type of keys and values.</param>
    public static OrtOperator? For(int headSize, OrtElementType cache)
    {
        if (!Takes(headSize))
            return null;
        if (Vector512.IsHardwareAccelerated)
            return Of(cache, isWide: true);

        // With narrower vectors our loops gain nothing.
        return Vector256.IsHardwareAccelerated && Fma.IsSupported ? Of(cache, isWide: false) : null;
    }

    /// <summary>Our kernels for a type of keys and values, with vectors of 512 bits or of 256, on any machine; null where there are none.</summary>
    internal static OrtOperator? Of(OrtElementType cache, bool isWide) => cache switch
    {
        OrtElementType.F32 => (isWide ? WideFloats : Floats).Value,
        OrtElementType.I8 => (isWide ? WideBytes : Bytes).Value,
        _ => null,
    };

    /// <summary>Whether the kernels take heads of this size.</summary>
    internal static bool Takes(long headSize) => headSize is > 0 and <= AttentionJob.MaxHeadSize && headSize % HeadSizeStep == 0;

    private static OrtOperator Describe(
        delegate* unmanaged<OrtCustomOperator*, nuint, OrtElementType> inputType,
        delegate* unmanaged<OrtCustomOperator*, nuint, OrtElementType> outputType,
        delegate* unmanaged<OrtCustomOperator*, nint, nint, void**, nint> create)
    {
        var description = OperatorDescription.Create(&GetName);
        description->GetInputType = inputType;
        description->GetInputCount = &GetInputCount;
        description->GetOutputType = outputType;
        description->GetOutputCount = &GetOutputCount;
        description->DestroyKernel = &Destroy;
        description->GetInputCharacteristic = &GetInputCharacteristic;
        description->GetOutputCharacteristic = &GetOutputCharacteristic;
        description->CreateKernelWithStatus = create;
        description->ComputeWithStatus = &Compute;
        return new OrtOperator(description);
    }

    [UnmanagedCallersOnly]
    private static byte* GetName(OrtCustomOperator* self) => Name;

    [UnmanagedCallersOnly]
    private static nuint GetInputCount(OrtCustomOperator* self) => InputCount;

    [UnmanagedCallersOnly]
    private static nuint GetOutputCount(OrtCustomOperator* self) => OutputCount;

    [UnmanagedCallersOnly]
    private static OrtElementType FloatInputType(OrtCustomOperator* self, nuint index) => InputType((int)index, OrtElementType.F32);

    [UnmanagedCallersOnly]
    private static OrtElementType ByteInputType(OrtCustomOperator* self, nuint index) => InputType((int)index, OrtElementType.I8);

    [UnmanagedCallersOnly]
    private static OrtElementType FloatOutputType(OrtCustomOperator* self, nuint index) => OrtElementType.F32;

    [UnmanagedCallersOnly]
    private static OrtElementType ByteOutputType(OrtCustomOperator* self, nuint index) => index == 0 ? OrtElementType.F32 : OrtElementType.I8;

    [UnmanagedCallersOnly]
    private static int GetInputCharacteristic(OrtCustomOperator* self, nuint index) =>
        index >= FirstOptionalInput || (AttentionInput)index is AttentionInput.Key or AttentionInput.Value or AttentionInput.Cosines or AttentionInput.Sines
            ? OperatorDescription.Optional
            : OperatorDescription.Required;

    [UnmanagedCallersOnly]
    private static int GetOutputCharacteristic(OrtCustomOperator* self, nuint index) => OperatorDescription.Required;

    private static OrtElementType InputType(int index, OrtElementType cache) => (AttentionInput)index switch
    {
        AttentionInput.PastKey or AttentionInput.PastValue => cache,
        AttentionInput.LastPositions or AttentionInput.TotalLength => OrtElementType.I32,
        AttentionInput.PositionIds => OrtElementType.I64,
        _ => OrtElementType.F32,
    };

    [UnmanagedCallersOnly]
    private static nint CreateWide(OrtCustomOperator* self, nint api, nint info, void** kernel) => Create(info, isWide: true, kernel);

    [UnmanagedCallersOnly]
    private static nint CreateNarrow(OrtCustomOperator* self, nint api, nint info, void** kernel) => Create(info, isWide: false, kernel);

    /// <summary>Reads a node's attributes. A node that wants more than these kernels do is refused; the graph is then loaded without them.</summary>
    private static nint Create(nint info, bool isWide, void** kernel)
    {
        *kernel = null;
        var settings = new AttentionSettings
        {
            Heads = (int)OrtKernel.Integer(info, "num_heads\0"u8, 0),
            KvHeads = (int)OrtKernel.Integer(info, "kv_num_heads\0"u8, 0),
            Scale = OrtKernel.Number(info, "scale\0"u8, 0),
            Window = (int)Math.Max(0, OrtKernel.Integer(info, "local_window_size\0"u8, -1)),
            IsRotary = OrtKernel.Integer(info, "do_rotary\0"u8, 0) != 0,
            IsByte = OrtKernel.Integer(info, "kv_cache_bit_width\0"u8, 0) == 8,
            IsWide = isWide,
        };
        var isPlain = OrtKernel.Number(info, "softcap\0"u8, 0) == 0
            && OrtKernel.Integer(info, "smooth_softmax\0"u8, 0) <= 0
            && OrtKernel.Integer(info, "qk_output\0"u8, 0) == 0
            && OrtKernel.Integer(info, "rotary_interleaved\0"u8, 0) == 0
            && OrtKernel.Integer(info, "sliding_window_cache\0"u8, 0) == 0
            && OrtKernel.Integer(info, "causal\0"u8, 1) == 1;
        if (!isPlain || settings.Heads <= 0 || settings.KvHeads <= 0 || settings.Heads % settings.KvHeads != 0)
            return OrtKernel.Error(OrtErrorCode.NotImplemented, "GroupQueryAttention with attributes that the runtime's own kernel must take");

        *kernel = NativeMemory.Alloc((nuint)sizeof(AttentionSettings));
        *(AttentionSettings*)*kernel = settings;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static void Destroy(void* kernel) => NativeMemory.Free(kernel);

    [UnmanagedCallersOnly]
    private static nint Compute(void* kernel, nint context)
    {
        try
        {
            return AttentionCall.Run(*(AttentionSettings*)kernel, context);
        }
        catch (Exception exception) when (exception is OutOfMemoryException or OverflowException)
        {
            return OrtKernel.Error(OrtErrorCode.Fail, "the attention has no memory for this call");
        }
    }
}

/// <summary>Inputs of the operator by their place.</summary>
internal enum AttentionInput
{
    Query = 0,
    Key = 1,
    Value = 2,
    PastKey = 3,
    PastValue = 4,
    LastPositions = 5,
    TotalLength = 6,
    Cosines = 7,
    Sines = 8,
    PositionIds = 9,
    Bias = 10,
    Sinks = 11,
    KeyScales = 12,
    ValueScales = 13,
}

/// <summary>Attributes of a node.</summary>
internal struct AttentionSettings
{
    public int Heads;
    public int KvHeads;
    public int Window;
    public float Scale;
    public bool IsRotary;
    public bool IsByte;

    /// <summary>Whether vectors have 512 bits; else 256.</summary>
    public bool IsWide;
}
