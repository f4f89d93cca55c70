#!/bin/sh
# Patches and builds the source of Wings, Pterodactyl's and Pelican's, and runs its tests of the router and of
# backups: real.sh [CHECKOUT…]. Without checkouts, the module proxy provides the source.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
export CGO_ENABLED=0

build() { # build NAME DIR
    cp -r "$2" "$scratch/$1"
    chmod -R u+w "$scratch/$1"
    (cd "$here/.." && go run ./wings/patch -replace . "$scratch/$1" && go run ./wings/patch -replace . "$scratch/$1")
    (cd "$scratch/$1" && go build -o /dev/null . && go test -count=1 ./router ./server/backup)
    echo "built: $1"
}

if [ $# -gt 0 ]; then
    for dir; do build "$(basename "$dir")" "$dir"; done
    exit
fi
for module in pterodactyl/wings@f1c5bbd42d42 pelican/wings@090841dda36e; do
    dir=$(cd "$scratch" && go mod download -json "github.com/$module" 2>/dev/null |
        sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
    if [ -n "$dir" ]; then
        build "$(dirname "$module")" "$dir"
    else
        "$here/../../../tests/left-out.sh" case "the source of $module: the module proxy does not have it"
    fi
done
