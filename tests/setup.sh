#!/bin/sh
# Installs missing tools of the tests: setup.sh [quick|all|lints|fuzz|benches]. With apt and as root, it installs
# Debian packages. Everything else goes into the user's cache folder, which clones share. Without root it
# prints the missing packages in one line. Java, man, zsh and fish are optional; the tests report cases
# that they leave out.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/wingback
part=${1-usual}

for tool in cargo go git; do
    command -v $tool >/dev/null 2>&1 || {
        echo "please install $tool first" >&2
        exit 1
    }
done

missing=
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

# packages WHY: installs the missing packages.
packages() {
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "please install these packages first:$missing" >&2
        exit 1
    fi
    echo "setup: $1: installing$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq \
        --no-install-recommends "$@"' sh $missing >"$log" 2>&1; then
        echo "setup: apt-get cannot install$missing: $(grep '^E:' "$log" | tail -n 1)" >&2
        exit 1
    fi
    rm "$log"
    missing=
}

# tool WHY CRATE VERSION COMMAND: builds a program from a crate.
tool() {
    [ ! -x "$cache/bin/$4" ] || return 0
    echo "setup: $1: building $2 $3"
    cargo install --quiet --locked --root "$cache" --target-dir "$cache/build-tools" "$2@$3" || {
        echo "setup: cargo cannot build $2 $3" >&2
        exit 1
    }
}

need cc gcc
need python3 python3
need pigz pigz
need igzip isal
need bsdtar libarchive-tools
need busybox busybox-static
need setpriv util-linux
# Only root can mount the file systems of the tests.
if [ "$(id -u)" = 0 ]; then
    need mkfs.ext4 e2fsprogs
    need mkfs.vfat dosfstools
    need mkfs.xfs xfsprogs
    need mkfs.btrfs btrfs-progs
    need fusermount3 fuse3
    need bindfs bindfs
fi
case $part in
lints | fuzz) ;;
*) packages "other archive programs and file systems" ;;
esac
case $part in
usual | all)
    need g++ g++
    need pkg-config pkgconf
    need openssl openssl
    packages "C and C++ programs that use the library"
    need chromium chromium
    need node nodejs
    need npm npm
    need pip3 python3-pip
    packages "a browser for the daemon's page"
    tests/s3-servers.sh versitygw
    tests/browser.sh
    ;;
esac
case $part in
all)
    need valgrind valgrind
    need cmake cmake
    packages "C programs under valgrind, and C programs built by CMake"
    need strace strace
    packages "the counters of system calls"
    need musl-gcc musl-tools
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    [ -e /usr/aarch64-linux-gnu/include/stdlib.h ] || missing="$missing libc6-dev-arm64-cross"
    packages "the command for musl, on amd64 and arm64"
    need nasm nasm
    need autoconf autoconf
    need automake automake
    need libtoolize libtool
    need make make
    packages "ISA-L, which is built from source"
    if [ ! -x "$cache/bin/cargo-capi" ]; then
        pkg-config --exists openssl || missing="$missing libssl-dev"
        packages "cargo-c, which is linked to OpenSSL"
    fi
    # Newer versions need a newer Rust than 1.95.
    tool "the C library by cargo cinstall" cargo-c 0.10.24 cargo-capi
    tests/corpora.sh
    tests/s3-servers.sh minio
    ;;
benches)
    need npm npm
    need restic restic
    need borg borgbackup
    need rsync rsync
    packages "the tree of the benches, and the programs that they compare"
    ;;
lints) tool "licenses and advisories of the dependencies" cargo-deny 0.20.2 cargo-deny ;;
fuzz)
    need clang clang
    packages "the fuzz targets"
    tool "the fuzz targets" cargo-fuzz 0.13.1 cargo-fuzz
    ;;
esac
