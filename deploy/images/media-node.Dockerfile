# A media node with its mediasoup worker. From the repository's root:
#
#     docker build -f deploy/images/media-node.Dockerfile -t plenary/media-node:0.1.0 .
#
# The worker is mediasoup's own prebuilt where that can be fetched, else it is built from the npm package's source
# against BASE's libraries (some five minutes on two cores). Run it on host networking: each of its ports carries media
# of many people, and a port mapping would cost a copy of every packet.
ARG BASE=docker.io/library/debian:trixie-20260918-slim@sha256:a99cfc517144bc59b1978475ec53b46ecabec7e43635402ee5b77cc54cd1b20a

# --- builds: Node 24, the packages and the worker, by the same recipe as `npm start`
FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm patchelf
WORKDIR /build
COPY . .
# A worker that you have already, by its path in here: anything in the repository's folder is below /build.
ARG MEDIASOUP_WORKER_BIN=
RUN node deploy/local/bootstrap.mjs run --for base node deploy/images/build-worker.mjs /worker
# npm wants to see every workspace that the lockfile names, but installs only the packages of the two that run.
RUN mkdir /app && cp --parents package.json package-lock.json .npmrc */package.json /app \
 && cd /app && PATH=/build/.toolchain/bin:$PATH npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
      --workspace @plenary/cluster --workspace @plenary/media-node \
 && for folder in */package.json; do rm -r "${folder%/package.json}"; done
# The worker's source is of no use at run time.
RUN rm -rf /app/node_modules/mediasoup/worker
RUN cp -r --parents cluster media-node deploy/plenaryctl /app \
 && find /app/cluster /app/media-node /app/deploy \( -name '*.test.ts' -o -name '*.contract.ts' -o -name testing \) -prune -exec rm -r {} +

# --- runs: what a media node needs and nothing else
FROM ${BASE}
# Its own user; 10001 is what the secrets' files must be readable for.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin plenary
COPY --from=build /build/.toolchain/bin/node /usr/local/bin/node
COPY --from=build /worker /worker
COPY --from=build /app /app
COPY deploy/images/healthcheck.mjs /app/
# `docker exec NAME plenaryctl drain …`, with the token and the store that the process itself has.
COPY deploy/images/plenaryctl /usr/local/bin/
WORKDIR /app
USER 10001:10001
ENV NODE_ENV=production MEDIASOUP_WORKER_BIN=/worker/mediasoup-worker PLENARY_PORT=4000
# Half of the threads look up names (cluster/src/process/thread-pool.ts). The process may need its first thread before it can set this itself.
ENV UV_THREADPOOL_SIZE=32
EXPOSE 4000 14000
# Liveness only: a media node whose store is away is not ready, but it carries running meetings.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 CMD ["node", "/app/healthcheck.mjs"]
STOPSIGNAL SIGTERM
CMD ["node", "media-node/src/main.ts"]
