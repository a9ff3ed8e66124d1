#!/usr/bin/env bash
# Checks for what a target needs; installs what is missing with the system's package manager when it may,
# otherwise prints the exact line to run and exits 1.
# usage: setup.sh build | test | fuzz
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
want="${1:?build, test or fuzz}"
RUST_MIN=1.95
NODE_MIN=20

missing=0
say_line() { printf 'setup: %s is missing; run:\n    %s\n' "$1" "$2" >&2; missing=1; }

# apt_install NAME PACKAGE...: as root on Debian and its children; else the line for a human.
apt_updated=0
apt_install() {
    local name="$1"; shift
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        if [ "$apt_updated" = 0 ]; then
            apt-get update -qq </dev/null >/dev/null || echo "setup: apt-get update failed; trying with the lists there are"
            apt_updated=1
        fi
        if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null; then
            echo "setup: installed $*"
            return
        fi
    fi
    say_line "$name" "sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
}

need_rust() {
    if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        say_line "cargo on the PATH" "export PATH=\"${CARGO_HOME:-$HOME/.cargo}/bin:\$PATH\""
        return
    fi
    local line="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain $RUST_MIN"
    command -v cargo >/dev/null 2>&1 || { say_line "Rust $RUST_MIN" "$line"; return; }
    local have; have="$(rustc --version | cut -d' ' -f2)"
    if [ "$(printf '%s\n%s\n' "$RUST_MIN" "$have" | sort -V | head -n 1)" != "$RUST_MIN" ]; then
        say_line "Rust $RUST_MIN (found $have)" "rustup toolchain install $RUST_MIN && rustup default $RUST_MIN"
    fi
}

need_component() { # rustfmt, clippy
    cargo "$1" --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null 2>&1 && rustup component add "$2" >/dev/null 2>&1; then return; fi
    say_line "$2" "rustup component add $2"
}

need_python_tools() {
    local stamp=.venv/.requirements
    cmp -s scripts/requirements.txt "$stamp" 2>/dev/null && return
    command -v python3 >/dev/null 2>&1 || apt_install "Python 3" python3 python3-venv
    [ "$missing" = 0 ] || return 0
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then apt_install "Python's venv" python3-venv; fi
    [ "$missing" = 0 ] || return 0
    echo "setup: Python tools into .venv"
    rm -rf .venv
    if python3 -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check -r scripts/requirements.txt; then
        cp scripts/requirements.txt "$stamp"
    else
        say_line "the Python tools" "python3 -m venv .venv && .venv/bin/pip install -r scripts/requirements.txt"
    fi
}

need_node() {
    command -v npm >/dev/null 2>&1 || apt_install "Node.js" nodejs npm
    [ "$missing" = 0 ] || return 0
    local have; have="$(node --version 2>/dev/null)"; have="${have#v}"
    if [ "${have%%.*}" -lt "$NODE_MIN" ]; then
        say_line "Node.js $NODE_MIN (found ${have:-none})" "install Node.js $NODE_MIN or later: https://nodejs.org/en/download"
    fi
}

need_rust
command -v cc >/dev/null 2>&1 || apt_install "a C compiler" gcc libc6-dev
command -v git >/dev/null 2>&1 || apt_install git git
case "$want" in
    build) ;;
    test)
        need_component fmt rustfmt
        need_component clippy clippy
        need_python_tools
        need_node
        ;;
    fuzz)
        command -v c++ >/dev/null 2>&1 || apt_install "a C++ compiler" g++
        if ! cargo fuzz --version >/dev/null 2>&1; then
            echo "setup: cargo-fuzz, compiled once"
            cargo install --quiet --locked cargo-fuzz --version 0.13.2 || say_line cargo-fuzz "cargo install --locked cargo-fuzz --version 0.13.2"
        fi
        ;;
    *) echo "setup: unknown target $want" >&2; exit 2 ;;
esac
[ "$missing" = 0 ] || exit 1
