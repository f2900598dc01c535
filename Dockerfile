# An image of nothing but the static binary; build it with --build-arg BINARY=path.
FROM scratch
ARG BINARY=diffkeeper
COPY ${BINARY} /diffkeeper
USER 65534:65534
ENTRYPOINT ["/diffkeeper"]
