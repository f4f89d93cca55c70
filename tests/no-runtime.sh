#!/bin/sh
# Checks that the library depends on a runtime or on the network only with the feature `s3`.
set -eu
if cargo tree -p wingback -e normal --no-default-features --prefix none | grep -E '^(tokio|reqwest|minio|hyper) '; then
    echo "a runtime is in the tree of the library" >&2
    exit 1
fi
