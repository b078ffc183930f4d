using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Kernels;

/// <summary>Our kernel for <c>com.microsoft.FusedMatMul</c> by constant weights on the CPU, in place of the runtime's: the same operator in the same graphs.</summary>
internal static unsafe class MatrixOperator
{
    // Multiplications and additions that are not worth another thread: what it computes has to come back from its caches.
    private const long WorthThreads = 2_000_000;

    // More parts than threads: whoever is held up by something else holds up little.
    private const int Parts = 16;

    // Rows of one part: few enough for several threads to share a panel of a long prompt.
    private const int RowsOfAPart = 8 * MatrixProduct.Rows;

    private static readonly byte* Name = OperatorDescription.NativeText("FusedMatMul"u8);
    private static readonly Lazy<OrtOperator> Only = new(Describe);

    /// <summary>Our kernel on this machine; null where the runtime's own is to be used: ours is written for vectors of 512 bits.</summary>
    public static OrtOperator? ForThisMachine => Vector512.IsHardwareAccelerated ? Only.Value : null;

    /// <summary>Our kernel on any machine.</summary>
    internal static OrtOperator ForAnyMachine => Only.Value;

    private static OrtOperator Describe()
    {
        var description = OperatorDescription.Create(&GetName);
        description->GetInputType = &GetType;
        description->GetInputCount = &GetInputCount;
        description->GetOutputType = &GetType;
        description->GetOutputCount = &GetOutputCount;
        description->DestroyKernel = &Destroy;
        description->GetInputCharacteristic = &GetCharacteristic;
        description->GetOutputCharacteristic = &GetCharacteristic;
        description->CreateKernelWithStatus = &Create;
        description->ComputeWithStatus = &Compute;
        return new OrtOperator(description);
    }

    [UnmanagedCallersOnly]
    private static byte* GetName(OrtCustomOperator* self) => Name;

    [UnmanagedCallersOnly]
    private static nuint GetInputCount(OrtCustomOperator* self) => 2;

    [UnmanagedCallersOnly]
    private static nuint GetOutputCount(OrtCustomOperator* self) => 1;

    [UnmanagedCallersOnly]
    private static OrtElementType GetType(OrtCustomOperator* self, nuint index) => OrtElementType.F32;

    [UnmanagedCallersOnly]
    private static int GetCharacteristic(OrtCustomOperator* self, nuint index) => OperatorDescription.Required;

    /// <summary>Packs a node's weights. A node that wants more than this kernel does is refused; the graph is then loaded without it.</summary>
    [UnmanagedCallersOnly]
    private static nint Create(OrtCustomOperator* self, nint api, nint info, void** kernel)
    {
        *kernel = null;
        var isPlain = OrtKernel.Number(info, "alpha\0"u8, 1) == 1
            && OrtKernel.Integer(info, "transA\0"u8, 0) == 0
            && OrtKernel.Integer(info, "transBatchA\0"u8, 0) == 0
            && OrtKernel.Integer(info, "transBatchB\0"u8, 0) == 0;
        var weights = OrtKernel.ConstantInput(info, 1);
        if (!isPlain || weights.Rank != 2 || weights.Length == 0 || weights[0] > int.MaxValue || weights[1] > int.MaxValue)
            return OrtKernel.Error(OrtErrorCode.NotImplemented, "FusedMatMul with attributes or weights that the runtime's own kernel must take");

        try
        {
            var isTransposed = OrtKernel.Integer(info, "transB\0"u8, 0) != 0;
            var (depth, columns) = isTransposed ? (weights[1], weights[0]) : (weights[0], weights[1]);
            *kernel = PackedMatrices.Share(PackedMatrix.Pack((float*)weights.Data, (int)depth, (int)columns, isTransposed));
            return 0;
        }
        catch (Exception exception) when (exception is OutOfMemoryException or OverflowException)
        {
            return OrtKernel.Error(OrtErrorCode.Fail, $"no memory for weights of {weights[0]} x {weights[1]}");
        }
    }

    [UnmanagedCallersOnly]
    private static void Destroy(void* kernel) => PackedMatrices.Drop((PackedMatrix*)kernel);

    [UnmanagedCallersOnly]
    private static nint Compute(void* kernel, nint context)
    {
        var matrix = (PackedMatrix*)kernel;
        var left = OrtKernel.Input(context, 0);
        if (left.Rank < 1 || left[left.Rank - 1] != matrix->Depth)
            return OrtKernel.Error(OrtErrorCode.InvalidArgument, $"FusedMatMul: rows of {matrix->Depth} numbers are needed");

        var shape = stackalloc long[left.Rank];
        for (var axis = 0; axis < left.Rank; axis++)
            shape[axis] = left[axis];
        shape[left.Rank - 1] = matrix->Columns;
        var call = new MatrixCall
        {
            Matrix = matrix,
            Left = (float*)left.Data,
            Product = (float*)OrtKernel.Output(context, 0, new ReadOnlySpan<long>(shape, left.Rank)).Data,
            // No rows are none to compute, wherever they would be.
            Rows = (int)(left.Length / matrix->Depth),
        };
        if (call.Rows == 1)
            Run(&call, context, &RunRow, (matrix->PanelCount + MatrixProduct.PanelsOfOneRow - 1) / MatrixProduct.PanelsOfOneRow);
        else
            Run(&call, context, &RunPart, matrix->PanelCount * call.RowPartCount);
        return 0;
    }

    private static void Run(MatrixCall* call, nint context, delegate* unmanaged<void*, nuint, void> part, int count)
    {
        if (count > 1 && (long)call->Rows * call->Matrix->Depth * call->Matrix->Columns >= WorthThreads)
        {
            OrtKernel.ParallelFor(context, part, count, Math.Min(count, Parts), call);
            return;
        }

        for (var i = 0; i < count; i++)
            part(call, (nuint)i);
    }

    [UnmanagedCallersOnly]
    private static void RunRow(void* state, nuint index)
    {
        var call = (MatrixCall*)state;
        var panel = (int)index * MatrixProduct.PanelsOfOneRow;
        MatrixProduct.RunRow(call->Left, *call->Matrix, panel, Math.Min(MatrixProduct.PanelsOfOneRow, call->Matrix->PanelCount - panel), call->Product);
    }

    // Neighbouring parts have the same panel.
    [UnmanagedCallersOnly]
    private static void RunPart(void* state, nuint index)
    {
        var call = (MatrixCall*)state;
        var (panel, part) = Math.DivRem((int)index, call->RowPartCount);
        var row = part * RowsOfAPart;
        MatrixProduct.Run(
            call->Left + ((nint)row * call->Matrix->Depth), Math.Min(RowsOfAPart, call->Rows - row), *call->Matrix, panel, call->Product + ((nint)row * call->Matrix->Columns));
    }

    private struct MatrixCall
    {
        public PackedMatrix* Matrix;
        public float* Left;
        public float* Product;
        public int Rows;

        public readonly int RowPartCount => (Rows + RowsOfAPart - 1) / RowsOfAPart;
    }
}
