#!/usr/bin/env bash
# Builds with the release profile and measures. JSON lines on stdout, the table of ratios on stderr.
# SOAK=seconds sets the length of the soak; the default keeps a whole run to some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --release --locked -p pli-node -p pli-client --bins >&2
cargo build --release --locked -p pli-testbed --bin bench >&2
cargo run --release --locked --quiet -p pli-node --example evidence_bench
exec "${CARGO_TARGET_DIR:-target}/release/bench" ${SOAK:+--soak "$SOAK"} "$@"
