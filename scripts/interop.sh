#!/usr/bin/env bash
# Builds the programs and runs the conformance suite against this repository's own node. Arguments go to pli-interop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --workspace --bins --locked
exec interop-tests/against-our-node.sh "$@"
