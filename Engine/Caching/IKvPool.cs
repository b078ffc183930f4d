namespace Tessera.Engine.Caching;

/// <summary>One block of memory for keys or values, in main memory or on a device. Addresses are only ever computed with here, never read through.</summary>
internal interface IKvPool : IDisposable
{
    /// <summary>Bytes of the block.</summary>
    nuint ByteCount { get; }

    /// <summary>Address of the first byte, as the runtime sees it.</summary>
    nint Address { get; }

    /// <summary>Whether the memory is gone.</summary>
    bool IsClosed { get; }

    /// <summary>Copies rows of bytes within the block; the ranges do not overlap. Later runs see them.</summary>
    /// <param name="from">Offset of the first row.</param>
    /// <param name="to">Offset of the first row's copy.</param>
    /// <param name="rowBytes">Bytes of a row.</param>
    /// <param name="pitch">Bytes from one row to the next, on both sides.</param>
    /// <param name="rowCount">Rows.</param>
    void CopyRows(nuint from, nuint to, nuint rowBytes, nuint pitch, int rowCount);

    /// <summary>Takes memory for rows of bytes from the system before they are written, where that can be done; what they hold stays. From any thread.</summary>
    /// <param name="offset">Offset of the first row.</param>
    /// <param name="rowBytes">Bytes of a row.</param>
    /// <param name="pitch">Bytes from one row to the next.</param>
    /// <param name="rowCount">Rows.</param>
    void TakeRows(nuint offset, nuint rowBytes, nuint pitch, int rowCount)
    {
    }

    /// <summary>Gives what can be given back of a range's memory to the system; what it holds is lost.</summary>
    void GiveBack(nuint offset, nuint byteCount);
}
