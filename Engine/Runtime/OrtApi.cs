using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>Calls functions of the C API: one caller per signature. Every caller turns a status into an <see cref="OrtException"/>.</summary>
internal static unsafe class OrtApi
{
    public static void Call(OrtFunction function, nint a) => Check(function, ((delegate* unmanaged<nint, nint>)Pointer(function))(a));

    public static void Call(OrtFunction function, nint a, int b) => Check(function, ((delegate* unmanaged<nint, int, nint>)Pointer(function))(a, b));

    public static void Call(OrtFunction function, nint a, nint b) => Check(function, ((delegate* unmanaged<nint, nint, nint>)Pointer(function))(a, b));

    public static void Call(OrtFunction function, nint a, nint b, nint c) =>
        Check(function, ((delegate* unmanaged<nint, nint, nint, nint>)Pointer(function))(a, b, c));

    public static void Call(OrtFunction function, nint a, byte* b, byte* c) =>
        Check(function, ((delegate* unmanaged<nint, byte*, byte*, nint>)Pointer(function))(a, b, c));

    public static void Call(OrtFunction function, nint a, byte* b, nint c) =>
        Check(function, ((delegate* unmanaged<nint, byte*, nint, nint>)Pointer(function))(a, b, c));

    public static void Call(OrtFunction function, nint a, long* b, nuint c) =>
        Check(function, ((delegate* unmanaged<nint, long*, nuint, nint>)Pointer(function))(a, b, c));

    public static void Call(OrtFunction function, nint a, byte** b, byte** c, nuint d) =>
        Check(function, ((delegate* unmanaged<nint, byte**, byte**, nuint, nint>)Pointer(function))(a, b, c, d));

    public static nint Get(OrtFunction function)
    {
        nint result;
        Check(function, ((delegate* unmanaged<nint*, nint>)Pointer(function))(&result));
        return result;
    }

    public static nint Get(OrtFunction function, nint a)
    {
        nint result;
        Check(function, ((delegate* unmanaged<nint, nint*, nint>)Pointer(function))(a, &result));
        return result;
    }

    public static int GetInt(OrtFunction function, nint a)
    {
        int result;
        Check(function, ((delegate* unmanaged<nint, int*, nint>)Pointer(function))(a, &result));
        return result;
    }

    public static nint Get(OrtFunction function, nint a, nuint b)
    {
        nint result;
        Check(function, ((delegate* unmanaged<nint, nuint, nint*, nint>)Pointer(function))(a, b, &result));
        return result;
    }

    public static nint Get(OrtFunction function, nint a, nint b)
    {
        nint result;
        Check(function, ((delegate* unmanaged<nint, nint, nint*, nint>)Pointer(function))(a, b, &result));
        return result;
    }

    public static nint Get(OrtFunction function, byte* a, int b, int c, int d)
    {
        nint result;
        Check(function, ((delegate* unmanaged<byte*, int, int, int, nint*, nint>)Pointer(function))(a, b, c, d, &result));
        return result;
    }

    public static nint Get(OrtFunction function, nint a, nuint b, nint c)
    {
        nint result;
        Check(function, ((delegate* unmanaged<nint, nuint, nint, nint*, nint>)Pointer(function))(a, b, c, &result));
        return result;
    }

    public static nint Get(OrtFunction function, int a, int b)
    {
        nint result;
        Check(function, ((delegate* unmanaged<int, int, nint*, nint>)Pointer(function))(a, b, &result));
        return result;
    }

    public static nint Get(OrtFunction function, int a, byte* b)
    {
        nint result;
        Check(function, ((delegate* unmanaged<int, byte*, nint*, nint>)Pointer(function))(a, b, &result));
        return result;
    }

    public static nint Get(OrtFunction function, nint a, byte* b, nint c)
    {
        nint result;
        Check(function, ((delegate* unmanaged<nint, byte*, nint, nint*, nint>)Pointer(function))(a, b, c, &result));
        return result;
    }

    public static nint Get(OrtFunction function, nint allocator, long* shape, nuint rank, int type)
    {
        nint result;
        Check(function, ((delegate* unmanaged<nint, long*, nuint, int, nint*, nint>)Pointer(function))(allocator, shape, rank, type, &result));
        return result;
    }

    public static nint Get(OrtFunction function, nint memory, void* data, nuint bytes, long* shape, nuint rank, int type)
    {
        nint result;
        Check(
            function,
            ((delegate* unmanaged<nint, void*, nuint, long*, nuint, int, nint*, nint>)Pointer(function))(memory, data, bytes, shape, rank, type, &result));
        return result;
    }

    public static void Run(
        nint session, nint runOptions, byte** inputNames, nint* inputs, nuint inputCount, byte** outputNames, nuint outputCount, nint* outputs) =>
        Check(
            OrtFunction.Run,
            ((delegate* unmanaged<nint, nint, byte**, nint*, nuint, byte**, nuint, nint*, nint>)Pointer(OrtFunction.Run))(
                session, runOptions, inputNames, inputs, inputCount, outputNames, outputCount, outputs));

    /// <summary>The one function that gives text without a status; null when there is none.</summary>
    public static string? GetKeyValue(nint pairs, byte* key) =>
        Marshal.PtrToStringUTF8(((delegate* unmanaged<nint, byte*, nint>)Pointer(OrtFunction.GetKeyValue))(pairs, key));

    /// <summary>Frees an object; release functions return nothing.</summary>
    public static void Release(OrtFunction function, nint handle) => ((delegate* unmanaged<nint, void>)Pointer(function))(handle);

    private static nint Pointer(OrtFunction function) => OrtLibrary.Functions[(int)function];

    private static void Check(OrtFunction function, nint status)
    {
        if (status == 0)
            return;
        var code = (OrtErrorCode)((delegate* unmanaged<nint, int>)Pointer(OrtFunction.GetErrorCode))(status);
        var message = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint, nint>)Pointer(OrtFunction.GetErrorMessage))(status)) ?? "";
        Release(OrtFunction.ReleaseStatus, status);
        throw new OrtException(function.ToString(), code, message);
    }
}
