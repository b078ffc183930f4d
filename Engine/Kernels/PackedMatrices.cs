using System.Runtime.InteropServices;

namespace Tessera.Engine.Kernels;

/// <summary>
/// The packed weights of all sessions. Sessions of the same graph share theirs: in memory, and in the caches, where the prompts of one session and the decode
/// rows of the other find them.
/// </summary>
internal static unsafe class PackedMatrices
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<nint, int> Uses = [];

    /// <summary>Weights that are equal to freshly packed ones, which then are freed, or these.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory to note them.</exception>
    public static PackedMatrix* Share(PackedMatrix fresh)
    {
        lock (Gate)
        {
            foreach (var address in Uses.Keys)
            {
                var known = (PackedMatrix*)address;
                if (known->IsEqualTo(fresh))
                {
                    fresh.Free();
                    Uses[address]++;
                    return known;
                }
            }

            var matrix = (PackedMatrix*)NativeMemory.Alloc((nuint)sizeof(PackedMatrix));
            *matrix = fresh;
            Uses.Add((nint)matrix, 1);
            return matrix;
        }
    }

    /// <summary>Ends one use.</summary>
    public static void Drop(PackedMatrix* matrix)
    {
        lock (Gate)
        {
            if (--Uses[(nint)matrix] > 0)
                return;
            Uses.Remove((nint)matrix);
            matrix->Free();
            NativeMemory.Free(matrix);
        }
    }
}
