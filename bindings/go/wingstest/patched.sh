#!/bin/sh
# Makes patched/, which the tests use: the stand-in for Wings after the program wings/patch.
set -eu
cd "$(dirname "$0")/.."
rm -rf wingstest/patched
cp -r wingstest/wings wingstest/patched
go run ./wings/patch -replace . wingstest/patched >wingstest/patched/changes.txt
