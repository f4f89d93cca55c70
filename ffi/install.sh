#!/bin/sh
# Installs the header, both libraries and a pkg-config file: install.sh BUILT PREFIX. BUILT is the
# directory with the libraries. DESTDIR is put in front of the paths to which files are written.
set -eu

abi=1
built=$1
prefix=$2
root=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
case $prefix in
/*) ;;
*) prefix=$(pwd)/$prefix ;;
esac
include=${DESTDIR-}$prefix/include
lib=${DESTDIR-}$prefix/lib

mkdir -p "$include" "$lib/pkgconfig"
install -m 644 "$root/include/wingback.h" "$include/wingback.h"
install -m 644 "$built/libwingback.a" "$lib/libwingback.a"
install -m 755 "$built/libwingback.so" "$lib/libwingback.so.$abi.$version"
ln -sf "libwingback.so.$abi.$version" "$lib/libwingback.so.$abi"
ln -sf "libwingback.so.$abi" "$lib/libwingback.so"

# Libs.private are the libraries for a static link; the compiler adds the one for unwinding.
cat >"$lib/pkgconfig/wingback.pc" <<EOF
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: wingback
Description: Backup engine for game servers
Version: $version
Libs: -L\${libdir} -lwingback
Libs.private: -lutil -lrt -lpthread -lm -ldl -lc
Cflags: -I\${includedir}
EOF
