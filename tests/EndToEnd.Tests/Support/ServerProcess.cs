using System.Text;
using System.Text.Json.Nodes;

namespace Tessera.EndToEnd.Tests.Support;

/// <summary>The real server in a process of its own, on free ports of the loopback address.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private readonly ChildProcess _process;

    private ServerProcess(ChildProcess process, IReadOnlyList<string> greeting, Uri rest, Uri grpc)
    {
        _process = process;
        Greeting = greeting;
        Rest = rest;
        Grpc = grpc;
        Http = new HttpClient { BaseAddress = rest, Timeout = ChildProcess.Patience };
    }

    /// <summary>What it printed until it listened.</summary>
    public IReadOnlyList<string> Greeting { get; }

    public Uri Rest { get; }

    public Uri Grpc { get; }

    /// <summary>Client of the REST port.</summary>
    public HttpClient Http { get; }

    /// <summary>Starts the server without waiting for it.</summary>
    public static ChildProcess Launch(params string[] arguments) => ChildProcess.Start(
        Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
        [Repository.ServerAssembly, "--Server:RestPort", "0", "--Server:GrpcPort", "0", .. arguments]);

    /// <summary>Runs <c>keys ...</c> and gives what it prints.</summary>
    public static async Task<string> RunKeysAsync(params string[] arguments)
    {
        await using var process = ChildProcess.Start(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [Repository.ServerAssembly, "keys", .. arguments]);
        var printed = await process.ReadLineAsync();
        Assert.True(await process.WaitForExitAsync() == 0, string.Join('\n', process.Errors));
        return printed ?? "";
    }

    /// <summary>Starts the server with the shipped package and waits until it listens.</summary>
    public static async Task<ServerProcess> StartAsync(params string[] arguments)
    {
        var process = Launch(arguments);
        var greeting = new List<string>();
        while (await process.ReadLineAsync() is { } line)
        {
            greeting.Add(line);
            if (line.StartsWith("listening ", StringComparison.Ordinal))
            {
                var addresses = line.Split(' ')[1..].Select(part => part.Split('=', 2)).ToDictionary(part => part[0], part => new Uri(part[1]));
                return new ServerProcess(process, greeting, addresses["rest"], addresses["grpc"]);
            }
        }

        var code = await process.WaitForExitAsync();
        throw new InvalidOperationException($"the server ended with {code} before it listened: {string.Join('\n', process.Errors)}");
    }

    /// <summary>The request of the curl line that the server prints for its user.</summary>
    public JsonObject GreetingRequest()
    {
        var text = string.Join('\n', Greeting);
        var start = text.IndexOf("-d '", StringComparison.Ordinal) + "-d '".Length;
        return JsonNode.Parse(text[start..text.IndexOf('\'', start)])!.AsObject();
    }

    /// <summary>Posts a chat request and gives the answer's body.</summary>
    public async Task<JsonNode> CompleteAsync(JsonNode request)
    {
        using var content = new StringContent(request.ToJsonString(), Encoding.UTF8, "application/json");
        using var response = await Http.PostAsync("/v1/chat/completions", content);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    /// <summary>Waits until no request runs or waits and no position is in use.</summary>
    public async Task WaitUntilIdleAsync()
    {
        using var patience = new CancellationTokenSource(ChildProcess.Patience);
        while (true)
        {
            var engine = JsonNode.Parse(await Http.GetStringAsync("/info", patience.Token))!["engine"]!;
            if ((int)engine["running"]! == 0 && (int)engine["waiting"]! == 0 && (long)engine["kv_positions_in_use"]! == 0)
            {
                return;
            }

            await Task.Delay(20, patience.Token);
        }
    }

    /// <summary>Sends a signal.</summary>
    public void Signal(int signal) => _process.SendSignal(signal);

    /// <summary>Next line of its log; null at its end.</summary>
    public Task<string?> ReadLineAsync() => _process.ReadLineAsync();

    /// <summary>Waits for the end and gives the exit code.</summary>
    public Task<int> WaitForExitAsync() => _process.WaitForExitAsync();

    /// <summary>Asks the server to stop and waits.</summary>
    /// <returns>Exit code and what it wrote to the standard error.</returns>
    public async Task<(int ExitCode, IReadOnlyList<string> Errors)> StopAsync()
    {
        _process.SendTerminate();
        return (await _process.WaitForExitAsync(), _process.Errors);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _process.DisposeAsync();
    }
}
