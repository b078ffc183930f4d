namespace Tessera.Server.Security;

/// <summary>What one caller may still do: requests and tokens per minute. Thread-safe.</summary>
internal sealed class CallerLimits(TimeProvider timeProvider)
{
    private readonly Lock _lock = new();
    private TokenBucket? _requests;
    private TokenBucket? _tokens;

    /// <summary>Sets the limits; a bucket whose limit stays the same keeps its content.</summary>
    /// <param name="requestsPerMinute">0 = no limit.</param>
    /// <param name="tokensPerMinute">0 = no limit.</param>
    public void Configure(int requestsPerMinute, int tokensPerMinute)
    {
        lock (_lock)
        {
            _requests = Configure(_requests, requestsPerMinute);
            _tokens = Configure(_tokens, tokensPerMinute);
        }
    }

    /// <summary>Takes one request out, when there is one and the tokens are not used up.</summary>
    /// <returns>Null when the request may go on; else which limit is reached and when to come again.</returns>
    public RateRefusal? TakeRequest()
    {
        lock (_lock)
        {
            if (_tokens is { Balance: <= 0 } tokens)
            {
                return new RateRefusal("tokens", tokens.PerMinute, tokens.UntilOne);
            }

            if (_requests is { Balance: < 1 } requests)
            {
                return new RateRefusal("requests", requests.PerMinute, requests.UntilOne);
            }

            _requests?.Take(1);
            return null;
        }
    }

    /// <summary>Takes tokens out, into debt if need be; a negative number is given back.</summary>
    public void ChargeTokens(long count)
    {
        lock (_lock)
        {
            _tokens?.Take(count);
        }
    }

    private TokenBucket? Configure(TokenBucket? bucket, int perMinute) =>
        perMinute == 0 ? null : bucket?.PerMinute == perMinute ? bucket : new TokenBucket(perMinute, timeProvider);
}

/// <summary>A limit that a caller has reached.</summary>
/// <param name="What">requests or tokens.</param>
/// <param name="PerMinute">The limit.</param>
/// <param name="RetryAfter">When there is room again.</param>
internal sealed record RateRefusal(string What, int PerMinute, TimeSpan RetryAfter);
