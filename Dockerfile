# The resolver's image. Build it with
#
#   docker build --tag mounted-secret-resolver .
#
# The defaults are public images; pin them by digest where that matters:
# `--build-arg BASE_IMAGE=<name>@sha256:<digest>`. Another base works if it has glibc and Node.js 26 or newer;
# pass the path of its node with `--build-arg NODE=<path>`.
#
# `serve` starts from code that the base's own node compiled. Only that step runs a program of the image's architecture: to
# build for another architecture, register an emulator with the kernel (binfmt_misc). V8 compiles the same code to other
# bytes each time, so the layer of the compiled code, the last one, differs between builds. All other layers are reproducible.

ARG BUILD_IMAGE=docker.io/library/node:26-trixie-slim
ARG BASE_IMAGE=gcr.io/distroless/nodejs26-debian13:nonroot

# ---- sources → dist, and serve as a bundle -------------------------------------------------------------------
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No install scripts: no code of a package runs here. The compiler is a binary and needs none.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
COPY deploy/image ./deploy/image
RUN node deploy/image/bundle.ts

# ---- production dependencies, for the target's architecture --------------------------------------------------
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS dependencies
ARG TARGETARCH
WORKDIR /src
COPY package.json package-lock.json ./
RUN case "${TARGETARCH}" in \
      amd64) cpu=x64 ;; \
      arm64) cpu=arm64 ;; \
      *) echo "TARGETARCH is '${TARGETARCH}'; amd64 and arm64 are supported" >&2; exit 1 ;; \
    esac \
 && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --os=linux --cpu="$cpu" --libc=glibc

# ---- the tree that the image adds to its base ----------------------------------------------------------------
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS tree
ARG NODE=/nodejs/bin/node
WORKDIR /out
COPY --from=dependencies /src/node_modules ./app/node_modules
COPY --from=build /src/dist ./app/dist
COPY package.json LICENSE ./app/
COPY proto ./app/proto
COPY deploy/image/left-out.txt /build/
# A command `secret-resolver` for `exec` and for the entry point. The kernel reads its first line, so that it needs
# neither a shell nor /usr/bin/env. Packages that nothing loads are removed. Of the others, only the licence and the files
# that node loads are kept: no sources, declarations, documents, tests or scripts, and no addon for another C library.
RUN sed -i "1s|.*|#!${NODE}|" app/dist/main.js \
 && mkdir -p usr/local/bin \
 && ln -s /app/dist/main.js usr/local/bin/secret-resolver \
 && ln -s "${NODE}" app/node \
 && rm -rf app/node_modules/.package-lock.json app/node_modules/.bin \
 && sed -n 's|^[^#]|app/node_modules/&|p' /build/left-out.txt >/build/left-out && xargs rm -r </build/left-out \
 && find app/node_modules -depth -type d \( -name test -o -name specs -o -name benchmarks -o -name examples \
      -o -name fixtures -o -name 'musl_*' \) -exec rm -r {} + \
 && find app/dist -type f ! -name '*.js' ! -name '*.cjs' -exec rm {} + \
 && find app/node_modules -type f ! \( -name '*.js' -o -name '*.cjs' -o -name '*.mjs' -o -name '*.json' \
      -o -name '*.node' -o -name '*.proto' -o -iname 'licen[cs]e*' -o -iname 'notice*' \) -exec rm {} + \
 && chmod -R u=rwX,go=rX app \
 && find app -type f -exec chmod 0644 {} + \
 && chmod 0755 app/dist/main.js

# ---- compiled code, by the node that starts from it ----------------------------------------------------------
FROM ${BASE_IMAGE} AS compiled
COPY --from=tree /out/ /
COPY deploy/image/compile.ts /build/
# Of this stage only: it writes into /app.
# hadolint ignore=DL3002
USER 0:0
WORKDIR /build
# Exec form, because the base has no shell.
RUN ["/app/node", "/build/compile.ts", "/app/dist"]

# ---- the image -----------------------------------------------------------------------------------------------
FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="mounted-secret-resolver" \
      org.opencontainers.image.description="Serves credentials from mounted Kubernetes Secrets to a listed supervisor over a Unix socket" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
COPY --from=tree /out/ /
COPY --from=compiled /app/dist/*.cache /app/dist/
# One malloc arena for all threads: few threads run at once, and each arena keeps the memory freed in it.
ENV NODE_ENV=production MALLOC_ARENA_MAX=1
# A UID that nothing else in a pod uses: not root (0), the agent (1000), a mesh proxy (1337) or nobody (65534).
USER 10771:10771
WORKDIR /
# The flags that `serve` needs with the default paths in its configuration (see src/boundary/reexec.ts). With other
# paths, `serve` re-executes itself once. Any other command re-executes as /usr/local/bin/secret-resolver, which is also
# the command for `exec`.
ENTRYPOINT ["/app/node", "--disable-sigusr1", "--disallow-code-generation-from-strings", \
  "--single-threaded-gc", "--max-semi-space-size=1", "--min-semi-space-size=1", "--heap-growing-percent=20", "--no-flush-bytecode", "--expose-gc", \
  "--v8-pool-size=1", \
  "--permission", "--allow-addons", "--allow-net", "--allow-fs-read=*", \
  "--allow-fs-write=/run/secret-resolver/socket", "--allow-fs-write=/run/secret-resolver/socket/*", \
  "--disable-warning=PERM0001", "--disable-warning=ExperimentalWarning", \
  "--allow-child-process", "--disable-warning=PERM0002", \
  "/app/dist/start.cjs"]
CMD ["serve", "--config", "/etc/secret-resolver/config.yaml"]
