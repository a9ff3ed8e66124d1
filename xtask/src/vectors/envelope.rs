//! Whole envelopes: ENV-3, ENV-4.6, ENV-4.7, ENV-5.

use bytes::Bytes;
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::limits::{CLOCK_SKEW_MAX_MS, ENVELOPE_MAX};
use pli_protocol::signed::leaf_hash;
use pli_protocol::{codec, signed, wire};
use serde_json::{Value, json};

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{
    DAY_MS, MAILBOX, NOW_MS, SERVICE, bent, envelope, flipped, header_wire, hex, other_key, read,
    service_key, sign,
};

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new(
        "envelopes",
        "L1",
        "What a node checks of an envelope, without the directory",
    );
    let payload = envelope();
    let alone = sign(ENVELOPE, payload.clone(), &service_key());
    let accepted = ok(&payload);

    file.accepts(
        check(
            "alone",
            "a signed and sealed envelope",
            &["ENV-3.1", "ENV-3.3", "ENV-5.1"],
            &alone,
            NOW_MS,
        ),
        accepted.clone(),
    );
    file.annotate("signed", annotator.message("Signed", "Envelope", &alone));
    bodies(&mut file, annotator, &payload);
    wrappers(&mut file, &alone);
    times(&mut file, &alone, &accepted);
    batched(&mut file, annotator, &payload, &accepted);
    file
}

fn bodies(file: &mut File, annotator: &Annotator, payload: &Bytes) {
    for (id, title, requirements, bend, code) in PAYLOADS {
        let mut envelope: wire::Envelope = read(payload);
        bend(&mut envelope);
        // Signed anew: only the payload is at fault.
        let signed = sign(ENVELOPE, codec::encode(&envelope), &service_key());
        file.refuses(
            check(id, title, requirements, &signed, NOW_MS),
            "alone",
            code,
        );
        file.annotate("signed", annotator.message("Signed", "Envelope", &signed));
    }
    let long = [&payload[..], &[0x18, 0x01]].concat();
    let signed = sign(ENVELOPE, long.into(), &service_key());
    file.refuses(
        check(
            "payload-unknown",
            "a field more in the payload",
            &["ENV-3.3", "SIG-1.4"],
            &signed,
            NOW_MS,
        ),
        "alone",
        "NOT_CANONICAL",
    );
    let mut envelope: wire::Envelope = read(payload);
    envelope.header = [&envelope.header[..], &[0x60, 0x01]].concat().into();
    let signed = sign(ENVELOPE, codec::encode(&envelope), &service_key());
    file.refuses(
        check(
            "header-unknown",
            "a field more in the header",
            &["ENV-4.1", "SIG-1.4"],
            &signed,
            NOW_MS,
        ),
        "alone",
        "NOT_CANONICAL",
    );
}

fn wrappers(file: &mut File, alone: &Bytes) {
    let readdressed = bent(alone, |s| {
        let mut envelope: wire::Envelope = read(&s.payload);
        let mut header: wire::Header = read(&envelope.header);
        header.recipient.as_mut().expect("a recipient").mailbox = vec![0xbb; 16].into();
        envelope.header = codec::encode(&header);
        s.payload = codec::encode(&envelope);
    });
    file.refuses(
        check(
            "readdressed",
            "a relay changed the recipient",
            &["ENV-4.10", "SIG-5.4"],
            &readdressed,
            NOW_MS,
        ),
        "alone",
        "BAD_SIGNATURE",
    );
    let forged = sign(ENVELOPE, envelope(), &other_key());
    file.refuses(
        check(
            "forged",
            "signed by another key",
            &["SIG-5.3"],
            &forged,
            NOW_MS,
        ),
        "alone",
        "UNKNOWN_KEY",
    );
    let garbled = bent(alone, |s| {
        s.signatures[0].signature = flipped(&s.signatures[0].signature, 40)
    });
    file.refuses(
        check(
            "garbled",
            "one bit of the signature is wrong",
            &["SIG-5.4"],
            &garbled,
            NOW_MS,
        ),
        "alone",
        "BAD_SIGNATURE",
    );
    let twice = bent(alone, |s| {
        let other: wire::Signed = read(&sign(ENVELOPE, s.payload.clone(), &other_key()));
        s.signatures.extend(other.signatures);
        s.signatures.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    });
    file.refuses(
        check(
            "two-signatures",
            "a signature more than an envelope has",
            &["ENV-3.4", "SIG-5.1"],
            &twice,
            NOW_MS,
        ),
        "alone",
        "SIGNATURE_COUNT",
    );
    let receipt = sign(
        pli_protocol::crypto::contexts::RECEIPT,
        envelope(),
        &service_key(),
    );
    file.refuses(
        check(
            "other-context",
            "signed as a receipt",
            &["SIG-2.1", "SIG-2.3"],
            &receipt,
            NOW_MS,
        ),
        "alone",
        "BAD_SIGNATURE",
    );
    let cut = alone.slice(..alone.len() - 1);
    file.refuses(
        check(
            "cut",
            "the last byte is missing",
            &["SIG-1.1"],
            &cut,
            NOW_MS,
        ),
        "alone",
        "DECODE",
    );
    let over = Bytes::from(vec![0; ENVELOPE_MAX + 1]);
    file.refuses(
        check(
            "over",
            "ENVELOPE_MAX and one, whatever it holds",
            &["ENV-3.2", "SIG-1.3"],
            &over,
            NOW_MS,
        ),
        "alone",
        "ENVELOPE_TOO_LARGE",
    );
}

fn times(file: &mut File, alone: &Bytes, accepted: &Value) {
    let expires = NOW_MS + 30 * DAY_MS;
    file.accepts(
        check(
            "last-moment",
            "a millisecond before its expiry",
            &["ENV-4.6"],
            alone,
            expires - 1,
        ),
        accepted.clone(),
    );
    file.refuses(
        check("expired", "at its expiry", &["ENV-4.6"], alone, expires),
        "last-moment",
        "EXPIRED",
    );
    file.refuses(
        check(
            "expired-10-years",
            "ten years later",
            &["ENV-4.6"],
            alone,
            NOW_MS + 3_650 * DAY_MS,
        ),
        "last-moment",
        "EXPIRED",
    );
    file.accepts(
        check(
            "skew",
            "the clock is five minutes behind",
            &["ENV-4.7"],
            alone,
            NOW_MS - CLOCK_SKEW_MAX_MS,
        ),
        accepted.clone(),
    );
    file.refuses(
        check(
            "future",
            "a millisecond more",
            &["ENV-4.7"],
            alone,
            NOW_MS - CLOCK_SKEW_MAX_MS - 1,
        ),
        "skew",
        "NOT_YET_VALID",
    );
    file.refuses(
        check(
            "future-hour",
            "an hour behind",
            &["ENV-4.7"],
            alone,
            NOW_MS - 3_600_000,
        ),
        "skew",
        "NOT_YET_VALID",
    );
    file.refuses(
        check(
            "future-10-years",
            "ten years behind",
            &["ENV-4.7"],
            alone,
            NOW_MS - 3_650 * DAY_MS,
        ),
        "skew",
        "NOT_YET_VALID",
    );
}

fn batched(file: &mut File, annotator: &Annotator, payload: &Bytes, accepted: &Value) {
    let others = (1_u8..7).map(|n| Bytes::from(vec![n; 9]));
    let batch: Vec<Bytes> = others.chain([payload.clone()]).collect();
    let batched = signed::sign_batch(ENVELOPE, batch, &service_key())
        .expect("seven")
        .remove(6);
    let title = "the last of a batch of seven: the same id as alone";
    file.accepts(
        check("batched", title, &["ENV-3.1", "SIG-2.4"], &batched, NOW_MS),
        accepted.clone(),
    );
    file.annotate("signed", annotator.message("Signed", "Envelope", &batched));
    let moved = bent(&batched, |s| {
        s.inclusion.as_mut().expect("a batch").index = 5
    });
    file.refuses(
        check(
            "batched-moved",
            "at another place of the batch",
            &["SIG-3.4"],
            &moved,
            NOW_MS,
        ),
        "batched",
        "BAD_INCLUSION",
    );
}

fn check(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    signed: &Bytes,
    now_ms: u64,
) -> Ask {
    let key = *service_key().public();
    let input = json!({ "signed": hex(signed), "key": hex(key.as_bytes()), "now_ms": now_ms });
    Ask {
        id,
        title,
        requirements,
        op: "envelope.check",
        input,
    }
}

fn ok(payload: &Bytes) -> Value {
    json!({
        "envelope_id": hex(leaf_hash(ENVELOPE, payload)), "sender": SERVICE, "recipient": MAILBOX,
        "created_ms": NOW_MS, "expires_ms": NOW_MS + 30 * DAY_MS, "class": "message",
        "urgency": "normal", "importance": "action", "supersedes": null,
    })
}

type Bend = fn(&mut wire::Envelope);

#[rustfmt::skip]
const PAYLOADS: &[(&str, &str, &[&str], Bend, &str)] = &[
    ("no-body", "no body", &["ENV-5.1"], |e| e.body = None, "FIELD_MISSING"),
    ("no-header", "no header", &["ENV-4.2"], |e| e.header.clear(), "UNSUPPORTED_VERSION"),
    ("header-version", "a header of the future", &["ENV-4.2"], |e| e.header = codec::encode(&wire::Header { version: 9, ..header_wire() }), "UNSUPPORTED_VERSION"),
    ("header-long", "a header over HEADER_MAX", &["ENV-4.1"], |e| e.header = vec![0; 3_073].into(), "TOO_LONG"),
    ("suite", "an unknown suite", &["ENV-5.2"], |e| body(e).suite = 2, "UNKNOWN_SUITE"),
    ("encapsulated-1119", "an encapsulated key that no sealing gives", &["ENV-5.3"], |e| body(e).encapsulated_key.truncate(1119), "FIELD_INVALID"),
    ("ciphertext-none", "no ciphertext", &["ENV-5.3"], |e| body(e).ciphertext.clear(), "FIELD_INVALID"),
    ("ciphertext-271", "a byte less than the smallest ciphertext", &["ENV-5.3"], |e| body(e).ciphertext = vec![1; 271].into(), "FIELD_INVALID"),
    ("ciphertext-300", "a length that padding does not give", &["ENV-5.3"], |e| body(e).ciphertext = vec![1; 300].into(), "FIELD_INVALID"),
];

fn body(envelope: &mut wire::Envelope) -> &mut wire::Sealed {
    envelope.body.as_mut().expect("the sample has a body")
}
