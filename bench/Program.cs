using System.CommandLine;
using Tessera.Bench.EngineRuns;
using Tessera.Bench.Exports;
using Tessera.Bench.Peers;

var root = new RootCommand("Measures Tessera's engine against named peers and limits")
{
    EngineCommand.Create(), CallsCommand.Create(), AllocationsCommand.Create(), PeerCommand.Create(), PeerCommand.CreateSide(), ExportCommand.Create(), ExportCommand.CreateLoad(),
    QualityCommand.Create(),
};
return await root.Parse(args).InvokeAsync();
