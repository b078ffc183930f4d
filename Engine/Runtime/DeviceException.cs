namespace Tessera.Engine.Runtime;

/// <summary>A device cannot be used: something of it is missing, its memory is too small, or a call of it failed. The message is one line for whoever runs the server.</summary>
public sealed class DeviceException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">What was expected and what was found.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public DeviceException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
