# dalel in a container without a shell, a package manager or a root user.
#
#   docker build -t dalel .
#   docker run --rm -v ledger:/ledger dalel init --dir /ledger
#   docker run -v ledger:/ledger -p 127.0.0.1:8080:8080 dalel serve --dir /ledger --listen 0.0.0.0:8080
#
# Pin both images by digest in production. The program is the one that
# .ci/release builds for the same Go version.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags='-s -w -buildid=' -o /out/dalel ./cmd/dalel \
 && mkdir /out/ledger /out/settings

# CA certificates, time zones, an empty /tmp, and the user 65532.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/dalel /dalel
# The node's folder, and one for settings that several nodes share (compose.yaml).
COPY --from=build --chown=65532:65532 /out/ledger /ledger
COPY --from=build --chown=65532:65532 /out/settings /settings
USER 65532:65532
VOLUME /ledger
EXPOSE 8080
ENTRYPOINT ["/dalel"]
CMD ["serve", "--dir", "/ledger", "--listen", "0.0.0.0:8080"]
