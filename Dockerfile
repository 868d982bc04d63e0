# A static binary in an image with nothing else but the CA certificates.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .

ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
ARG FINAL_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
# The revision is told, for the image has no git.
ARG REVISION=unknown
ENV TEAMS_ROOMS_EXPORTER_REVISION=${REVISION}
# The explicit target, though it is the builder's own, keeps the flag off build scripts and procedural
# macros, which cannot be static.
RUN target="$(rustc --print host-tuple)" \
 && RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target "$target" \
 && install -D "target/$target/release/teams-rooms-exporter" /out/usr/bin/teams-rooms-exporter \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

# hadolint ignore=DL3006
FROM ${FINAL_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="teams-rooms-exporter" \
      org.opencontainers.image.description="Prometheus exporter for Microsoft Teams Rooms" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
# glibc would keep freed blocks of the exposition; from this size on they go back to the system.
ENV MALLOC_MMAP_THRESHOLD_=65536
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 10064
ENTRYPOINT ["/usr/bin/teams-rooms-exporter"]
