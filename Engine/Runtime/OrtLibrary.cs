using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>Finds and loads the native runtime, once per process, with its telemetry switched off before the first byte of it runs.</summary>
public static unsafe class OrtLibrary
{
    /// <summary>Environment variable that names the native library and goes before every other place.</summary>
    public const string PathVariable = "TESSERA_ORT_LIBRARY";

    /// <summary>Environment variable by which the native library leaves its telemetry off.</summary>
    public const string TelemetryVariable = "ORT_DISABLE_TELEMETRY";

    /// <summary>Version of the C API that this binding is written for; the runtime's version is 1.this.x or later.</summary>
    public const int ApiVersion = 30;

    private static readonly Lazy<LoadedLibrary> Loaded = new(() => Load(Find(Environment.GetEnvironmentVariable(PathVariable), AppContext.BaseDirectory)));

    /// <summary>Version of the loaded runtime, for example 1.30.0; loads it when it is not loaded yet.</summary>
    /// <exception cref="OrtLibraryException">The library is missing or cannot be used.</exception>
    public static string Version => Loaded.Value.Version;

    /// <summary>Full path of the loaded runtime; loads it when it is not loaded yet.</summary>
    /// <exception cref="OrtLibraryException">The library is missing or cannot be used.</exception>
    public static string LoadedPath => Loaded.Value.Path;

    /// <summary>The C API: an array of function pointers, indexed by <see cref="OrtFunction"/>.</summary>
    internal static nint* Functions => (nint*)Loaded.Value.Functions;

    /// <summary>File name of the native library on this operating system.</summary>
    internal static string FileName =>
        OperatingSystem.IsWindows() ? "onnxruntime.dll" : OperatingSystem.IsMacOS() ? "libonnxruntime.1.dylib" : "libonnxruntime.so.1";

    /// <summary>Where the library lies under <c>node_modules</c>.</summary>
    internal static string PackagePath
    {
        get
        {
            var system = OperatingSystem.IsWindows() ? "win32" : OperatingSystem.IsMacOS() ? "darwin" : "linux";
            var processor = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "x64";
            return Path.Combine("node_modules", "onnxruntime-node", "bin", "napi-v6", system, processor, FileName);
        }
    }

    /// <summary>Full path of the library: the named one, else the one beside the program, else the one in <c>node_modules</c> of a folder above it.</summary>
    /// <param name="named">Value of <see cref="PathVariable"/>; null or empty when it is not set.</param>
    /// <param name="baseDirectory">Folder of the program.</param>
    /// <exception cref="OrtLibraryException">Says which places were searched and what to do.</exception>
    internal static string Find(string? named, string baseDirectory)
    {
        if (!string.IsNullOrEmpty(named))
        {
            return File.Exists(named)
                ? Path.GetFullPath(named)
                : throw new OrtLibraryException($"{PathVariable}: expected the path of {FileName}, found '{named}', which is not a file");
        }

        var beside = Path.Combine(baseDirectory, FileName);
        if (File.Exists(beside))
            return beside;

        for (var folder = new DirectoryInfo(baseDirectory); folder is not null; folder = folder.Parent)
        {
            var installed = Path.Combine(folder.FullName, PackagePath);
            if (File.Exists(installed))
                return installed;
        }

        throw new OrtLibraryException(
            $"ONNX Runtime was not found: no {FileName} in '{baseDirectory}' and no {PackagePath} in it or above it. "
            + $"Run 'npm ci --ignore-scripts' in the repository root, or set {PathVariable} to the full path of {FileName} (1.{ApiVersion} or later).");
    }

    /// <summary>Loads a library and takes its function table.</summary>
    /// <exception cref="OrtLibraryException">It cannot be loaded, is no ONNX Runtime, or is too old.</exception>
    internal static LoadedLibrary Load(string path)
    {
        NativeEnvironment.Set(TelemetryVariable, "1");
        nint library, export;
        try
        {
            library = NativeLibrary.Load(path);
            export = NativeLibrary.GetExport(library, "OrtGetApiBase");
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
        {
            throw new OrtLibraryException($"'{path}' is not an ONNX Runtime library that this machine can load: {exception.Message}", exception);
        }

        // struct OrtApiBase { const OrtApi* GetApi(uint32 version); const char* GetVersionString(); }, frozen.
        var apiBase = ((delegate* unmanaged<nint*>)export)();
        var version = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)apiBase[1])()) ?? "";
        CheckVersion(path, version);
        var functions = ((delegate* unmanaged<uint, nint>)apiBase[0])(ApiVersion);
        return functions != 0
            ? new LoadedLibrary(path, version, functions)
            : throw new OrtLibraryException($"'{path}': ONNX Runtime {version} does not offer API version {ApiVersion}");
    }

    /// <summary>Refuses a runtime that is older than <see cref="ApiVersion"/>; versions are always 1.API.x.</summary>
    internal static void CheckVersion(string path, string version)
    {
        var parts = version.Split('.');
        if (parts.Length >= 2 && parts[0] == "1" && int.TryParse(parts[1], out var minor) && minor >= ApiVersion)
            return;
        throw new OrtLibraryException($"'{path}': expected ONNX Runtime 1.{ApiVersion} or a later 1.x, found {version}");
    }

    /// <summary>A loaded runtime; it stays loaded until the process ends.</summary>
    /// <param name="Path">Full path.</param>
    /// <param name="Version">Version string.</param>
    /// <param name="Functions">Address of the function table.</param>
    internal sealed record LoadedLibrary(string Path, string Version, nint Functions);
}
