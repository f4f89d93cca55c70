#!/bin/sh
# Tests the Go module: test.sh BUILT [PART], with the folder that has libwingback.a and the command.
# PART is "quick" for the engine as a child only, or "all" for every way to build and link as well.
set -eu
built=$(cd "$1" && pwd)
part=${2-usual}
cd "$(dirname "$0")"
./build.sh "$built"
export WINGBACK_BIN="$built/wingback"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export WINGBACK_STATE_DIR="$scratch/state"

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || {
    echo "gofmt: $unformatted" >&2
    exit 1
}
if [ "$part" = quick ]; then
    echo "== the command, as a child"
    CGO_ENABLED=0 go test -count=1 ./...
    exit
fi
go vet ./...
CGO_ENABLED=0 go vet ./...
(cd wingstest && CGO_ENABLED=0 go vet ./...)
if [ "$part" = usual ]; then
    [ -z "${WINGBACK_LEFT_OUT-}" ] || ../../tests/left-out.sh compare
    echo "== the library, in the process"
    go test -count=1 -race ./...
    echo "== Wings"
    (cd wingstest && CGO_ENABLED=0 go test -count=1 ./...)
    echo "== the command, as a child"
    CGO_ENABLED=0 go test -count=1 ./...
    exit
fi
echo "== the library, in the process, and its pointers checked"
go test -count=1 ./...
GOEXPERIMENT=cgocheck2 GOGC=1 go test -count=1 ./...
echo "== the command, as a child, with the race detector"
WINGBACK_ENGINE=child go test -count=1 -race .
static=$(dirname "$built")/$(uname -m)-unknown-linux-musl/release/wingback
if [ -x "$static" ]; then
    echo "== the command without any library"
    CGO_ENABLED=0 WINGBACK_BIN="$static" go test -count=1 .
else
    ../../tests/left-out.sh case "Go with the command without any library: make static has not built it"
fi
echo "== Wings, with another S3 server"
(cd wingstest && CGO_ENABLED=0 WINGBACK_S3_SERVER=minio go test -count=1 ./...)
echo "== the library, as pkg-config has it"
prefix=$scratch/prefix
mkdir "$prefix"
../../ffi/install.sh "$built" "$prefix"
# What pkg-config says is not in the key of Go's build cache, so another run's folder could be linked.
CGO_CFLAGS="-O2 -g -I$prefix/include" PKG_CONFIG_PATH="$prefix/lib/pkgconfig" \
    LD_LIBRARY_PATH="$prefix/lib" go test -count=1 -tags wingback_pkgconfig .
# Here, so that a suite's own words are the last ones.
[ -z "${WINGBACK_LEFT_OUT-}" ] || ../../tests/left-out.sh compare
echo "== a static program with cgo"
go test -count=1 -ldflags '-linkmode external -extldflags -static' .
