#!/bin/sh
# The C library's unit tests under Miri: what holds pointers there, without what speaks to the system.
set -eu
if ! rustup component add miri rust-src --toolchain nightly >/dev/null 2>&1; then
    tests/left-out.sh case "Miri: rustup cannot bring it"
    exit 0
fi
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri" \
    cargo +nightly miri test -p wingback-ffi --no-default-features --lib
