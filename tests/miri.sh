#!/bin/sh
# The C library's unit tests under Miri: what holds pointers there, without what speaks to the system.
set -eu
if ! rustup component add miri rust-src --toolchain nightly >/dev/null 2>&1; then
    echo "Miri: NOT RUN, rustup cannot bring it here"
    exit 0
fi
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri" \
    cargo +nightly miri test -p wingback-ffi --no-default-features --lib
