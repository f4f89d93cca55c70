#!/bin/sh
# Tests the Go module: test.sh BUILT [PART]. BUILT is the directory with the command and libwingback.a.
# PART "quick" tests only the command as a child and needs no library. PART "all" tests every way to
# build and link.
set -eu
built=$(cd "$1" && pwd)
part=${2-usual}
cd "$(dirname "$0")"
export WINGBACK_BIN="$built/wingback"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export WINGBACK_STATE_DIR="$scratch/state"

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || {
    echo "gofmt: $unformatted" >&2
    exit 1
}
# On other systems one error says what is wrong.
errors=$(GOOS=darwin go build ./... 2>&1 | grep -c 'undefined: ') || true
[ "$errors" = 1 ] || {
    echo "a build for another system has $errors errors, not one" >&2
    exit 1
}
if [ "$part" = quick ]; then
    echo "== the command, as a child"
    CGO_ENABLED=0 go test -count=1 ./...
    exit
fi
./build.sh "$built"
CGO_ENABLED=0 wingstest/patched.sh
go vet ./...
go vet -tags wingback_cgo ./...
CGO_ENABLED=0 go vet ./...
# Wings declares Go 1.21, and so do this module and the stand-in for Wings. Their go.mod ensures it.
(cd wingstest && CGO_ENABLED=0 go vet ./...)
if [ "$part" = usual ]; then
    echo "== the library, in the process"
    go test -count=1 -race -tags wingback_cgo ./...
    echo "== Wings"
    (cd wingstest && CGO_ENABLED=0 go test -count=1 ./...)
    echo "== the command, as a child"
    CGO_ENABLED=0 go test -count=1 ./...
    exit
fi
echo "== the library, in the process, and its pointers checked"
go test -count=1 -tags wingback_cgo ./...
GOEXPERIMENT=cgocheck2 GOGC=1 go test -count=1 -tags wingback_cgo ./...
echo "== the command, as a child, with the race detector"
go test -count=1 -race .
static=$(dirname "$built")/$(uname -m)-unknown-linux-musl/release/wingback
if [ -x "$static" ]; then
    echo "== the command without any library"
    CGO_ENABLED=0 WINGBACK_BIN="$static" go test -count=1 .
else
    ../../tests/left-out.sh case "Go with the command without any library: make static has not built it"
fi
echo "== Wings, with another S3 server"
(cd wingstest && CGO_ENABLED=0 WINGBACK_S3_SERVER=minio go test -count=1 ./...)
echo "== the source of Wings"
wingstest/real.sh
echo "== the library, as pkg-config finds it"
prefix=$scratch/prefix
mkdir "$prefix"
../../ffi/install.sh "$built" "$prefix"
# The output of pkg-config is not in the key of Go's build cache. The flag with the prefix is, and keeps
# Go from linking the library of an earlier run.
CGO_CFLAGS="-O2 -g -I$prefix/include" PKG_CONFIG_PATH="$prefix/lib/pkgconfig" \
    LD_LIBRARY_PATH="$prefix/lib" go test -count=1 -tags wingback_pkgconfig .
# Compared before the last suite, so that the last lines are the suite's own.
[ -z "${WINGBACK_LEFT_OUT-}" ] || ../../tests/left-out.sh compare
echo "== a static program with cgo"
go test -count=1 -tags wingback_cgo -ldflags '-linkmode external -extldflags -static' .
