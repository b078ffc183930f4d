using System.CommandLine;
using Tessera.Bench.Peers;

var root = new RootCommand("Measures Tessera's engine against named peers and limits") { PeerCommand.Create(), PeerCommand.CreateSide() };
return root.Parse(args).Invoke();
