using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>The C API's description of an operator with a kernel of our own; functions that are not used stay null.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OrtCustomOperator
{
    public uint Version;
    public nint CreateKernel;
    public delegate* unmanaged<OrtCustomOperator*, byte*> GetName;
    public delegate* unmanaged<OrtCustomOperator*, byte*> GetProvider;
    public delegate* unmanaged<OrtCustomOperator*, nuint, OrtElementType> GetInputType;
    public delegate* unmanaged<OrtCustomOperator*, nuint> GetInputCount;
    public delegate* unmanaged<OrtCustomOperator*, nuint, OrtElementType> GetOutputType;
    public delegate* unmanaged<OrtCustomOperator*, nuint> GetOutputCount;
    public nint Compute;
    public delegate* unmanaged<void*, void> DestroyKernel;
    public delegate* unmanaged<OrtCustomOperator*, nuint, int> GetInputCharacteristic;
    public delegate* unmanaged<OrtCustomOperator*, nuint, int> GetOutputCharacteristic;
    public delegate* unmanaged<OrtCustomOperator*, nuint, int> GetInputMemoryType;
    public nint GetVariadicInputMinArity;
    public nint GetVariadicInputHomogeneity;
    public nint GetVariadicOutputMinArity;
    public nint GetVariadicOutputHomogeneity;
    public delegate* unmanaged<OrtCustomOperator*, nint, nint, void**, nint> CreateKernelWithStatus;
    public delegate* unmanaged<void*, nint, nint> ComputeWithStatus;
    public nint InferOutputShape;
    public nint GetStartVersion;
    public nint GetEndVersion;
    public nint GetMayInplace;
    public nint ReleaseMayInplace;
    public nint GetAliasMap;
    public nint ReleaseAliasMap;
}

/// <summary>An operator with a kernel of our own.</summary>
/// <param name="description">Stays where it is as long as the process.</param>
internal sealed unsafe class OrtOperator(OrtCustomOperator* description)
{
    /// <summary>The description.</summary>
    public OrtCustomOperator* Description => description;
}

/// <summary>A domain of operators; it must outlive every session that was loaded with it.</summary>
internal sealed unsafe class OrtCustomDomain : OrtHandle
{
    /// <summary>A domain of some operators.</summary>
    /// <param name="name">Name of the domain; may be one that the runtime has itself: our kernels then go before the runtime's.</param>
    /// <param name="operators">What is in it.</param>
    public OrtCustomDomain(string name, params ReadOnlySpan<OrtOperator> operators)
        : base(Create(name), OrtFunction.ReleaseCustomOpDomain)
    {
        foreach (var one in operators)
            OrtApi.Call(OrtFunction.CustomOpDomainAdd, handle, (nint)one.Description);
    }

    private static nint Create(string name)
    {
        fixed (byte* native = NativeText.Utf8(name))
            return OrtApi.Get(OrtFunction.CreateCustomOpDomain, (nint)native);
    }
}

/// <summary>What a kernel can ask of the runtime. Nothing here throws: a kernel is called from native code.</summary>
internal static unsafe class OrtKernel
{
    /// <summary>A status with a message, for a kernel to return.</summary>
    public static nint Error(OrtErrorCode code, string message)
    {
        fixed (byte* text = NativeText.Utf8(message))
            return ((delegate* unmanaged<OrtErrorCode, byte*, nint>)Function(OrtFunction.CreateStatus))(code, text);
    }

    /// <summary>An attribute of the node, or what holds without it.</summary>
    public static long Integer(nint info, ReadOnlySpan<byte> name, long otherwise)
    {
        long value;
        fixed (byte* text = name)
            return Drop(((delegate* unmanaged<nint, byte*, long*, nint>)Function(OrtFunction.KernelInfoGetAttributeInteger))(info, text, &value)) ? value : otherwise;
    }

    /// <summary>An attribute of the node, or what holds without it.</summary>
    public static float Number(nint info, ReadOnlySpan<byte> name, float otherwise)
    {
        float value;
        fixed (byte* text = name)
            return Drop(((delegate* unmanaged<nint, byte*, float*, nint>)Function(OrtFunction.KernelInfoGetAttributeFloat))(info, text, &value)) ? value : otherwise;
    }

    /// <summary>An input that is the same in every call; absent when it is not, or not known yet.</summary>
    public static OrtKernelTensor ConstantInput(nint info, nuint index)
    {
        int isConstant;
        nint value;
        return Drop(((delegate* unmanaged<nint, nuint, int*, nint*, nint>)Function(OrtFunction.KernelInfoGetConstantInput))(info, index, &isConstant, &value)) && isConstant != 0
            ? OrtKernelTensor.Of(value)
            : default;
    }

    /// <summary>An input.</summary>
    public static OrtKernelTensor Input(nint context, nuint index)
    {
        nint value;
        return Drop(((delegate* unmanaged<nint, nuint, nint*, nint>)Function(OrtFunction.KernelContextGetInput))(context, index, &value))
            ? OrtKernelTensor.Of(value)
            : default;
    }

    /// <summary>An output of the given shape.</summary>
    public static OrtKernelTensor Output(nint context, nuint index, ReadOnlySpan<long> shape)
    {
        nint value;
        fixed (long* dimensions = shape)
        {
            return Drop(((delegate* unmanaged<nint, nuint, long*, nuint, nint*, nint>)Function(OrtFunction.KernelContextGetOutput))(
                context, index, dimensions, (nuint)shape.Length, &value))
                ? OrtKernelTensor.Of(value)
                : default;
        }
    }

    /// <summary>Calls a function for 0 to <paramref name="count"/> - 1 on the threads of the session; in order on this one when it has no others.</summary>
    public static nint ParallelFor(nint context, delegate* unmanaged<void*, nuint, void> call, int count, int batches, void* state) =>
        ((delegate* unmanaged<nint, delegate* unmanaged<void*, nuint, void>, nuint, nuint, void*, nint>)Function(OrtFunction.KernelContextParallelFor))(
            context, call, (nuint)count, (nuint)batches, state);

    internal static nint Function(OrtFunction function) => OrtLibrary.Functions[(int)function];

    private static bool Drop(nint status)
    {
        if (status != 0)
            OrtApi.Release(OrtFunction.ReleaseStatus, status);
        return status == 0;
    }
}

/// <summary>A tensor that a kernel reads or writes.</summary>
/// <param name="Data">First element; null for an input that is not there.</param>
/// <param name="Shape">Lengths of its axes.</param>
/// <param name="Rank">Number of axes.</param>
internal readonly unsafe record struct OrtKernelTensor(nint Data, nint Shape, int Rank)
{
    /// <summary>Whether it is there.</summary>
    public bool IsPresent => Data != 0;

    /// <summary>Length of an axis.</summary>
    public long this[int axis] => ((long*)Shape)[axis];

    /// <summary>Elements; 0 when it is not there.</summary>
    public long Length
    {
        get
        {
            var length = IsPresent ? 1L : 0;
            for (var axis = 0; axis < Rank; axis++)
                length *= this[axis];
            return length;
        }
    }

    internal static OrtKernelTensor Of(nint value)
    {
        if (value == 0)
            return default;
        OrtElementType type;
        long* shape;
        nuint rank;
        void* data;
        var described = ((delegate* unmanaged<nint, OrtElementType*, long**, nuint*, nint>)OrtKernel.Function(OrtFunction.GetTensorTypeAndShapeData))(
            value, &type, &shape, &rank);
        var read = ((delegate* unmanaged<nint, void**, nint>)OrtKernel.Function(OrtFunction.GetTensorMutableData))(value, &data);
        if (described == 0 && read == 0)
            return new OrtKernelTensor((nint)data, (nint)shape, (int)rank);
        if (described != 0)
            OrtApi.Release(OrtFunction.ReleaseStatus, described);
        if (read != 0)
            OrtApi.Release(OrtFunction.ReleaseStatus, read);
        return default;
    }
}
