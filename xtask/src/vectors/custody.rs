//! Receipts, acknowledgements, hand-overs: CUS-2, CUS-3, CUS-7.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::crypto::contexts::RECEIPT;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::ack::{self, Acknowledged, Disposition, Issuer};
use pli_protocol::custody::{Receipt, Step, handover};
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::limits::HANDOVER_IDS_MAX;
use pli_protocol::{codec, wire};
use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, BentFrom, File};
use super::samples::{
    NOW_MS, bent, device_key, flipped, hex, hexes, node_key, other_key, read, sign,
};

const NODE: &str = "social.gouv.fr";

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new(
        "custody",
        "L2",
        "Receipts, acknowledgements of many envelopes, hand-overs",
    );
    receipts(&mut file, annotator);
    acknowledgements(&mut file, annotator);
    handovers(&mut file, annotator);
    file
}

fn id(byte: u8) -> EnvelopeId {
    EnvelopeId::new([byte; 32])
}

fn receipt(step: Step) -> Receipt {
    let node = NODE.parse().expect("an authority id");
    Receipt {
        step,
        node,
        envelope: id(0x41),
        at: Timestamp::from_ms(NOW_MS),
    }
}

fn receipts(file: &mut File, annotator: &Annotator) {
    let ask = |id, title, requirements, signed: &Bytes| Ask {
        id,
        title,
        requirements,
        op: "receipt.check",
        input: json!({ "signed": hex(signed), "key": hex(node_key().public().as_bytes()) }),
    };
    let ok = |step: &str, code: Option<&str>| json!({ "step": step, "node": NODE, "envelope_id": hex([0x41; 32]), "at_ms": NOW_MS, "code": code });
    let steps = [
        ("accepted", "the origin has it", Step::Accepted, None),
        ("stored", "the home has it", Step::Stored, None),
        ("retrieved", "a device has it", Step::Retrieved, None),
        (
            "undeliverable",
            "it will not be delivered",
            Step::Undeliverable(Code::Unreachable),
            Some("UNREACHABLE"),
        ),
        (
            "refused",
            "a node refused it",
            Step::Refused(Code::UnknownMailbox),
            Some("UNKNOWN_MAILBOX"),
        ),
    ];
    for (step_name, title, step, code) in steps {
        let signed = receipt(step).sign(&node_key());
        file.accepts(
            ask(step_name, title, &["CUS-2.1", "CUS-2.4"], &signed),
            ok(step_name, code),
        );
        file.annotate("signed", annotator.message("Signed", "Receipt", &signed));
        let forged = receipt(step).sign(&other_key());
        let forged_id: &'static str = format!("{step_name}-forged").leak();
        file.refuses(
            ask(
                forged_id,
                "the same by another key",
                &["CUS-2.3", "SIG-5.3"],
                &forged,
            ),
            step_name,
            "UNKNOWN_KEY",
        );
    }
    for (id, title, requirements, neighbour, bend, code) in RECEIPTS {
        let step = if *neighbour == "refused" {
            Step::Refused(Code::UnknownMailbox)
        } else {
            Step::Stored
        };
        let mut payload: wire::Receipt = read(&receipt(step).encode());
        bend(&mut payload);
        let signed = sign(RECEIPT, codec::encode(&payload), &node_key());
        file.refuses(ask(id, title, requirements, &signed), neighbour, code);
        file.annotate("signed", annotator.message("Signed", "Receipt", &signed));
    }
    let moved = bent(&receipt(Step::Accepted).sign(&node_key()), |s| {
        s.payload = receipt(Step::Stored).encode()
    });
    file.refuses(
        ask(
            "promoted",
            "accepted, made to say stored",
            &["CUS-2.5", "SIG-5.4"],
            &moved,
        ),
        "stored",
        "BAD_SIGNATURE",
    );
}

#[rustfmt::skip]
const RECEIPTS: &[BentFrom<wire::Receipt>] = &[
    ("receipt-version", "a version of the future", &["CUS-2.2"], "stored", |r| r.version = 2, "UNSUPPORTED_VERSION"),
    ("receipt-step-0", "no step", &["CUS-2.4"], "stored", |r| r.step = 0, "FIELD_INVALID"),
    ("receipt-step-9", "an unknown step", &["CUS-2.4"], "stored", |r| r.step = 9, "FIELD_INVALID"),
    ("receipt-code", "a code where nothing failed", &["CUS-2.4"], "stored", |r| r.code = 60, "FIELD_INVALID"),
    ("receipt-no-code", "refused without a code", &["CUS-2.4"], "refused", |r| r.code = 0, "FIELD_INVALID"),
    ("receipt-no-time", "no time", &["CUS-2.4"], "stored", |r| r.at_ms = 0, "FIELD_INVALID"),
    ("receipt-time-2-53", "a time at 2^53", &["CUS-2.4"], "stored", |r| r.at_ms = 1 << 53, "FIELD_INVALID"),
    ("receipt-id-31", "an envelope id of 31 bytes", &["CUS-2.4", "ENV-2.4"], "stored", |r| r.envelope_id.truncate(31), "FIELD_INVALID"),
    ("receipt-node", "a node outside of the grammar", &["CUS-2.3", "ENV-2.1"], "stored", |r| r.node = "Social.gouv.fr".into(), "FIELD_INVALID"),
];

fn acknowledgements(file: &mut File, annotator: &Annotator) {
    let node_key = node_key();
    let issuer = |step| Issuer {
        node: NODE.parse().expect("an authority id"),
        step,
    };
    let batch = [
        (id(1), Disposition::Accepted),
        (id(2), Disposition::Refused(Code::UnknownMailbox)),
        (
            id(3),
            Disposition::Duplicate {
                first_at: Timestamp::from_ms(NOW_MS - 5_000),
            },
        ),
        (id(4), Disposition::Accepted),
    ];
    let ids: Vec<EnvelopeId> = batch.iter().map(|(id, _)| *id).collect();
    let ask = |name,
               title,
               requirements,
               ack: &wire::AckBatch,
               step: &str,
               ids: &[EnvelopeId],
               key: &SigningKey| Ask {
        id: name,
        title,
        requirements,
        op: "ack.check",
        input: json!({
            "node": NODE, "key": hex(key.public().as_bytes()), "step": step,
            "envelope_ids": hexes(ids.iter().map(EnvelopeId::as_bytes)), "ack": hex(codec::encode(ack)),
        }),
    };
    for (name, step_name, step) in [
        ("ack-stored", "stored", Step::Stored),
        ("ack-accepted", "accepted", Step::Accepted),
    ] {
        let ack = ack::sign(
            &issuer(step),
            1..=2,
            Timestamp::from_ms(NOW_MS),
            &batch,
            &node_key,
        )
        .expect("four");
        let checked =
            Acknowledged::verify(&ack, &issuer(step), &ids, node_key.public()).expect("ours");
        let receipts: Vec<Bytes> = (0..ids.len()).map(|i| checked.receipt(i)).collect();
        let title = "accepted, refused, duplicate: each receipt stands alone";
        file.accepts(
            ask(
                name,
                title,
                &["CUS-3.1", "CUS-3.2", "CUS-3.3", "CUS-3.4"],
                &ack,
                step_name,
                &ids,
                &node_key,
            ),
            json!({ "receipts": hexes(receipts) }),
        );
        file.annotate(
            "ack",
            annotator.message("AckBatch", "", &codec::encode(&ack)),
        );
    }
    let good = ack::sign(
        &issuer(Step::Stored),
        1..=2,
        Timestamp::from_ms(NOW_MS),
        &batch,
        &node_key,
    )
    .expect("four");
    file.refuses(
        ask(
            "ack-step",
            "said by a home, taken for an origin's",
            &["CUS-2.5", "CUS-3.1"],
            &good,
            "accepted",
            &ids,
            &node_key,
        ),
        "ack-accepted",
        "BAD_SIGNATURE",
    );
    file.refuses(
        ask(
            "ack-key",
            "by another key",
            &["CUS-3.4"],
            &good,
            "stored",
            &ids,
            &other_key(),
        ),
        "ack-stored",
        "BAD_SIGNATURE",
    );
    let mut swapped = ids.clone();
    swapped.swap(0, 3);
    file.refuses(
        ask(
            "ack-order",
            "two envelopes in another order than they were sent",
            &["CUS-3.1"],
            &good,
            "stored",
            &swapped,
            &node_key,
        ),
        "ack-stored",
        "BAD_SIGNATURE",
    );
    file.refuses(
        ask(
            "ack-few",
            "one envelope more was sent",
            &["CUS-3.2"],
            &good,
            "stored",
            &[&ids[..], &[id(5)]].concat(),
            &node_key,
        ),
        "ack-stored",
        "ACK_MISMATCH",
    );
    for (name, title, requirements, bend, code) in ACKS {
        let mut bent = good.clone();
        bend(&mut bent);
        file.refuses(
            ask(name, title, requirements, &bent, "stored", &ids, &node_key),
            "ack-stored",
            code,
        );
        file.annotate(
            "ack",
            annotator.message("AckBatch", "", &codec::encode(&bent)),
        );
    }
}

type AckBend = fn(&mut wire::AckBatch);

#[rustfmt::skip]
const ACKS: &[(&str, &str, &[&str], AckBend, &str)] = &[
    ("ack-missing", "a disposition is missing", &["CUS-3.2"], |a| a.dispositions.truncate(3), "ACK_MISMATCH"),
    ("ack-outcome-0", "a disposition without an outcome", &["CUS-3.3"], |a| a.dispositions[0].outcome = 0, "ACK_MISMATCH"),
    ("ack-outcome-9", "an unknown outcome", &["CUS-3.3"], |a| a.dispositions[0].outcome = 9, "ACK_MISMATCH"),
    ("ack-code", "accepted, with a code", &["CUS-3.3"], |a| a.dispositions[0].code = 100, "ACK_MISMATCH"),
    ("ack-no-code", "refused, without a code", &["CUS-3.3"], |a| a.dispositions[1].code = 0, "ACK_MISMATCH"),
    ("ack-no-first", "a duplicate of no time", &["CUS-3.3"], |a| a.dispositions[2].first_at_ms = 0, "ACK_MISMATCH"),
    ("ack-first", "accepted, with the time of a duplicate", &["CUS-3.3"], |a| a.dispositions[0].first_at_ms = NOW_MS, "ACK_MISMATCH"),
    ("ack-upgraded", "refused, made to say accepted", &["CUS-3.4"], |a| a.dispositions[1] = a.dispositions[0], "BAD_SIGNATURE"),
    ("ack-time", "another time than was signed", &["CUS-3.4"], |a| a.at_ms += 1, "BAD_SIGNATURE"),
    ("ack-unsigned", "no signature", &["CUS-3.4"], |a| a.signature = None, "BAD_SIGNATURE"),
    ("ack-signature", "one bit of the signature is wrong", &["CUS-3.4"], |a| flip(a.signature.as_mut()), "BAD_SIGNATURE"),
];

fn flip(signature: Option<&mut wire::Signature>) {
    let signature = signature.expect("the sample is signed");
    signature.signature = flipped(&signature.signature, 3);
}

fn handovers(file: &mut File, annotator: &Annotator) {
    let device = device_key();
    let ids = [id(1), id(2), id(3)];
    let good = handover::sign(&ids, Timestamp::from_ms(NOW_MS), &device).expect("three");
    let ask = |name, title, requirements, handover: &wire::Handover, key: &SigningKey| Ask {
        id: name,
        title,
        requirements,
        op: "handover.check",
        input: json!({ "handover": hex(codec::encode(handover)), "key": hex(key.public().as_bytes()) }),
    };
    file.accepts(
        ask(
            "handover",
            "a device has three envelopes",
            &["CUS-7.1", "CUS-7.4"],
            &good,
            &device,
        ),
        json!({ "envelope_ids": hexes(ids.iter().map(EnvelopeId::as_bytes)) }),
    );
    file.annotate(
        "handover",
        annotator.message("Handover", "", &codec::encode(&good)),
    );
    file.refuses(
        ask(
            "handover-key",
            "by another device",
            &["CUS-7.4"],
            &good,
            &other_key(),
        ),
        "handover",
        "BAD_SIGNATURE",
    );
    for (name, title, requirements, bend, code) in HANDOVERS {
        let mut bent = good.clone();
        bend(&mut bent);
        file.refuses(
            ask(name, title, requirements, &bent, &device),
            "handover",
            code,
        );
        file.annotate(
            "handover",
            annotator.message("Handover", "", &codec::encode(&bent)),
        );
    }
    let many: Vec<EnvelopeId> = vec![id(7); HANDOVER_IDS_MAX];
    let full = handover::sign(&many, Timestamp::from_ms(NOW_MS), &device).expect("the limit");
    file.accepts(
        ask(
            "handover-full",
            "HANDOVER_IDS_MAX envelopes",
            &["CUS-7.2"],
            &full,
            &device,
        ),
        json!({ "envelope_ids": hexes(many.iter().map(EnvelopeId::as_bytes)) }),
    );
    let mut over = full;
    over.envelope_ids.push(vec![7; 32].into());
    file.refuses(
        ask("handover-over", "one more", &["CUS-7.2"], &over, &device),
        "handover-full",
        "TOO_MANY",
    );
}

type HandoverBend = fn(&mut wire::Handover);

#[rustfmt::skip]
const HANDOVERS: &[(&str, &str, &[&str], HandoverBend, &str)] = &[
    ("handover-none", "no envelope", &["CUS-7.2"], |h| h.envelope_ids.clear(), "FIELD_MISSING"),
    ("handover-id-31", "an id of 31 bytes", &["CUS-7.3"], |h| h.envelope_ids[0].truncate(31), "FIELD_INVALID"),
    ("handover-other-id", "another envelope than was signed", &["CUS-7.1", "CUS-7.4"], |h| h.envelope_ids[0] = vec![9; 32].into(), "BAD_SIGNATURE"),
    ("handover-fewer", "an envelope less than was signed", &["CUS-7.1", "CUS-7.4"], |h| drop(h.envelope_ids.pop()), "BAD_SIGNATURE"),
    ("handover-time", "another time than was signed", &["CUS-7.1", "CUS-7.4"], |h| h.at_ms += 1, "BAD_SIGNATURE"),
    ("handover-unsigned", "no signature", &["CUS-7.4"], |h| h.signature = None, "BAD_SIGNATURE"),
];
