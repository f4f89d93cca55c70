#!/bin/sh
# Builds the statically linked command for amd64 and arm64, checks that it needs no library, and runs it.
# The one for the other processor is not run.
set -eu
target=${CARGO_TARGET_DIR:-target}
for triple in x86_64-unknown-linux-musl aarch64-unknown-linux-musl; do
    if ! rustup target list --installed | grep -q "^$triple$" &&
        ! rustup target add "$triple" >/dev/null 2>&1; then
        tests/left-out.sh case "the command for $triple: rustup cannot install its target"
        continue
    fi
    CC_aarch64_unknown_linux_musl=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=aarch64-linux-gnu-gcc \
        cargo build --release --target "$triple" -p wingback-cli
    built=$target/$triple/release/wingback
    if readelf -lW "$built" | grep -q 'INTERP' || readelf -dW "$built" | grep -q NEEDED; then
        echo "$built asks for a library" >&2
        exit 1
    fi
    echo "$built: static, $(stat -c %s "$built") bytes"
    case $triple in
    "$(uname -m)"*) env -i "$built" --version ;;
    *) tests/left-out.sh case "a run of the command for $triple: this is another processor" ;;
    esac
done
