# An edge, with the web app that it serves. From the repository's root:
#
#     docker build -f deploy/images/edge-signaling.Dockerfile -t plenary/edge-signaling:0.1.0 .
#
# BASE is any Debian or Ubuntu with glibc 2.38 or newer, which uWebSockets.js needs: Debian 13, Ubuntu 24.04.
ARG BASE=docker.io/library/debian:trixie-20260918-slim@sha256:a99cfc517144bc59b1978475ec53b46ecabec7e43635402ee5b77cc54cd1b20a

# --- builds: Node 24, the packages and the web app, by the same recipe as `npm start`
FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm
WORKDIR /build
COPY . .
RUN node deploy/local/bootstrap.mjs run --for base vite build web
# npm wants to see every workspace that the lockfile names, but installs only the packages of the two that run.
RUN mkdir /app && cp --parents package.json package-lock.json .npmrc */package.json /app \
 && cd /app && PATH=/build/.toolchain/bin:$PATH npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
      --workspace @plenary/cluster --workspace @plenary/edge-signaling \
 && for folder in */package.json; do rm -r "${folder%/package.json}"; done
# uWebSockets.js ships binaries for every system and Node; one of them is ours.
RUN ours=$(/build/.toolchain/bin/node -p '`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`') \
 && test -f "/app/node_modules/uWebSockets.js/$ours" \
 && find /app/node_modules/uWebSockets.js -name 'uws_*.node' ! -name "$ours" -delete
RUN cp -r --parents cluster edge-signaling web/dist deploy/plenaryctl /app \
 && find /app/cluster /app/edge-signaling /app/deploy \( -name '*.test.ts' -o -name '*.contract.ts' -o -name testing \) -prune -exec rm -r {} +

# --- runs: what an edge needs and nothing else
FROM ${BASE}
# Its own user; 10001 is what the secrets' files must be readable for.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin plenary
COPY --from=build /build/.toolchain/bin/node /usr/local/bin/node
COPY --from=build /app /app
COPY deploy/images/healthcheck.mjs /app/
# `docker exec NAME plenaryctl drain …`, with the token and the store that the process itself has.
COPY deploy/images/plenaryctl /usr/local/bin/
WORKDIR /app
USER 10001:10001
ENV NODE_ENV=production PLENARY_WEB_ROOT=/app/web/dist PLENARY_PORT=3000
# Half of the threads look up names (cluster/src/process/thread-pool.ts). The process may need its first thread before it can set this itself.
ENV UV_THREADPOOL_SIZE=32
EXPOSE 3000 13000
# Liveness only: an edge whose store is away is not ready, but well, and must not be restarted for it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 CMD ["node", "/app/healthcheck.mjs"]
STOPSIGNAL SIGTERM
CMD ["node", "edge-signaling/src/main.ts"]
