using Tessera.Server.Hosting;

return await new ServerCommand(AppContext.BaseDirectory, Environment.GetEnvironmentVariables(), Console.Out, Console.Error).RunAsync(args);
