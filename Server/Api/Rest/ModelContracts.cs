namespace Tessera.Server.Api.Rest;

/// <summary>Answer of <c>GET /v1/models</c>.</summary>
internal sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

/// <summary>One served model.</summary>
/// <param name="Id">The name for a request's model field.</param>
/// <param name="Object">Always model.</param>
/// <param name="Created">When it was loaded, in seconds since 1970.</param>
/// <param name="OwnedBy">Always tessera.</param>
/// <param name="MaxModelLen">Positions that prompt and completion share.</param>
internal sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy, int MaxModelLen);

/// <summary>Answer of the health routes.</summary>
/// <param name="Status">live, ready or the reason against it.</param>
/// <param name="Message">The reason in words.</param>
internal sealed record HealthBody(string Status, string? Message = null);

/// <summary>Answer of <c>GET /info</c>.</summary>
internal sealed record ServerInfo(string Version, ModelInfo Model, EngineInfo Engine, LimitInfo Limits, ProcessInfo Process);

/// <summary>What is served.</summary>
internal sealed record ModelInfo(
    string Name, string Version, string License, string Description, string Family, int LayerCount, int HiddenSize, int VocabularySize, int MaxPositions,
    string Precision, string KvPrecision, int LatentCount, double TextTokensPerLatent, bool Hints, IReadOnlyList<EvaluationInfo> Evaluation);

/// <summary>What the model was measured to do.</summary>
internal sealed record EvaluationInfo(string Task, string Mode, int N, double Accuracy, double Low, double High, double MeanTokens, string Note);

/// <summary>What the engine is doing now.</summary>
internal sealed record EngineInfo(
    string State, int Running, int Waiting, long KvPositionsInUse, long KvPositionsCapacity, long KvBytesInUse, long KvBytesPeak,
    long KvBytesPerPosition, long StepCount, double SinceLastProgressMs);

/// <summary>What a request may ask for.</summary>
internal sealed record LimitInfo(
    int MaxPositions, int MaxTokens, int DefaultMaxTokens, int MaxSlots, int MaxQueuedRequests, int MaxQueuedTokens, int PrefillChunk,
    int MaxBodyBytes, int MaxJsonDepth, int MaxN, int MaxTopLogprobs, int MaxLogitBiasEntries, int MaxStopTokenIds, int MaxPromptCharacters,
    int MaxLatentCodes, int MaxHeaderBytes, int MaxConnections, int HeaderSeconds, int BodySeconds, int ReaderSeconds, int RequestSeconds, int MaxPrompts, int RequestsPerMinute,
    int TokensPerMinute);

/// <summary>What the process takes.</summary>
internal sealed record ProcessInfo(long ResidentBytes, long PeakResidentBytes, double UptimeSeconds);
