using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>A loaded graph. Runs may come from several threads at once.</summary>
public sealed unsafe class OrtSession : OrtHandle
{
    /// <summary>Loads a graph.</summary>
    /// <param name="path">The .onnx file; external data is read from beside it.</param>
    /// <param name="options">How to load and run it.</param>
    /// <exception cref="OrtException">The file is missing or is no valid graph.</exception>
    /// <exception cref="OrtLibraryException">The native runtime cannot be used.</exception>
    public OrtSession(string path, OrtSessionOptions options)
        : base(Create(path, options), OrtFunction.ReleaseSession)
    {
        try
        {
            Inputs = ReadSpecs(OrtFunction.SessionGetInputCount, OrtFunction.SessionGetInputName, OrtFunction.SessionGetInputTypeInfo);
            Outputs = ReadSpecs(OrtFunction.SessionGetOutputCount, OrtFunction.SessionGetOutputName, OrtFunction.SessionGetOutputTypeInfo);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Inputs in the graph's order.</summary>
    public IReadOnlyList<OrtTensorSpec> Inputs { get; }

    /// <summary>Outputs in the graph's order.</summary>
    public IReadOnlyList<OrtTensorSpec> Outputs { get; }

    /// <summary>Runs the graph; the runtime allocates the outputs, and the caller disposes them.</summary>
    /// <param name="inputs">Every input by name.</param>
    /// <param name="outputs">Names of the wanted outputs.</param>
    /// <param name="runOptions">Lets another thread end the run; null for none.</param>
    /// <exception cref="OrtException">The run failed or was ended.</exception>
    public OrtValue[] Run(IReadOnlyList<(string Name, OrtValue Value)> inputs, IReadOnlyList<string> outputs, OrtRunOptions? runOptions = null)
    {
        using var session = new OrtLease(this);
        using var names = new PinnedNames([.. inputs.Select(input => input.Name), .. outputs]);
        var values = stackalloc nint[inputs.Count];
        var results = stackalloc nint[outputs.Count];
        var held = 0;
        var optionsHeld = false;
        try
        {
            for (; held < inputs.Count; held++)
            {
                var taken = false;
                inputs[held].Value.DangerousAddRef(ref taken);
                values[held] = inputs[held].Value.DangerousGetHandle();
            }

            runOptions?.DangerousAddRef(ref optionsHeld);
            OrtApi.Run(
                session.Pointer, runOptions?.DangerousGetHandle() ?? 0, names.Pointers, values, (nuint)inputs.Count,
                names.Pointers + inputs.Count, (nuint)outputs.Count, results);
        }
        finally
        {
            for (var i = 0; i < held; i++)
                inputs[i].Value.DangerousRelease();
            if (optionsHeld)
                runOptions!.DangerousRelease();
        }

        var wrapped = new OrtValue[outputs.Count];
        for (var i = 0; i < wrapped.Length; i++)
            wrapped[i] = new OrtValue(results[i]);
        return wrapped;
    }

    /// <summary>Runs the graph on bound inputs and outputs; allocates nothing.</summary>
    /// <param name="binding">Binds every input and output; not used by another run at the same time.</param>
    /// <param name="runOptions">Lets another thread end the run.</param>
    /// <exception cref="OrtException">The run failed or was ended; bound outputs are then undefined.</exception>
    public void Run(OrtIoBinding binding, OrtRunOptions runOptions)
    {
        using var session = new OrtLease(this);
        using var bound = new OrtLease(binding);
        using var options = new OrtLease(runOptions);
        OrtApi.Call(OrtFunction.RunWithBinding, session.Pointer, options.Pointer, bound.Pointer);
    }

    private static nint Create(string path, OrtSessionOptions options)
    {
        using var environment = new OrtLease(OrtEnvironment.Instance);
        using var settings = new OrtLease(options);
        fixed (byte* nativePath = NativeText.Path(path))
            return OrtApi.Get(OrtFunction.CreateSession, environment.Pointer, nativePath, settings.Pointer);
    }

    private OrtTensorSpec[] ReadSpecs(OrtFunction count, OrtFunction name, OrtFunction type)
    {
        using var lease = new OrtLease(this);
        var specs = new OrtTensorSpec[(int)OrtApi.Get(count, lease.Pointer)];
        for (var i = 0; i < specs.Length; i++)
        {
            using var description = new OrtTypeDescription(OrtApi.Get(type, lease.Pointer, (nuint)i));
            var (element, shape) = description.Read();
            specs[i] = new OrtTensorSpec(ReadName(name, lease.Pointer, i), element, shape);
        }

        return specs;
    }

    private static string ReadName(OrtFunction function, nint session, int index)
    {
        var allocator = OrtEnvironment.DefaultAllocator;
        var name = OrtApi.Get(function, session, (nuint)index, allocator);
        try
        {
            return Marshal.PtrToStringUTF8(name) ?? "";
        }
        finally
        {
            OrtApi.Call(OrtFunction.AllocatorFree, allocator, name);
        }
    }

    /// <summary>Names as an array of C strings.</summary>
    private sealed class PinnedNames : IDisposable
    {
        private readonly byte** _pointers;
        private readonly int _count;

        public PinnedNames(string[] names)
        {
            _pointers = (byte**)NativeMemory.AllocZeroed((nuint)names.Length + 1, (nuint)sizeof(byte*));
            _count = names.Length;
            for (var i = 0; i < names.Length; i++)
                _pointers[i] = (byte*)Marshal.StringToCoTaskMemUTF8(names[i]);
        }

        public byte** Pointers => _pointers;

        public void Dispose()
        {
            for (var i = 0; i < _count; i++)
                Marshal.FreeCoTaskMem((nint)_pointers[i]);
            NativeMemory.Free(_pointers);
        }
    }
}
