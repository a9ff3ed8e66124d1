//! Canonical protobuf: SIG-1.

use pli_protocol::wire;
use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{hex, unhex};

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new("canonical", "L0", "One byte string for each message");
    let mut base = "";
    for (id, title, message, bytes, answer) in CASES {
        let bytes = unhex(bytes);
        let code = answer.unwrap_or_default();
        let requirements: &[&str] = if code == "DECODE" {
            &["SIG-1.1"]
        } else {
            &["SIG-1.2"]
        };
        let ask = Ask {
            id,
            title,
            requirements,
            op: "canonical.check",
            input: json!({ "type": message, "bytes": hex(&bytes) }),
        };
        if answer.is_none() {
            base = id;
            file.accepts(ask, json!({}));
        } else {
            file.refuses(ask, base, code);
        }
        file.annotate("bytes", annotator.message(message, "", &bytes));
    }
    let nested = nested_in_a_signed();
    let ask = Ask {
        id: "nested",
        title: "canonical all the way down",
        requirements: &["SIG-1.2", "SIG-1.4"],
        op: "canonical.check",
        input: json!({ "type": "Signed", "bytes": hex(&nested) }),
    };
    file.accepts(ask, json!({}))
        .annotate("bytes", annotator.message("Signed", "", &nested));
    // The inclusion says index 0 although 0 is the default: two bytes more, in the middle.
    let at = 3;
    let bent = [
        &nested[..at],
        &[0x12, 0x04, 0x08, 0x00, 0x10, 0x01],
        &nested[at + 4..],
    ]
    .concat();
    let ask = Ask {
        id: "nested-default",
        title: "a default that is sent inside a nested message",
        requirements: &["SIG-1.2", "SIG-1.4"],
        op: "canonical.check",
        input: json!({ "type": "Signed", "bytes": hex(&bent) }),
    };
    file.refuses(ask, "nested", "NOT_CANONICAL")
        .annotate("bytes", annotator.message("Signed", "", &bent));
    file
}

fn nested_in_a_signed() -> Vec<u8> {
    prost_bytes(&wire::Signed {
        payload: vec![0xee].into(),
        inclusion: Some(wire::Inclusion {
            index: 0,
            tree_size: 1,
            path: Vec::new(),
        }),
        signatures: vec![wire::Signature {
            key_id: vec![1; 32].into(),
            signature: vec![2; 64].into(),
        }],
    })
}

fn prost_bytes(signed: &wire::Signed) -> Vec<u8> {
    pli_protocol::codec::encode(signed).to_vec()
}

/// Id, title, message, bytes, code. Each refused case differs from the accepted one above it.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("extension", "three fields, ascending", "Extension", "080710011a02aabb", None),
    ("repeated", "a singular field twice", "Extension", "0807080710011a02aabb", Some("NOT_CANONICAL")),
    ("overlong", "7 as a varint of two bytes", "Extension", "08870010011a02aabb", Some("NOT_CANONICAL")),
    ("overlong-length", "the length 2 as a varint of two bytes", "Extension", "080710011a8200aabb", Some("NOT_CANONICAL")),
    ("overlong-tag", "the tag 1a as a varint of two bytes", "Extension", "080710019a0002aabb", Some("NOT_CANONICAL")),
    ("unknown", "a field that the schema does not have", "Extension", "080710011a02aabb7801", Some("NOT_CANONICAL")),
    ("unordered", "fields descending", "Extension", "100108071a02aabb", Some("NOT_CANONICAL")),
    ("default", "a default that is sent", "Extension", "080710001a02aabb", Some("NOT_CANONICAL")),
    ("bool-2", "true as 2", "Extension", "080710021a02aabb", Some("NOT_CANONICAL")),
    ("wide", "a uint32 with 33 bits", "Extension", "08878080801010011a02aabb", Some("NOT_CANONICAL")),
    ("cut-value", "cut inside the last value", "Extension", "080710011a02aa", Some("DECODE")),
    ("cut-length", "cut before the length", "Extension", "080710011a", Some("DECODE")),
    ("zero-tag", "a trailing zero byte, the tag of field 0", "Extension", "080710011a02aabb00", Some("DECODE")),
    ("wire-type", "the id as a byte string", "Extension", "0a010710011a02aabb", Some("DECODE")),
    ("wire-type-7", "a wire type that does not exist", "Extension", "080710011f02aabb", Some("DECODE")),
    ("varint-11", "a varint of eleven bytes", "Extension", "08878080808080808080800110011a02aabb", Some("DECODE")),
    ("groups-101", "101 groups in each other", "Extension", GROUPS_101, Some("DECODE")),
    ("empty", "no field at all", "Extension", "", None),
    ("empty-default", "all fields, all defaults", "Extension", "080010001a00", Some("NOT_CANONICAL")),
    ("packed", "repeated numbers, packed", "DiallerHello", "0a020102", None),
    ("unpacked", "the same, not packed", "DiallerHello", "08010802", Some("NOT_CANONICAL")),
    ("split", "the same, packed in two pieces", "DiallerHello", "0a01010a0102", Some("NOT_CANONICAL")),
    ("utf-8", "a name in UTF-8", "MailboxAddress", "1204c3a92e66", None),
    ("not-utf-8", "a byte that no UTF-8 has", "MailboxAddress", "1204ffa92e66", Some("DECODE")),
    ("surrogate", "half of a surrogate pair in UTF-8", "MailboxAddress", "1204eda0802e", Some("DECODE")),
    ("u64-max", "2^64 - 1 is canonical, whatever it means", "EnvelopeBatch", "08ffffffffffffffffff01", None),
    ("u64-over", "more than 64 bits", "EnvelopeBatch", "08ffffffffffffffffff03", Some("DECODE")),
    ("enum-unknown", "an enum number that has no name is canonical; the type refuses it", "Receipt", "08011063", None),
    ("enum-overlong", "the same number, overlong", "Receipt", "080110e300", Some("NOT_CANONICAL")),
    ("enum-negative", "a negative enum has ten bytes", "Receipt", "080110ffffffffffffffffff01", None),
    ("enum-negative-5", "a negative enum in five bytes", "Receipt", "080110ffffffff0f", Some("NOT_CANONICAL")),
    ("oneof", "one sender", "Header", "08011205406e2e6672", None),
    ("oneof-both", "both senders: the last one would win", "Header", "08011205406e2e66721a00", Some("NOT_CANONICAL")),
];

const GROUPS_101: &str = "7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b";
