#!/bin/sh
# Compares the cases that tests left out with the committed list: left-out.sh FILE. A case that the list
# does not have fails. Prints all of them, so that nobody takes them for tried.
set -eu
list=$(dirname "$0")/left-out.txt
touch "$1"
found=$(mktemp)
known=$(mktemp)
trap 'rm -f "$found" "$known"' EXIT
sort -u "$1" >"$found"
grep -v '^#' "$list" | sort -u >"$known"
sed 's/^/left out: /' "$found"
new=$(comm -23 "$found" "$known")
[ -z "$new" ] || {
    echo "these cases were left out and are not in $list:" >&2
    echo "$new" >&2
    exit 1
}
