# Images of all services and of the command line, one target each:
#   docker build --target gateway -t reelay/gateway .
# `--build-arg BINARIES=prebuilt` takes the programs from target/images (made by
# `scripts/images`) and compiles nothing.
ARG BINARIES=build

FROM docker.io/library/node:22-bookworm-slim AS web
WORKDIR /src/services/gateway/web
COPY services/gateway/web/package.json services/gateway/web/package-lock.json ./
RUN npm ci
COPY services/gateway/web ./
RUN npm run build

FROM docker.io/library/rust:1.95-bookworm AS chef
RUN apt-get update \
    && apt-get install -y --no-install-recommends clang libclang-dev cmake mold pkg-config libssl-dev \
       zlib1g-dev libzstd-dev libavcodec-dev libavformat-dev libavutil-dev libavfilter-dev libavdevice-dev \
       libswscale-dev libswresample-dev \
    && rm -rf /var/lib/apt/lists/* \
    && cargo install --locked cargo-chef@0.1.78
WORKDIR /src

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /src/recipe.json recipe.json
RUN cargo chef cook --locked --release --recipe-path recipe.json
COPY . .
COPY --from=web /src/services/gateway/web/dist services/gateway/web/dist
RUN cargo build --locked --release --bins \
    && mkdir /out && cp target/release/reelay target/release/reelay-ingest target/release/reelay-transcode \
       target/release/reelay-gateway /out/ \
    && strip /out/*

FROM scratch AS prebuilt
COPY target/images /out

FROM ${BINARIES} AS binaries

# What every image has: certificates, OpenSSL and zstd for the Kafka client, and a user with a number.
FROM docker.io/library/debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/*
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Reelay" \
      org.opencontainers.image.description="Live video on Kafka" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
WORKDIR /

FROM base AS gateway
COPY --from=binaries /out/reelay-gateway /usr/bin/reelay-gateway
EXPOSE 8080 9102
ENTRYPOINT ["/usr/bin/reelay-gateway"]

FROM base AS cli
COPY --from=binaries /out/reelay /usr/bin/reelay
ENTRYPOINT ["/usr/bin/reelay"]

# FFmpeg's libraries, which ingest and transcode use in their workers.
FROM base AS media
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends libavformat59 libavcodec59 libavutil57 libswscale6 libswresample4 \
    && rm -rf /var/lib/apt/lists/*
USER 65532:65532

FROM media AS ingest
COPY --from=binaries /out/reelay-ingest /usr/bin/reelay-ingest
EXPOSE 9101
ENTRYPOINT ["/usr/bin/reelay-ingest"]

FROM media AS transcode
COPY --from=binaries /out/reelay-transcode /usr/bin/reelay-transcode
EXPOSE 9103
ENTRYPOINT ["/usr/bin/reelay-transcode"]
