#!/bin/sh
# Installs what the tests speak to, where it is missing: Debian packages when run as root with apt,
# Rust tools and S3 servers into the user's cache folder, so that fresh clones share them. Otherwise
# says in one line what to install. Java, man, zsh and fish are used where they are; the tests
# say so where they are not.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/wingback

missing=
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need cc gcc
need g++ g++
need clang clang
need valgrind valgrind
need pkg-config pkgconf
need make make
need pigz pigz
need igzip isal
need bsdtar libarchive-tools
need busybox busybox-static
need python3 python3
need pip3 python3-pip
need setpriv util-linux
# Only root mounts the file systems of the tests.
if [ "$(id -u)" = 0 ]; then
    need mkfs.ext4 e2fsprogs
    need mkfs.vfat dosfstools
    need fusermount3 fuse3
    need bindfs bindfs
fi
need openssl openssl
# The daemon's page.
need chromium chromium
need node nodejs
need npm npm
# The command for musl, on amd64 and arm64.
need musl-gcc musl-tools
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
[ -e /usr/aarch64-linux-gnu/include/stdlib.h ] || missing="$missing libc6-dev-arm64-cross"
# ISA-L is built from source.
need nasm nasm
need autoconf autoconf
need automake automake
need libtoolize libtool
# cargo-c is linked to OpenSSL.
[ -x "$cache/bin/cargo-capi" ] || pkg-config --exists openssl 2>/dev/null || missing="$missing libssl-dev"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # shellcheck disable=SC2086
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "please install these packages first:$missing" >&2
        exit 1
    fi
fi
for tool in cargo go git; do
    command -v $tool >/dev/null 2>&1 || {
        echo "please install $tool first" >&2
        exit 1
    }
done

# tool CRATE VERSION COMMAND
tool() {
    [ -x "$cache/bin/$3" ] || cargo install --quiet --locked --root "$cache" \
        --target-dir "$cache/build-tools" "$1@$2"
}

case ${1-} in
lints) tool cargo-deny 0.20.2 cargo-deny ;;
fuzz) tool cargo-fuzz 0.13.1 cargo-fuzz ;;
*)
    # Newer ones need a newer Rust than 1.95.
    tool cargo-c 0.10.24 cargo-capi
    tests/corpora.sh
    tests/s3-servers.sh
    tests/browser.sh
    ;;
esac
