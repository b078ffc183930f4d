# Builds the server with its native runtime and the shipped model, and runs it without root.
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN dotnet publish Server/Server.csproj -c Release -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
WORKDIR /app
COPY --from=build /app .
# The native runtime reads this from the process environment before it is loaded.
ENV ORT_DISABLE_TELEMETRY=1 \
    DOTNET_EnableDiagnostics=0 \
    TESSERA__Server__Host=0.0.0.0
EXPOSE 8080 8081
USER $APP_UID
ENTRYPOINT ["dotnet", "Tessera.Server.dll"]
