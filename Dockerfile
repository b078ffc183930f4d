# Images of the server and of the load generator. Choose with --target: cpu (what is built without one), cuda, load.
#   docker build --target cpu -t tessera:cpu .
# .ci/container runs these instructions as a script, so RUN lines keep to relative paths.

# ---- the native runtime: ONNX Runtime from npm, pinned with its hash in package-lock.json ----
FROM node:22.12.0-bookworm-slim AS native
WORKDIR /native
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund

# ---- the same with the CUDA provider beside it, of the same version and in one folder: the library looks for providers next to itself ----
FROM native AS native-cuda
ARG CUDA_MAJOR=13
# The package's own script fetches the provider from NuGet. It is called cuda12 there whatever it was built against, so what it needs is checked.
RUN ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js \
    && cd node_modules/onnxruntime-node/bin/napi-v6/linux/x64 \
    && rm -f libonnxruntime_providers_tensorrt.so \
    && { grep -q "libcudart.so.${CUDA_MAJOR}" libonnxruntime_providers_cuda.so \
         || { echo "the CUDA provider does not need libcudart.so.${CUDA_MAJOR}: build with another CUDA_MAJOR and base image"; exit 1; }; }

# ---- the programs ----
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
ENV DOTNET_CLI_TELEMETRY_OPTOUT=1 \
    DOTNET_NOLOGO=1
WORKDIR /src
COPY . .
COPY --from=native /native/node_modules ./node_modules
RUN dotnet publish Server/Server.csproj -c Release -o ../app

FROM build AS build-load
RUN dotnet publish loadtests/loadtests.csproj -c Release -o ../load

# ---- image: load generator ----
FROM mcr.microsoft.com/dotnet/runtime:10.0-noble AS load
WORKDIR /load
COPY --from=build-load /load .
ENV DOTNET_EnableDiagnostics=0
USER 1654
ENTRYPOINT ["dotnet", "tessera-load.dll"]

# ---- image: server on NVIDIA GPUs ----
FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble AS aspnet

FROM nvidia/cuda:13.0.1-base-ubuntu24.04 AS cuda
# What the provider is linked against beyond the base image, and OpenSSL, which .NET hashes with.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcublas-13-0 libcurand-13-0 libssl3t64 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=aspnet /usr/share/dotnet /usr/share/dotnet
WORKDIR /app
COPY --from=build /app .
COPY --from=native-cuda /native/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_shared.so /native/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so ./
# ONNX Runtime reads the first from the environment of the process, before it is loaded.
ENV ORT_DISABLE_TELEMETRY=1 \
    DOTNET_EnableDiagnostics=0 \
    TESSERA__Server__Host=0.0.0.0
EXPOSE 8080 8081
USER 1654
ENTRYPOINT ["/usr/share/dotnet/dotnet", "Tessera.Server.dll"]

# ---- image: server on CPUs; last, so that it is the default ----
FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble AS cpu
WORKDIR /app
COPY --from=build /app .
# ONNX Runtime reads the first from the environment of the process, before it is loaded.
ENV ORT_DISABLE_TELEMETRY=1 \
    DOTNET_EnableDiagnostics=0 \
    TESSERA__Server__Host=0.0.0.0
EXPOSE 8080 8081
USER 1654
ENTRYPOINT ["dotnet", "Tessera.Server.dll"]
