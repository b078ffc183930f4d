using System.Runtime.InteropServices;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Kernels;

/// <summary>What the descriptions of our operators have in common.</summary>
internal static unsafe class OperatorDescription
{
    public const int Required = 0;
    public const int Optional = 1;

    private static readonly byte* Provider = NativeText("CPUExecutionProvider"u8);

    /// <summary>A description that lives as long as the process: sessions refer to it.</summary>
    public static OrtCustomOperator* Create(delegate* unmanaged<OrtCustomOperator*, byte*> getName)
    {
        var description = (OrtCustomOperator*)NativeMemory.AllocZeroed((nuint)sizeof(OrtCustomOperator));
        description->Version = OrtLibrary.ApiVersion;
        description->GetName = getName;
        description->GetProvider = &GetProvider;
        description->GetInputMemoryType = &GetMemoryType;
        return description;
    }

    /// <summary>A copy with a zero at its end that stays as long as the process.</summary>
    public static byte* NativeText(ReadOnlySpan<byte> text)
    {
        var native = (byte*)NativeMemory.AllocZeroed((nuint)text.Length + 1);
        text.CopyTo(new Span<byte>(native, text.Length));
        return native;
    }

    [UnmanagedCallersOnly]
    private static byte* GetProvider(OrtCustomOperator* self) => Provider;

    [UnmanagedCallersOnly]
    private static int GetMemoryType(OrtCustomOperator* self, nuint index) => 0;
}
