#!/bin/sh
# Installs the command, and examples for its configuration, cron and systemd: install.sh BUILT PREFIX.
# BUILT is the directory with the command. DESTDIR is put in front of the paths to which files are written.
set -eu

built=$1
prefix=$2
examples=$(cd "$(dirname "$0")" && pwd)/install
case $prefix in
/*) ;;
*) prefix=$(pwd)/$prefix ;;
esac
bin=${DESTDIR-}$prefix/bin
doc=${DESTDIR-}$prefix/share/doc/wingback/examples
units=${DESTDIR-}$prefix/lib/systemd/system

mkdir -p "$bin" "$doc" "$units"
install -m 755 "$built/wingback" "$bin/wingback"
install -m 644 "$examples/wingback.toml" "$doc/wingback.toml"
for file in "$doc/wingback.cron" "$units/wingback@.service" "$units/wingback@.timer"; do
    sed "s|/usr/local/bin/|$prefix/bin/|" "$examples/$(basename "$file")" >"$file"
    chmod 644 "$file"
done
