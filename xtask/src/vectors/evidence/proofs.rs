//! Ways through trees: EVD-4.

use bytes::Bytes;
use pli_protocol::evidence::EventKind;
use pli_protocol::merkle::{Hash, Tree, node};
use pli_protocol::{codec, wire};
use serde_json::json;

use super::{
    ENTRIES, ENTRY, EVENT, EVENTS, LOGGED_MS, NODE, ORIGIN, batch, checkpoint, event, key, log,
    log_key, note, root,
};
use crate::vectors::annotate::Annotator;
use crate::vectors::case::{Ask, BentFrom, File};
use crate::vectors::samples::{NOW_MS, hex, hexes, other_key};

/// PROOF of RFC 6962, section 2.1.2, as its recursion reads.
pub(super) fn consistency_path(old: usize, leaves: &[Hash]) -> Vec<Hash> {
    fn part(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole {
                Vec::new()
            } else {
                vec![root(leaves)]
            };
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (mut path, sibling) = match old <= left.len() {
            true => (part(old, left, whole), root(right)),
            false => (part(old - left.len(), right, false), root(left)),
        };
        path.push(sibling);
        path
    }
    part(old, leaves, true)
}

pub(super) fn consistency(file: &mut File) {
    let leaves = log();
    let ask = |id, title, old: usize, old_root: Hash, new: usize, path: &[Hash]| Ask {
        id,
        title,
        requirements: &["EVD-4.2"],
        op: "consistency.check",
        input: json!({
            "old_size": old,
            "old_root": hex(old_root),
            "new_size": new,
            "new_root": hex(root(&leaves[..new])),
            "path": hexes(path),
        }),
    };
    let sizes = [(1, 2), (1, 7), (2, 3), (3, 7), (4, 7), (6, 7), (7, 7)];
    for (old, new) in sizes {
        let path = consistency_path(old, &leaves[..new]);
        let old_root = root(&leaves[..old]);
        let id: &'static str = format!("consistency-{old}-{new}").leak();
        file.accepts(
            ask(id, "a log that grew", old, old_root, new, &path),
            json!({}),
        );
        let forked_id: &'static str = format!("{id}-forked").leak();
        let title = "an old root that is not of this log";
        file.refuses(
            ask(
                forked_id,
                title,
                old,
                node(&old_root, &old_root),
                new,
                &path,
            ),
            id,
            "BAD_INCLUSION",
        );
        let longer = [&path[..], &[[0; 32]]].concat();
        let longer_id: &'static str = format!("{id}-longer").leak();
        file.refuses(
            ask(longer_id, "a hash too many", old, old_root, new, &longer),
            id,
            "BAD_INCLUSION",
        );
        if let Some((_, shorter)) = path.split_last() {
            let shorter_id: &'static str = format!("{id}-shorter").leak();
            file.refuses(
                ask(shorter_id, "a hash too few", old, old_root, new, shorter),
                id,
                "BAD_INCLUSION",
            );
        }
    }
    let title = "of a log that shrank";
    let path = consistency_path(3, &leaves);
    file.refuses(
        ask("consistency-shrank", title, 7, root(&leaves), 3, &path),
        "consistency-3-7",
        "BAD_INCLUSION",
    );
}

fn bytes(path: Vec<Hash>) -> Vec<Bytes> {
    path.iter()
        .map(|hash| Bytes::copy_from_slice(hash))
        .collect()
}

fn proof() -> wire::EventProof {
    let log = Tree::new(log()).expect("a few leaves");
    wire::EventProof {
        event: event(EVENT as u8, EventKind::ContentHandover).encode(),
        in_batch: Some(wire::Inclusion {
            index: EVENT as u32,
            tree_size: u32::from(EVENTS),
            path: bytes(batch().path(EVENT).expect("a leaf")),
        }),
        batch_at_ms: LOGGED_MS,
        index: ENTRY as u64,
        path: bytes(log.path(ENTRY).expect("a leaf")),
        checkpoint: 0,
    }
}

pub(super) fn proofs(file: &mut File, annotator: &Annotator) {
    let ask = |id, title, requirements, proof: &wire::EventProof, note: &str| Ask {
        id,
        title,
        requirements,
        op: "proof.check",
        input: json!({ "proof": hex(codec::encode(proof)), "note": note, "key": key(&log_key()) }),
    };
    let ok = json!({
        "event": "ContentHandover",
        "node": NODE,
        "envelope_id": hex([EVENT as u8; 32]),
        "at_ms": NOW_MS,
        "code": null,
        "logged_ms": LOGGED_MS,
        "index": ENTRY,
        "origin": ORIGIN,
        "size": ENTRIES,
    });
    file.accepts(
        ask(
            "proof",
            "an event of the log",
            &["EVD-4.1", "EVD-4.3"],
            &proof(),
            &note(),
        ),
        ok,
    );
    file.annotate(
        "proof",
        annotator.message("EventProof", "", &codec::encode(&proof())),
    );
    for (id, title, requirements, neighbour, bend, code) in PROOF_FAULTS {
        let mut bent = proof();
        bend(&mut bent);
        file.refuses(
            ask(id, title, requirements, &bent, &note()),
            neighbour,
            code,
        );
    }
    let title = "another tree of the same log";
    let other = checkpoint(ENTRIES - 1).sign(&log_key());
    file.refuses(
        ask("proof-tree", title, &["EVD-4.1"], &proof(), &other),
        "proof",
        "BAD_INCLUSION",
    );
    let title = "another node's log";
    let others = note().replace(NODE, "sante.gouv.fr");
    file.refuses(
        ask("proof-log", title, &["EVD-4.3"], &proof(), &others),
        "proof",
        "NOT_AUTHORITATIVE",
    );
    let title = "a checkpoint that the log's key did not sign";
    let forged = checkpoint(ENTRIES).sign(&other_key());
    file.refuses(
        ask("proof-forged", title, &["EVD-4.3"], &proof(), &forged),
        "proof",
        "BAD_SIGNATURE",
    );
}

fn inclusion(proof: &mut wire::EventProof) -> &mut wire::Inclusion {
    proof.in_batch.as_mut().expect("a sample has it")
}

#[rustfmt::skip]
const PROOF_FAULTS: &[BentFrom<wire::EventProof>] = &[
    ("proof-event", "another event", &["EVD-4.1"], "proof", |p| p.event = event(4, EventKind::ContentHandover).encode(), "BAD_INCLUSION"),
    ("proof-no-event", "no event", &["EVD-1.1"], "proof", |p| p.event = Bytes::new(), "UNSUPPORTED_VERSION"),
    ("proof-no-batch", "no place in the batch", &["EVD-4.1"], "proof", |p| p.in_batch = None, "BAD_INCLUSION"),
    ("proof-batch-index", "another place in the batch", &["EVD-4.1"], "proof", |p| inclusion(p).index = 2, "BAD_INCLUSION"),
    ("proof-batch-size", "a batch of another size", &["EVD-4.1"], "proof", |p| inclusion(p).tree_size = 6, "BAD_INCLUSION"),
    ("proof-batch-short", "a hash too few in the batch", &["EVD-4.1"], "proof", |p| inclusion(p).path.truncate(1), "BAD_INCLUSION"),
    ("proof-hash-31", "a hash of 31 bytes", &["EVD-4.1"], "proof", |p| p.path[0].truncate(31), "BAD_INCLUSION"),
    ("proof-index", "another entry", &["EVD-4.1"], "proof", |p| p.index = 1, "BAD_INCLUSION"),
    ("proof-beyond", "an entry beyond the end", &["EVD-4.1"], "proof", |p| p.index = 7, "BAD_INCLUSION"),
    ("proof-long", "a hash too many", &["EVD-4.1"], "proof", |p| p.path.push(Bytes::from_static(&[0; 32])), "BAD_INCLUSION"),
    ("proof-time", "another time of the entry", &["EVD-4.1"], "proof", |p| p.batch_at_ms += 1, "BAD_INCLUSION"),
    ("proof-early", "logged before it happened", &["EVD-4.3"], "proof", |p| p.batch_at_ms = NOW_MS - 1, "BAD_INCLUSION"),
];
