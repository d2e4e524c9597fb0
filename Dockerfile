# The resolver's image. Build it with
#
#   docker build --tag mounted-secret-resolver .
#
# The defaults are public images; pin them by digest where that matters:
# `--build-arg BASE_IMAGE=<name>@sha256:<digest>`. Another base works if it has glibc and Node.js 24 or newer;
# say with `--build-arg NODE=<path>` where its node is.
#
# The last stage runs nothing, so an image for another architecture needs no emulation.

ARG BUILD_IMAGE=docker.io/library/node:24-trixie-slim
ARG BASE_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

# ---- sources → dist ------------------------------------------------------------------------------------------
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No install scripts: nothing that a package brings along is run. The compiler is a binary and needs none.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

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
# A command of its own name for `exec` and for the entry point: the kernel reads the first line, so that neither
# a shell nor /usr/bin/env is needed. Of each package only what node loads is kept, and its licence: no sources,
# declarations, documents or scripts.
RUN sed -i "1s|.*|#!${NODE}|" app/dist/main.js \
 && mkdir -p usr/local/bin \
 && ln -s /app/dist/main.js usr/local/bin/secret-resolver \
 && rm -rf app/node_modules/.package-lock.json app/node_modules/.bin \
 && find app/dist -type f ! -name '*.js' -exec rm {} + \
 && find app/node_modules -type f ! \( -name '*.js' -o -name '*.cjs' -o -name '*.mjs' -o -name '*.json' \
      -o -name '*.node' -o -name '*.proto' -o -iname 'licen[cs]e*' -o -iname 'notice*' \) -exec rm {} + \
 && chmod -R u=rwX,go=rX app \
 && find app -type f -exec chmod 0644 {} + \
 && chmod 0755 app/dist/main.js

# ---- the image -----------------------------------------------------------------------------------------------
FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="mounted-secret-resolver" \
      org.opencontainers.image.description="Serves credentials from mounted Kubernetes Secrets to a listed supervisor over a Unix socket" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
COPY --from=tree /out/ /
ENV NODE_ENV=production
# In no other use in a pod: not 0, not the agent's 1000, not a mesh's 1337, not nobody's 65534.
USER 10771:10771
WORKDIR /
ENTRYPOINT ["/usr/local/bin/secret-resolver"]
CMD ["serve", "--config", "/etc/secret-resolver/config.yaml"]
