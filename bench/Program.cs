using System.CommandLine;
using Tessera.Bench.EngineRuns;
using Tessera.Bench.Peers;

var root = new RootCommand("Measures Tessera's engine against named peers and limits") { EngineCommand.Create(), PeerCommand.Create(), PeerCommand.CreateSide() };
return await root.Parse(args).InvokeAsync();
