#!/bin/sh
# Checks bans, licenses and sources, and advisories if their database can be reached.
set -eu
PATH=${XDG_CACHE_HOME:-$HOME/.cache}/wingback/bin:$PATH
cargo deny --log-level error check bans licenses sources
if cargo deny --log-level error fetch db >/dev/null 2>&1; then
    cargo deny --log-level error check advisories
else
    tests/left-out.sh case "advisories: their database cannot be reached"
fi
