#!/usr/bin/env bash
# The whole suite against this repository's own pli-node: makes a federation of two authorities with a node each,
# on loopback and in a folder of its own, and stops what it started.
#   PROFILE=release: the release build
#   PLI, PLI_NODE, PLI_INTEROP: the programs (default: beside each other in target/debug)
#   ONE_NODE=1: the origin keeps the mailbox too
#   KEEP=1: leave the folder; further arguments go to pli-interop
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="${CARGO_TARGET_DIR:-$here/../target}/${PROFILE:-debug}"
pli="${PLI:-$target/pli}" node="${PLI_NODE:-$target/pli-node}" interop="${PLI_INTEROP:-$target/pli-interop}"

folder="$(mktemp -d)"
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ -n "${KEEP:-}" ]; then echo "kept: $folder" >&2; else rm -rf "$folder"; fi
}
trap finish EXIT
cd "$folder"

origin=interieur.gouv.fr home=social.gouv.fr
# Eight ports in a row, below those that the system hands out by itself (32,768 on Linux); a node that finds one taken
# says so and the run ends.
base=$((20000 + RANDOM % 12000))
quiet() { "$@" >>setup.log 2>&1 || { cat setup.log >&2; echo "failed: $*" >&2; exit 2; }; }

quiet "$pli" federation init --dir federation --keys keys
offline=(--key keys/offline/targets-1.key --key keys/offline/targets-2.key)
at=0
for authority in "$origin" "$home"; do
    quic=$((base + at)) websocket=$((base + at + 1)) http=$((base + at + 2)) ops=$((base + at + 3))
    at=$((at + 4))
    quiet "$pli" authority init "$authority" --dir "$authority/authority" --keys "$authority/keys" \
        --name-fr "$authority" --name-en "$authority" \
        --quic "127.0.0.1:$quic" --websocket "wss://127.0.0.1:$websocket/pli/1"
    if [ "$authority" = "$origin" ]; then
        quiet "$pli" authority add-service rdv --dir "$authority/authority" --service-key rdv-old.key \
            --name-fr Rendez-vous --name-en Appointments
        # Its first key has ended, so that the suite can show what becomes of a revoked one.
        quiet "$pli" authority revoke --dir "$authority/authority" --service rdv --new-key rdv.key
    fi
    quiet "$pli" authority publish --dir "$authority/authority" --key "$authority/keys/role.key"
    quiet "$pli" federation add-authority "$authority/authority/handover" --dir federation --host=true "${offline[@]}"
    cat >"$authority/node.toml" <<TOML
authority = "$authority"
key = "keys/node.key"
[store]
url = "fjall:store"
[evidence]
folder = "evidence"
key = "keys/log.key"
[listen]
quic = "127.0.0.1:$quic"
websocket = "127.0.0.1:$websocket"
http = "127.0.0.1:$http"
ops = "127.0.0.1:$ops"
gossip = "127.0.0.1:0"
[dial]
private_networks = ["127.0.0.0/8"]
[trust]
root = "$folder/federation/repository/metadata/root.json"
sources = ["$folder/federation/repository"]
datastore = "trust"
TOML
    eval "quic_$at=$quic websocket_$at=$websocket ops_$at=$ops"
done
quiet "$pli" federation publish --dir federation --key keys/online \
    --from "$origin/authority/handover" --from "$home/authority/handover"

for authority in "$origin" "$home"; do
    "$node" --config "$authority/node.toml" >"$authority/node.log" 2>&1 &
    started+=($!)
done
ready() { exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3 && grep -q ' 200 ' <&3; }
for ops in "$ops_4" "$ops_8"; do
    for _ in $(seq 100); do (ready "$ops") 2>/dev/null && break; sleep 0.1; done
    (ready "$ops") 2>/dev/null || { cat ./*/node.log >&2; echo "a node is not ready" >&2; exit 2; }
done

mailboxes="$home"
table="[home]
authority = \"$home\"
key = \"$(cat "$home/keys/node.key.pub")\"
quic = \"127.0.0.1:$quic_8\"
websocket = \"127.0.0.1:$websocket_8\""
if [ -n "${ONE_NODE:-}" ]; then mailboxes="$origin" table=""; fi
cat >interop.toml <<TOML
name = "pli-node"
version = "$("$node" --version | awk '{print $2}')"
harness = ["$node", "harness"]
[origin]
authority = "$origin"
key = "$(cat "$origin/keys/node.key.pub")"
quic = "127.0.0.1:$quic_4"
websocket = "127.0.0.1:$websocket_4"
$table
[service]
id = "rdv@$origin"
key_file = "rdv.key"
revoked_key_file = "rdv-old.key"
[device]
invitation = "$("$node" invite --config "$mailboxes/node.toml" | grep -o 'pli:invite?[^ ]*')"
state_file = "device.json"
TOML
"$interop" --config interop.toml --vectors "$here/../spec/vectors" "$@"
