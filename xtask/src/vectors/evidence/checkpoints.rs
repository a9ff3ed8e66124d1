//! What a log and its witnesses sign: EVD-3.1, EVD-7, EVD-10.

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::submission::AddCheckpoint;
use pli_protocol::evidence::{Checkpoint, Noted, SplitView};
use pli_protocol::id::Timestamp;
use pli_protocol::limits::{NOTE_SIGNATURES_MAX, WITNESS_PROOF_MAX};
use pli_protocol::merkle::Hash;
use serde_json::json;

use super::proofs::consistency_path;
use super::{
    ENTRIES, NODE, ORIGIN, WITNESS, checkpoint, cosigned, key, log, log_key, note, root,
    witness_key,
};
use crate::vectors::case::{Ask, File};
use crate::vectors::samples::{NOW_MS, hex, hexes, other_key};

pub(super) fn checkpoints(file: &mut File) {
    let ask = |id, title, requirements, note: &str, key| Ask {
        id,
        title,
        requirements,
        op: "checkpoint.check",
        input: json!({ "note": note, "key": key }),
    };
    let ok = json!({ "origin": ORIGIN, "size": ENTRIES, "root": hex(root(&log())) });
    let (note, ours) = (note(), key(&log_key()));
    file.accepts(
        ask(
            "checkpoint",
            "signed by the log's key",
            &["EVD-3.1"],
            &note,
            ours.clone(),
        ),
        ok.clone(),
    );
    let with_cosignature = cosigned().encode();
    let title = "cosigned: lines by others change nothing";
    file.accepts(
        ask(
            "checkpoint-cosigned",
            title,
            &["EVD-3.1"],
            &with_cosignature,
            ours.clone(),
        ),
        ok,
    );
    let strangers = checkpoint(ENTRIES).sign(&other_key());
    let title = "signed by another key under the same name";
    file.refuses(
        ask(
            "checkpoint-forged",
            title,
            &["EVD-3.1"],
            &strangers,
            ours.clone(),
        ),
        "checkpoint",
        "BAD_SIGNATURE",
    );
    let title = "the size was altered after it was signed";
    let altered = note.replacen("\n7\n", "\n8\n", 1);
    file.refuses(
        ask(
            "checkpoint-altered",
            title,
            &["EVD-3.1"],
            &altered,
            ours.clone(),
        ),
        "checkpoint",
        "BAD_SIGNATURE",
    );
    let title = "a cosignature is no signature of the log, also by its own key";
    let noted = Noted::parse(&note).expect("written here");
    let itself = noted.cosign(
        &NODE.parse().expect("an authority id"),
        Timestamp::from_ms(NOW_MS),
        &log_key(),
    );
    let own = format!("{}\n{}", checkpoint(ENTRIES).text(), itself.line());
    file.refuses(
        ask(
            "checkpoint-only-cosigned",
            title,
            &["EVD-3.1", "EVD-7.1"],
            &own,
            ours.clone(),
        ),
        "checkpoint",
        "BAD_SIGNATURE",
    );
    let line = note.lines().last().expect("a signature");
    let many = format!("{note}{}", format!("{line}\n").repeat(NOTE_SIGNATURES_MAX));
    let title = "one signature more than there may be";
    file.refuses(
        ask(
            "checkpoint-65-signatures",
            title,
            &["EVD-3.1"],
            &many,
            ours.clone(),
        ),
        "checkpoint-cosigned",
        "TOO_MANY",
    );
    for (id, title, from, to) in NOTE_FAULTS {
        let bent = note.replacen(from, to, 1);
        assert_ne!(bent, note, "{id}");
        file.refuses(
            ask(id, title, &["EVD-3.1"], &bent, ours.clone()),
            "checkpoint",
            "FIELD_INVALID",
        );
    }
}

/// What is replaced in the note.
#[rustfmt::skip]
const NOTE_FAULTS: &[(&str, &str, &str, &str)] = &[
    ("checkpoint-origin", "an origin that is none of Pli's", "/log/", "/journal/"),
    ("checkpoint-size-07", "a size with a leading zero", "\n7\n", "\n07\n"),
    ("checkpoint-size-plus", "a size with a sign", "\n7\n", "\n+7\n"),
    ("checkpoint-extension", "a fourth line", "\n\n", "\nmore\n\n"),
    ("checkpoint-root", "a root that is not base64", "\n7\n", "\n7\n*"),
    ("checkpoint-no-signature", "no signature", "\u{2014} ", ""),
    ("checkpoint-hyphen", "a hyphen in the place of the dash", "\u{2014} ", "- "),
    ("checkpoint-return", "a carriage return", "\n7\n", "\n7\r\n"),
];

pub(super) fn cosignatures(file: &mut File) {
    let ask = |id, title, note: &str, witness, key| Ask {
        id,
        title,
        requirements: &["EVD-7.1"],
        op: "cosignature.check",
        input: json!({ "note": note, "witness": witness, "key": key }),
    };
    let (note, theirs) = (cosigned().encode(), key(&witness_key()));
    // Whole seconds.
    let ok = json!({ "at_ms": NOW_MS + 1_000 });
    file.accepts(
        ask(
            "cosignature",
            "by the witness, with the second of its clock",
            &note,
            WITNESS,
            theirs.clone(),
        ),
        ok,
    );
    let refused = "BAD_SIGNATURE";
    let title = "the same in another's name";
    file.refuses(
        ask("cosignature-name", title, &note, NODE, theirs.clone()),
        "cosignature",
        refused,
    );
    let title = "another key";
    file.refuses(
        ask("cosignature-key", title, &note, WITNESS, key(&other_key())),
        "cosignature",
        refused,
    );
    let title = "under a checkpoint that it did not see";
    let moved = note.replacen("\n7\n", "\n8\n", 1);
    file.refuses(
        ask("cosignature-moved", title, &moved, WITNESS, theirs.clone()),
        "cosignature",
        refused,
    );
    let title = "a signature of the text alone, without a time";
    let mut plain = Noted::parse(&super::note()).expect("written here");
    let text = checkpoint(ENTRIES).text();
    let mut line = plain.cosign(
        &WITNESS.parse().expect("an authority id"),
        Timestamp::from_ms(NOW_MS),
        &witness_key(),
    );
    line.signature = [&line.signature[..8], &witness_key().sign(text.as_bytes())].concat();
    assert!(plain.add(line));
    file.refuses(
        ask(
            "cosignature-without-time",
            title,
            &plain.encode(),
            WITNESS,
            theirs,
        ),
        "cosignature",
        refused,
    );
}

pub(super) fn submissions(file: &mut File) {
    let ask = |id, title, body: &str| Ask {
        id,
        title,
        requirements: &["EVD-7.2"],
        op: "submission.check",
        input: json!({ "body": body }),
    };
    let proof = consistency_path(3, &log());
    let asked = |old, proof: Vec<Hash>| {
        let noted = Noted::parse(&note()).expect("written here");
        AddCheckpoint { old, proof, noted }.encode()
    };
    let body = asked(3, proof.clone());
    let ok = json!({ "old_size": 3, "path": hexes(&proof), "origin": ORIGIN, "size": ENTRIES });
    file.accepts(ask("submission", "a request to cosign", &body), ok);
    let ok = json!({ "old_size": 0, "path": [], "origin": ORIGIN, "size": ENTRIES });
    file.accepts(
        ask(
            "submission-first",
            "the first request: no proof",
            &asked(0, Vec::new()),
        ),
        ok,
    );
    let title = "an old size of none, with a sign";
    let signed = asked(0, Vec::new()).replacen("old 0", "old -0", 1);
    file.refuses(
        ask("submission-first-sign", title, &signed),
        "submission-first",
        "FIELD_INVALID",
    );
    let many = asked(3, vec![[0; 32]; WITNESS_PROOF_MAX + 1]);
    let title = "64 hashes";
    file.refuses(
        ask("submission-long", title, &many),
        "submission",
        "FIELD_INVALID",
    );
    for (id, title, from, to) in [
        ("submission-old", "no old size", "old 3", "3"),
        (
            "submission-old-03",
            "an old size with a leading zero",
            "old 3",
            "old 03",
        ),
        (
            "submission-hash",
            "a hash that is not base64",
            "old 3\n",
            "old 3\n*",
        ),
        (
            "submission-origin",
            "what is cosigned is no checkpoint",
            "/log/",
            "/journal/",
        ),
    ] {
        let bent = body.replacen(from, to, 1);
        file.refuses(ask(id, title, &bent), "submission", "FIELD_INVALID");
    }
}

pub(super) fn split_views(file: &mut File) {
    let ask = |id, title, text: &str, key| Ask {
        id,
        title,
        requirements: &["EVD-10.1"],
        op: "splitview.check",
        input: json!({ "text": text, "key": key }),
    };
    let noted = |root, key: &SigningKey| {
        let checkpoint = Checkpoint {
            root,
            ..checkpoint(ENTRIES)
        };
        Noted::parse(&checkpoint.sign(key)).expect("written here")
    };
    let (one, other) = (noted([1; 32], &log_key()), noted([2; 32], &log_key()));
    let view = SplitView::between(one.clone(), other.clone()).expect("they contradict each other");
    let ours = key(&log_key());
    let ok = json!({ "origin": ORIGIN, "size": ENTRIES, "text": view.encode() });
    file.accepts(
        ask(
            "split-view",
            "two roots of one size",
            &view.encode(),
            ours.clone(),
        ),
        ok,
    );
    let reversed = format!("{}\n{}", other.encode(), one.encode());
    let title = "the higher root first";
    file.refuses(
        ask("split-view-order", title, &reversed, ours.clone()),
        "split-view",
        "FIELD_INVALID",
    );
    let same = format!("{}\n{}", one.encode(), one.encode());
    let title = "the same checkpoint twice";
    file.refuses(
        ask("split-view-same", title, &same, ours.clone()),
        "split-view",
        "FIELD_INVALID",
    );
    let shorter = Checkpoint {
        root: [2; 32],
        ..checkpoint(ENTRIES - 1)
    }
    .sign(&log_key());
    let sizes = format!("{}\n{shorter}", one.encode());
    let title = "two sizes";
    file.refuses(
        ask("split-view-sizes", title, &sizes, ours.clone()),
        "split-view",
        "FIELD_INVALID",
    );
    let forged = format!(
        "{}\n{}",
        one.encode(),
        noted([2; 32], &other_key()).encode()
    );
    let title = "one of the two is forged";
    file.refuses(
        ask("split-view-forged", title, &forged, ours),
        "split-view",
        "BAD_SIGNATURE",
    );
}
