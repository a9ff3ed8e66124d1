#!/usr/bin/env bash
# js-libp2p in the gossip of real nodes: interop-tests/gossip-js. Exits 3 where the registry of npm cannot be reached and the
# packages are not here yet.
# usage: gossip-js.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=interop-tests/gossip-js
stamp="$folder/node_modules/.package-lock"

if ! cmp -s "$folder/package-lock.json" "$stamp"; then
    if ! timeout 60 npm view libp2p version >/dev/null 2>&1; then
        echo "gossip-js: the registry of npm ($(npm config get registry 2>/dev/null)) is not reachable" >&2
        exit 3
    fi
    # Not `npm ci`: it refuses a lock file without the binaries of every platform, and this one has those of Linux on x86-64.
    (cd "$folder" && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$folder/package-lock.json" "$stamp"
fi
# The whole workspace, as the tests before: fewer packages would have other features, and all be built again.
cargo build --locked --quiet --workspace --bins
cargo test --locked --quiet --workspace --test gossip_js -- --ignored
