#!/bin/sh
# Downloads tar fixtures of other projects into the user's cache folder: published packages, through their
# package managers, checked by SHA-256. The tests leave out missing ones.
set -eu

corpora=${XDG_CACHE_HOME:-$HOME/.cache}/wingback/corpora
mkdir -p "$corpora"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# unpack NAME SHA256 FILE
unpack() {
    if ! echo "$2  $3" | sha256sum --check --status; then
        echo "corpora: $1 is not what it was, $3 has another SHA-256" >&2
        exit 1
    fi
    mkdir "$tmp/$1"
    tar xzf "$3" -C "$tmp/$1" --strip-components 1 --no-same-owner
    # Another run may have been faster.
    mv "$tmp/$1" "$corpora" 2>/dev/null || [ -d "$corpora/$1" ]
}

# crate NAME VERSION SHA256
crate() {
    [ -d "$corpora/$1-$2" ] && return
    mkdir -p "$tmp/fetch/src"
    printf '[package]\nname = "fetch"\nedition = "2024"\n[workspace]\n[dependencies]\n%s = "=%s"\n' \
        "$1" "$2" >"$tmp/fetch/Cargo.toml"
    touch "$tmp/fetch/src/lib.rs"
    if ! cargo fetch --quiet --manifest-path "$tmp/fetch/Cargo.toml"; then
        echo "corpora: $1 $2 NOT THERE, cargo cannot fetch it"
        return
    fi
    for file in "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$1-$2.crate"; do
        unpack "$1-$2" "$3" "$file"
        break
    done
}

# sdist NAME VERSION SHA256
sdist() {
    [ -d "$corpora/$1-$2" ] && return
    if ! python3 -m pip --disable-pip-version-check --quiet download --no-deps --no-binary "$1" \
        --dest "$tmp/sdists" "$1==$2"; then
        echo "corpora: $1 $2 NOT THERE, pip cannot download it"
        return
    fi
    unpack "$1-$2" "$3" "$tmp/sdists/"*"-$2.tar.gz"
    rm "$tmp/sdists/"*
}

crate astral-tokio-tar 0.7.0 6f2e989b33246fe9240d39accf4dd9a01e0b6c1f3ce9dd095e0a47fa02505523
sdist backports.tarfile 1.2.0 d75e02c268746e1b8144c278978b6e98e85de6ad16f8e4b0844a154557eca991
sdist libarchive-c 5.3 5ddb42f1a245c927e7686545da77159859d5d4c6d00163c59daff4df314dae82
