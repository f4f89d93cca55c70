#!/bin/sh
# The engine brings no runtime, nor the network: only the feature `s3` does.
set -eu
if cargo tree -p wingback -e normal --no-default-features --prefix none | grep -E '^(tokio|reqwest|minio|hyper) '; then
    echo "a runtime is in the tree of the library" >&2
    exit 1
fi
