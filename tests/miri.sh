#!/bin/sh
# Runs those unit tests of the C library that handle pointers, without system calls, under Miri.
set -eu
if ! rustup component add miri rust-src --toolchain nightly >/dev/null 2>&1; then
    tests/left-out.sh case "Miri: rustup cannot install it"
    exit 0
fi
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri" \
    cargo +nightly miri test -p wingback-ffi --no-default-features --lib
