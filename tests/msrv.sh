#!/bin/sh
# The oldest Rust that Cargo.toml promises, where rustup can bring it.
set -eu
msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if ! command -v rustup >/dev/null 2>&1 ||
    ! rustup toolchain install "$msrv" --profile minimal >/dev/null 2>&1; then
    echo "oldest Rust $msrv: NOT CHECKED, rustup cannot bring it here"
    exit 0
fi
rustup run "$msrv" cargo check --workspace --exclude wingback-isal --target-dir "${CARGO_TARGET_DIR:-target}/msrv"
