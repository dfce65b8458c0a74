# syntax=docker/dockerfile:1.7
# docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) -t maesn-sync .
# With SOURCE_DATE_EPOCH, BuildKit dates the image and its layers by the commit; `--output type=image,rewrite-timestamp=true`
# does so for the files in them. For bytes that repeat, pin the digest of NODE too.
# glibc: the Temporal SDK has no build for musl.
ARG NODE=node:22.20.0-bookworm-slim

FROM ${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run build

FROM ${NODE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Of the SDK's native module, the other platforms' builds and the source it was made of are not needed.
RUN npm ci --omit=dev --no-audit --no-fund \
 && cd node_modules/@temporalio/core-bridge \
 && find releases -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -rf {} + \
 && rm -rf sdk-core src Cargo.toml Cargo.lock \
 && rm -rf /root/.npm

FROM ${NODE}
# The SDK's native module checks certificates against the system's.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/log/*
# Of a Worker; the backend listens at MAESN_SYNC_ADDRESS.
ENV NODE_ENV=production NO_COLOR=1 MAESN_SYNC_HEALTH_ADDRESS=:8080
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
USER 1000:1000
EXPOSE 8080
# The Worker and the backend finish what they have begun: see MAESN_SYNC_SHUTDOWN_GRACE.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then(({ ok }) => process.exit(ok ? 0 : 1))"]
ENTRYPOINT ["node", "dist/src/cli.js"]
# worker, serve or migrate
CMD ["worker"]
