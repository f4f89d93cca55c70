#!/bin/sh
# Builds the servers that the S3 tests speak to into the user's cache folder, from the published
# Go modules, which Go itself checks. MinIO takes some minutes, once.
set -eu

bin=${XDG_CACHE_HOME:-$HOME/.cache}/wingback/bin
mkdir -p "$bin"
# Beside where they go, so that a binary appears there whole.
tmp=$(mktemp -d "$bin/build.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# server NAME VERSION MODULE; the tests look for NAME-VERSION.
server() {
    [ -x "$bin/$1-$2" ] && return
    if ! GOBIN=$tmp go install "$3@$2" 2>"$tmp/log"; then
        echo "s3-servers: $1 $2 cannot be built: $(tail -n 1 "$tmp/log")" >&2
        exit 1
    fi
    mv "$tmp/$1" "$bin/$1-$2"
}

server versitygw v1.8.0 github.com/versity/versitygw/cmd/versitygw
server minio v0.0.0-20260212201848-7aac2a2c5b7c github.com/minio/minio
