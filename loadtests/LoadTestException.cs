namespace Tessera.LoadTests;

/// <summary>The run cannot start or go on; the message is one line for the user and names the file, field or address.</summary>
public sealed class LoadTestException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">One line for the user.</param>
    public LoadTestException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the error with its cause.</summary>
    /// <param name="message">One line for the user.</param>
    /// <param name="innerException">The cause; never shown.</param>
    public LoadTestException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
