#!/usr/bin/env bash
# Nodes in network namespaces, with delay, loss and partitions between them: testbed/tests/namespaces.rs. Exits 3 where this
# machine does not let a program make namespaces and tun devices.
# usage: namespaces.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Inside a first namespace, which everything else is made in and which goes away with it.
within=(unshare --net)
try='ip link set lo up && ip tuntap add dev plitry mode tun && unshare --net true'
if ! command -v ip unshare nsenter >/dev/null || ! "${within[@]}" sh -c "$try" 2>/dev/null; then
    echo "namespaces: no network namespaces with tun devices here (needs root, iproute2 and /dev/net/tun)" >&2
    exit 3
fi
# The whole workspace, as the tests before: fewer packages would have other features, and all be built again.
cargo build --locked --quiet --workspace --bins
cargo test --locked --quiet --workspace --test namespaces --no-run
"${within[@]}" cargo test --offline --locked --quiet --workspace --test namespaces -- --ignored --test-threads 1
