#!/usr/bin/env bash
# The black-box conformance suite against our own node: a table on the terminal, JUnit XML and an HTML matrix in
# target/interop/. Arguments go to pli-interop (--level L2, …).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The same profile as the tests, so that a machine that does both compiles once.
cargo build --locked --quiet --bins -p pli-node -p pli-client -p pli-interop
out="$PWD/target/interop"
mkdir -p "$out"
interop-tests/against-our-node.sh --junit "$out/junit.xml" --html "$out/index.html" "$@"
echo "interop: $out/index.html"
