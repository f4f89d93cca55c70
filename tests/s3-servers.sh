#!/bin/sh
# Builds an S3 server for the tests in the user's cache folder: s3-servers.sh NAME. The source is the
# published Go module, which Go itself checks.
set -eu

bin=${XDG_CACHE_HOME:-$HOME/.cache}/wingback/bin
case $1 in
versitygw) version=v1.8.0 module=github.com/versity/versitygw/cmd/versitygw ;;
minio) version=v0.0.0-20260212201848-7aac2a2c5b7c module=github.com/minio/minio ;;
esac
# The tests expect this name.
[ ! -x "$bin/$1-$version" ] || exit 0
mkdir -p "$bin"
# Built in the same file system, so that the binary appears there atomically.
tmp=$(mktemp -d "$bin/build.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

echo "setup: an S3 server: building $1 $version, for some minutes"
if ! GOBIN=$tmp go install "$module@$version" 2>"$tmp/log"; then
    echo "setup: $1 $version cannot be built: $(tail -n 1 "$tmp/log")" >&2
    exit 1
fi
mv "$tmp/$1" "$bin/$1-$version"
