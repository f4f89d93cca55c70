#!/bin/sh
# The engine brings no runtime: no tokio in its tree.
set -eu
if cargo tree -p wingback -e normal --no-default-features --prefix none | grep -E '^tokio'; then
    echo "tokio is in the tree of the library" >&2
    exit 1
fi
