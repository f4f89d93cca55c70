#!/bin/sh
# Cases that tests leave out. `left-out.sh case TEXT` prints one and adds it to the file that
# WINGBACK_LEFT_OUT names. `left-out.sh compare` prints all cases of that file, and fails for each that
# left-out.txt does not list. `left-out.sh check` finds tests that leave out a case without this script,
# left_out() in Rust or leftOut() in Go.
set -eu
case $1 in
case)
    echo "left out: $2" >&2
    [ -z "${WINGBACK_LEFT_OUT-}" ] || echo "$2" >>"$WINGBACK_LEFT_OUT"
    ;;
compare)
    list=$(dirname "$0")/left-out.txt
    # Root has to leave out fewer cases than other users.
    others='s/^not root: //'
    [ "$(id -u)" != 0 ] || others='/^not root: /d'
    short='s/^not all: //'
    [ -z "${WINGBACK_TEST_ALL-}" ] || short='/^not all: /d'
    touch "$WINGBACK_LEFT_OUT"
    known=$(mktemp)
    trap 'rm -f "$known"' EXIT
    sed -e '/^#/d' -e "$others" -e "$short" "$list" >"$known"
    sort -u "$WINGBACK_LEFT_OUT" | sed 's/^/left out: /'
    new=$(sort -u "$WINGBACK_LEFT_OUT" | grep -vxFf "$known" || true)
    [ -z "$new" ] || {
        echo "these cases were left out and are not in $list:" >&2
        echo "$new" >&2
        exit 1
    }
    ;;
check)
    cd "$(dirname "$0")/.."
    ignored='^[[:space:]]*#\[(cfg_attr\(.*, *)?ignore'
    printed='print(ln)?!\(.*(left out|LEFT OUT|skipped:|NOT [A-Z]{3})'
    skipped='\.(Skip|Skipf|SkipNow)\(|testing\.Short'
    if find src tests cli server worker ffi isal -name '*.rs' -exec grep -nE "$ignored|$printed" {} + |
        grep -v '^tests/support/left_out.rs:' ||
        find bindings/go -name '*_test.go' -exec grep -nE "$skipped" {} + | grep -v 't\.Skip("left out: "'; then
        echo "these leave a case out unseen: see docs/contributing.md" >&2
        exit 1
    fi
    ;;
esac
