#!/usr/bin/env bash
# libFuzzer on the targets, FUZZ_SECONDS each, starting from the stored corpus. usage: fuzz.sh [TARGET...]
# RUSTC_BOOTSTRAP lets the stable compiler accept the coverage flags that cargo-fuzz passes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds="${FUZZ_SECONDS:-60}"
if [ "$#" -gt 0 ]; then targets=("$@"); else targets=(frame canonical signed envelope session custody); fi
export RUSTC_BOOTSTRAP=1
for target in "${targets[@]}"; do
    echo "== fuzz $target, $seconds s"
    # What libFuzzer finds goes to a scratch corpus; fuzz/corpus stays the small committed one.
    scratch="$PWD/target/fuzz-corpus/$target"
    mkdir -p "$scratch"
    cargo fuzz run --features libfuzzer --sanitizer none "$target" \
        "$scratch" "$PWD/fuzz/corpus/$target" -- -max_total_time="$seconds" -max_len=70000 -print_final_stats=1
done
