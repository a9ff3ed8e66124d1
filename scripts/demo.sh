#!/usr/bin/env bash
# Builds the programs and runs the demo federation. usage: demo.sh [--once]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
echo "demo: building (the first time takes some minutes)" >&2
# The same profile as the tests, so that a machine that does both compiles once.
cargo build --workspace --bins --locked
exec "${CARGO_TARGET_DIR:-target}/debug/demo" "$@"
