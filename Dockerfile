# The server as a container image; see docs/installation.md.
#
#   docker build -t pagi .
#   docker run --read-only --tmpfs /tmp -p 5000:5000 pagi
#
# The configuration is /etc/pagi/pagi.toml; PAGI_* variables win over it (PAGI_WORKERS=4, PAGI_APP=/srv/app/app.pl).

ARG DEBIAN=trixie

FROM debian:${DEBIAN}-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates cargo-web gcc libc6-dev libperl-dev perl python3 rustc-web \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /usr/src/pagi
COPY . .
# --build-arg PROFILE=dev for an image that is built quickly and runs slowly. Debug lines stay in this stage.
ARG PROFILE=release
RUN PROFILE="$PROFILE" packaging/compile \
    && strip target/dist/bin/* \
    && packaging/install /out \
    && rm -rf /out/etc /out/usr/lib /out/usr/share/man /out/usr/share/bash-completion /out/usr/share/fish \
        /out/usr/share/zsh /out/usr/share/doc/pagi/examples /out/usr/share/doc/pagi/docs \
    && install -D -m 644 packaging/files/container.toml /out/etc/pagi/pagi.toml

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="pagi" \
      org.opencontainers.image.description="Application server for PAGI, the Perl asynchronous gateway interface" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates libcookie-baker-perl libcpanel-json-xs-perl libcryptx-perl libfuture-asyncawait-perl \
        libfuture-io-perl libfuture-perl libhash-multivalue-perl libhttp-date-perl libio-async-perl \
        libjson-maybexs-perl liburi-perl perl \
    && rm -rf /var/lib/apt/lists/* /usr/share/man/* \
    && groupadd --system --gid 10001 pagi \
    && useradd --system --uid 10001 --gid pagi --home-dir /srv/app --shell /usr/sbin/nologin pagi
COPY --from=build /out/ /
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /srv/app
EXPOSE 5000
# The server drains on SIGTERM, as PID 1 too: it needs no init beside it.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["pagictl", "status"]
ENTRYPOINT ["pagi-server"]
CMD ["--config", "/etc/pagi/pagi.toml"]
