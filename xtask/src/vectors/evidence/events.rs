//! Events and entries: EVD-1, EVD-2.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::evidence::EventKind;
use pli_protocol::{codec, wire};
use serde_json::json;

use super::{EVENTS, LOGGED_MS, NODE, batch, entry, event};
use crate::vectors::annotate::Annotator;
use crate::vectors::case::{Ask, BentFrom, File};
use crate::vectors::samples::{NOW_MS, hex, read};

pub(super) fn events(file: &mut File, annotator: &Annotator) {
    let ask = |id, title, requirements, event: &Bytes| Ask {
        id,
        title,
        requirements,
        op: "event.check",
        input: json!({ "event": hex(event) }),
    };
    let code = Code::UnknownMailbox;
    let kinds = [
        ("submission-acceptance", EventKind::SubmissionAcceptance),
        ("submission-rejection", EventKind::SubmissionRejection(code)),
        ("relay-acceptance", EventKind::RelayAcceptance),
        ("relay-rejection", EventKind::RelayRejection(code)),
        ("relay-failure", EventKind::RelayFailure(code)),
        ("notification", EventKind::NotificationForAcceptance),
        ("consignment", EventKind::ContentConsignment),
        (
            "consignment-failure",
            EventKind::ContentConsignmentFailure(code),
        ),
        ("handover", EventKind::ContentHandover),
        ("handover-failure", EventKind::ContentHandoverFailure(code)),
    ];
    for (id, kind) in kinds {
        let event = event(3, kind);
        let encoded = event.encode();
        let ok = json!({
            "event": kind.name(),
            "node": NODE,
            "envelope_id": hex([3; 32]),
            "at_ms": NOW_MS,
            "code": kind.code().map(Code::name),
            "leaf": hex(event.leaf()),
        });
        file.accepts(
            ask(
                id,
                kind.name(),
                &["EVD-1.1", "EVD-1.2", "EVD-1.4"],
                &encoded,
            ),
            ok,
        );
        file.annotate("event", annotator.message("Event", "", &encoded));
        // A code where nothing failed, none where something did.
        let mut bent: wire::Event = read(&encoded);
        bent.code = if bent.code == 0 { code.number() } else { 0 };
        let bent_id: &'static str = format!("{id}-code").leak();
        let title = "a code exactly for a rejection or a failure";
        file.refuses(
            ask(bent_id, title, &["EVD-1.2"], &codec::encode(&bent)),
            id,
            "FIELD_INVALID",
        );
    }
    for (id, title, requirements, neighbour, bend, code) in EVENT_FAULTS {
        let mut bent: wire::Event = read(&event(3, EventKind::ContentHandover).encode());
        bend(&mut bent);
        file.refuses(
            ask(id, title, requirements, &codec::encode(&bent)),
            neighbour,
            code,
        );
    }
    let longer = [
        &event(3, EventKind::ContentHandover).encode()[..],
        &[0x38, 1],
    ]
    .concat();
    let title = "a field that nobody knows";
    file.refuses(
        ask("event-unknown-field", title, &["EVD-1.1"], &longer.into()),
        "handover",
        "NOT_CANONICAL",
    );
}

#[rustfmt::skip]
const EVENT_FAULTS: &[BentFrom<wire::Event>] = &[
    ("event-version", "a version of the future", &["EVD-1.1"], "handover", |e| e.version = 2, "UNSUPPORTED_VERSION"),
    ("event-kind-0", "nothing happened", &["EVD-1.2"], "handover", |e| e.kind = 0, "FIELD_INVALID"),
    ("event-kind-11", "nobody knows what happened", &["EVD-1.2"], "handover", |e| e.kind = 11, "FIELD_INVALID"),
    ("event-node", "a node outside of the grammar", &["EVD-1.2", "ENV-2.1"], "handover", |e| e.node = "Social.gouv.fr".into(), "FIELD_INVALID"),
    ("event-id-31", "an envelope id of 31 bytes", &["EVD-1.2", "ENV-2.4"], "handover", |e| e.envelope_id.truncate(31), "FIELD_INVALID"),
    ("event-no-time", "no time", &["EVD-1.2"], "handover", |e| e.at_ms = 0, "FIELD_INVALID"),
    ("event-time-2-53", "a time at 2^53", &["EVD-1.2"], "handover", |e| e.at_ms = 1 << 53, "FIELD_INVALID"),
    ("event-unknown-code", "a code that nobody knows", &["EVD-1.2"], "relay-failure", |e| { e.kind = 5; e.code = 9_999 }, "FIELD_INVALID"),
];

pub(super) fn entries(file: &mut File) {
    let ask = |id, title, bytes: &[u8]| Ask {
        id,
        title,
        requirements: &["EVD-2.2"],
        op: "entry.check",
        input: json!({ "entry": hex(bytes) }),
    };
    let entry = entry(batch().root());
    let encoded = entry.encode();
    let ok = json!({ "at_ms": LOGGED_MS, "size": EVENTS, "root": hex(entry.root), "leaf": hex(entry.leaf()) });
    file.accepts(ask("entry", "five events", &encoded), ok);
    let bent = |bend: fn(&mut Vec<u8>)| {
        let mut bytes = encoded.to_vec();
        bend(&mut bytes);
        bytes
    };
    for (id, title, bytes) in [
        (
            "entry-short",
            "its last byte is missing",
            bent(|b| b.truncate(b.len() - 1)),
        ),
        ("entry-long", "a byte after its end", bent(|b| b.push(0))),
        ("entry-prefix", "another prefix", bent(|b| b[4] = b'2')),
        ("entry-empty", "of no events", bent(|b| b[28] = 0)),
        (
            "entry-4097",
            "of more events than a tree holds",
            bent(|b| b[27..29].copy_from_slice(&[0x10, 0x01])),
        ),
    ] {
        file.refuses(ask(id, title, &bytes), "entry", "FIELD_INVALID");
    }
}
