#!/bin/sh
# Checks the workspace with the oldest supported Rust of Cargo.toml, if rustup can install it.
set -eu
msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if ! command -v rustup >/dev/null 2>&1 ||
    ! rustup toolchain install "$msrv" --profile minimal >/dev/null 2>&1; then
    tests/left-out.sh case "the oldest Rust: rustup cannot install it"
    exit 0
fi
rustup run "$msrv" cargo check --workspace --exclude wingback-isal --features wingback/testing,wingback-cli/mount \
    --target-dir "${CARGO_TARGET_DIR:-target}/msrv"
