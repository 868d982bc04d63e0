# A static binary in an image with nothing else but the CA certificates.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t teams-rooms-exporter .
#
# It runs with a read-only root, without capabilities and as any user; with --storage.path it writes to that
# directory alone.

ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1
ARG FINAL_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# Another profile of Cargo.toml builds sooner: `quick` is that of tests/proof/image.
ARG PROFILE=release
# The explicit target, though it is the builder's own, keeps the flag off build scripts and procedural
# macros, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# The dependencies in a layer of their own, which a change of the source leaves alone.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/rivals && touch src/lib.rs benches/instructions.rs benches/pure.rs benches/rivals/main.rs && echo 'fn main() {}' >src/main.rs \
 && cargo build --locked --profile "$PROFILE" --target "$(rustc --print host-tuple)"
COPY build.rs ./
COPY src src
# The revision is told, for the image has no git.
ARG REVISION=unknown
ENV TEAMS_ROOMS_EXPORTER_REVISION=${REVISION}
# Touched, for the sources are older than the empty ones that Cargo has just built.
RUN touch src/lib.rs src/main.rs \
 && target="$(rustc --print host-tuple)" \
 && cargo build --locked --profile "$PROFILE" --target "$target" \
 && install -D "target/$target/$PROFILE/teams-rooms-exporter" /out/usr/bin/teams-rooms-exporter \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && install -d /out/var/lib /storage

# hadolint ignore=DL3006
FROM ${FINAL_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="teams-rooms-exporter" \
      org.opencontainers.image.description="Prometheus exporter for Microsoft Teams Rooms" \
      org.opencontainers.image.authors="The teams-rooms-exporter authors" \
      org.opencontainers.image.vendor="The teams-rooms-exporter authors" \
      org.opencontainers.image.url="https://github.com/teams-rooms-exporter/teams-rooms-exporter" \
      org.opencontainers.image.source="https://github.com/teams-rooms-exporter/teams-rooms-exporter" \
      org.opencontainers.image.documentation="https://github.com/teams-rooms-exporter/teams-rooms-exporter#readme" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /out/ /
# Where a volume for --storage.path belongs: a named one takes its owner from here. No VOLUME, which would
# leave one behind for each container that keeps nothing.
COPY --from=build --chown=65532:65532 /storage /var/lib/teams-rooms-exporter
# glibc would keep freed blocks of the exposition; from this size on they go back to the system.
ENV MALLOC_MMAP_THRESHOLD_=65536
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 10064
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/bin/teams-rooms-exporter", "healthcheck"]
ENTRYPOINT ["/usr/bin/teams-rooms-exporter"]
