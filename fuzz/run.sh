#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS each (default 60). The seeds are archives in all formats of GNU
# tar. It stops at a crash, which is kept in fuzz/artifacts. An input that takes over 10 seconds, an
# allocation over 64 MiB and 1 GiB of memory in total count as crashes. (The address sanitizer itself
# needs memory, and keeps 256 MiB that were freed.)
set -eu
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wingback
PATH=$cache/bin:$PATH
if ! cargo +nightly --version >/dev/null 2>&1 &&
    ! rustup toolchain install nightly --profile minimal >/dev/null 2>&1; then
    tests/left-out.sh case "fuzzing: rustup cannot install the nightly Rust"
    exit 0
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/fuzz"

seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
export WINGBACK_STATE_DIR="$seeds/state"
mkdir -p "$seeds/tree/dir" "$seeds/headers" "$seeds/extract" "$seeds/excludes"
echo content >"$seeds/tree/dir/file"
ln -s dir/file "$seeds/tree/link"
ln "$seeds/tree/dir/file" "$seeds/tree/same"
truncate -s 70000 "$seeds/tree/sparse"
echo end >>"$seeds/tree/sparse"
long=$(printf '%0200d' 0)
for format in v7 ustar oldgnu gnu posix; do
    tar -C "$seeds/tree" --format=$format --sparse -cf "$seeds/headers/$format" . 2>/dev/null ||
        tar -C "$seeds/tree" --format=$format -cf "$seeds/headers/$format" dir link
done
for version in 0.0 0.1 1.0; do
    tar -C "$seeds/tree" --format=posix --sparse --sparse-version=$version -cf "$seeds/headers/pax-$version" .
done
touch "$seeds/tree/$long"
tar -C "$seeds/tree" --format=gnu -cf "$seeds/headers/long" "$long"
tar -C "$seeds/tree" --format=posix -cf "$seeds/headers/pax-long" "$long"
cp "$seeds"/headers/* "$seeds/extract"
for tar in "$seeds"/headers/*; do gzip -9c "$tar" >"$seeds/extract/$(basename "$tar").gz"; done
printf '*.log\n!keep.log\n/world/**/cache\n[[:alpha:]-z]/\\#\0world/a/cache' >"$seeds/excludes/1"

cargo +nightly fuzz build --fuzz-dir fuzz
for target in ${FUZZ_TARGETS:-headers index excludes extract forged}; do
    mkdir -p "fuzz/corpus/$target" "$seeds/$target"
    # The leak detector reports false leaks for threads that are just ending.
    timeout --kill-after=10 "$((${FUZZ_SECONDS:-60} + 120))" \
        cargo +nightly fuzz run --fuzz-dir fuzz "$target" "fuzz/corpus/$target" "$seeds/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-60}" -max_len=20000 \
        -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=64 -detect_leaks=0 -print_final_stats=1 -verbosity=0
done
