#!/bin/sh
# Copies the static library and its header to bindings/go/lib, where the build tag wingback_cgo expects
# them: build.sh [BUILT]. BUILT is the directory with libwingback.a; without it, the library is built
# for release.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
built=${1-}
if [ -z "$built" ]; then
    (cd "$root" && cargo build --release -p wingback-ffi)
    built=${CARGO_TARGET_DIR:-$root/target}/release
fi
mkdir -p "$here/lib"
cp "$built/libwingback.a" "$root/include/wingback.h" "$here/lib/"
