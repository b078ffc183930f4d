using System.Globalization;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Tests.Runtime;

public sealed class QuietThreadTests
{
    [Fact]
    public async Task RunAsync_OfSeveralFunctions_CallsThemInOrderOnOneThread()
    {
        var thread = new QuietThread("quiet");
        var calls = new List<(int Call, int Thread)>();

        var results = await Task.WhenAll(Enumerable.Range(0, 20).Select(call => thread.RunAsync(() =>
        {
            calls.Add((call, Environment.CurrentManagedThreadId));
            return call * call;
        })));
        thread.End();

        Assert.Equal(Enumerable.Range(0, 20).Select(call => call * call), results);
        Assert.Equal(Enumerable.Range(0, 20), calls.Select(call => call.Call));
        Assert.NotEqual(Environment.CurrentManagedThreadId, Assert.Single(calls.Select(call => call.Thread).Distinct()));
    }

    [Fact]
    public async Task RunAsync_OfAFunctionThatFails_GivesItsExceptionAndGoesOn()
    {
        var thread = new QuietThread("quiet");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => thread.RunAsync<int>(() => throw new InvalidOperationException("planned")));

        Assert.Equal("planned", error.Message);
        Assert.Equal(7, await thread.RunAsync(() => 7));
        thread.End();
        await Assert.ThrowsAsync<InvalidOperationException>(() => thread.RunAsync(() => 8));
    }

    [Fact]
    public async Task Thread_OnLinux_GivesWayAndNoOtherDoes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "nice values of threads are Linux's");
        var before = Nice();
        var thread = new QuietThread("quiet");

        var quiet = await thread.RunAsync(Nice);
        thread.End();

        // Whoever runs the tests may have made them give way already.
        Assert.Equal(Math.Max(10, before), quiet);
        Assert.Equal(before, await Task.Factory.StartNew(Nice, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
    }

    // The 19th field; the second is a name in parentheses.
    private static int Nice()
    {
        var stat = File.ReadAllText("/proc/thread-self/stat");
        return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[16], CultureInfo.InvariantCulture);
    }
}
