#!/bin/sh
# Installs Playwright and axe-core, which test the daemon's page in a browser, and schemathesis, which
# compares the daemon with its OpenAPI description, in the user's cache folder.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wingback

playwright=playwright-1.64.1
if [ ! -d "$cache/$playwright/node_modules/axe-core" ]; then
    echo "setup: the daemon's page: installing $playwright and axe-core"
    mkdir -p "$cache/$playwright.new"
    npm install --silent --no-audit --no-fund --no-save --prefix "$cache/$playwright.new" \
        playwright-core@1.64.1 axe-core@4.10.3 >/dev/null || {
        echo "setup: npm cannot install $playwright" >&2
        exit 1
    }
    rm -rf "$cache/$playwright"
    mv "$cache/$playwright.new" "$cache/$playwright"
fi

schemathesis=schemathesis-4.32.5
if [ ! -x "$cache/$schemathesis/bin/schemathesis" ]; then
    echo "setup: the daemon's description: installing $schemathesis"
    rm -rf "${cache:?}/$schemathesis"
    python3 -m venv "$cache/$schemathesis"
    "$cache/$schemathesis/bin/pip" install --quiet schemathesis==4.32.5 || {
        rm -rf "${cache:?}/$schemathesis"
        echo "setup: pip cannot install $schemathesis" >&2
        exit 1
    }
fi
