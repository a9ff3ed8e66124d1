//! Bytes computed by hand from the protobuf encoding guide, and the refused neighbour of each.

use super::super::schema::{
    CALL, DIALLER_HELLO, DISPOSITION, EXTENSION, GRANT, HEADER, INCLUSION, SIGNATURE, SIGNED, TEXT,
};
use super::*;
use crate::codec::Fault;

fn not_canonical(schema: &'static Schema, hex_bytes: &str) {
    let got = Message::decode(schema, &hex::decode(hex_bytes).expect("hex"));
    assert!(
        matches!(got, Err(Fault::NotCanonical { .. })),
        "{hex_bytes}: {got:?}"
    );
}

fn malformed(schema: &'static Schema, hex_bytes: &str) {
    let got = Message::decode(schema, &hex::decode(hex_bytes).expect("hex"));
    assert!(
        matches!(got, Err(Fault::Malformed { .. })),
        "{hex_bytes}: {got:?}"
    );
}

fn canonical(schema: &'static Schema, hex_bytes: &str) -> Message {
    let bytes = hex::decode(hex_bytes).expect("hex");
    let message = Message::decode(schema, &bytes).expect("canonical");
    assert_eq!(hex::encode(message.encode()), hex_bytes);
    message
}

#[test]
fn hand_computed_inclusion() {
    // 1: 150 = 08 96 01; 2: 200 = 10 c8 01; 3: two byte strings.
    let message = canonical(
        &INCLUSION,
        "0896011 0c8011a02aabb1a01cc".replace(' ', "").as_str(),
    );
    assert_eq!(
        (message.number("index"), message.number("tree_size")),
        (150, 200)
    );
    assert_eq!(message.all_bytes("path"), [&[0xaa, 0xbb][..], &[0xcc]]);
    let built = Message::new(&INCLUSION)
        .with_all("path", [vec![0xaa, 0xbb], vec![0xcc]])
        .with("tree_size", 200u32)
        .with("index", 150u32);
    assert_eq!(built, message);
}

#[test]
fn defaults_are_absent_and_messages_present() {
    let empty = Message::new(&INCLUSION)
        .with("index", 0u32)
        .with("tree_size", 0u32);
    assert!(empty.encode().is_empty());
    // A message that is present and empty keeps its key; so does a member of a oneof.
    assert_eq!(
        canonical(&SIGNED, "1200")
            .message("inclusion")
            .map(Message::encode),
        Some(vec![])
    );
    assert_eq!(canonical(&HEADER, "1200").text("service"), "");
    assert!(canonical(&CALL, "0a00").has("submit"));
    assert!(!canonical(&CALL, "").has("submit"));
    // An empty item of a repeated field is an item.
    assert_eq!(
        canonical(&INCLUSION, "1a00").all_bytes("path"),
        [b"" as &[u8]]
    );
}

#[test]
fn numbers_are_packed() {
    assert_eq!(
        canonical(&DIALLER_HELLO, "0a03018002").numbers("versions"),
        [1, 256]
    );
    assert_eq!(canonical(&DIALLER_HELLO, "0a0100").numbers("versions"), [0]);
    not_canonical(&DIALLER_HELLO, "0801");
    not_canonical(&DIALLER_HELLO, "0a00");
    not_canonical(&DIALLER_HELLO, "0a01010a0102");
    malformed(&DIALLER_HELLO, "0a0180");
    canonical(&GRANT, "3a020103");
}

#[test]
fn case_04_duplicate_overlong_unknown_and_default_are_refused() {
    not_canonical(&INCLUSION, "08010801");
    not_canonical(&INCLUSION, "10010801");
    not_canonical(&INCLUSION, "088100");
    not_canonical(&INCLUSION, "88000 1".replace(' ', "").as_str());
    not_canonical(&INCLUSION, "0800");
    not_canonical(&INCLUSION, "2001");
    not_canonical(&SIGNATURE, "0a00");
    not_canonical(&SIGNATURE, "0a810041");
    not_canonical(&CALL, "0a001200");
    not_canonical(&HEADER, "12001a00");
    not_canonical(&SIGNED, "120208001a00".to_owned().as_str());
}

#[test]
fn case_10_integers_wider_than_their_field() {
    not_canonical(&INCLUSION, "088080808010");
    not_canonical(&EXTENSION, "1002");
    // Enums are int32: -1 takes ten bytes; 2^31 in five would be written back in ten.
    let negative = canonical(&DISPOSITION, "08ffffffffffffffffff01");
    assert_eq!(negative.number("outcome"), u64::MAX);
    not_canonical(&DISPOSITION, "088080808008");
    canonical(&DISPOSITION, "08ffffffff07");
    // 2^63 and 2^64-1 in a uint64.
    assert_eq!(
        canonical(&HEADER, "2880808080808080808001").number("created_ms"),
        1 << 63
    );
    assert_eq!(
        canonical(&HEADER, "28ffffffffffffffffff01").number("created_ms"),
        u64::MAX
    );
    malformed(&HEADER, "28ffffffffffffffffff02");
}

#[test]
fn case_02_truncated_at_every_byte_never_passes_as_the_whole() {
    let whole = Message::new(&SIGNED)
        .with("payload", b"abc".to_vec())
        .with(
            "inclusion",
            Message::new(&INCLUSION).with("tree_size", 1u32),
        )
        .with(
            "signatures",
            Message::new(&SIGNATURE)
                .with("key_id", [1; 32])
                .with("signature", [2; 64]),
        );
    let bytes = whole.encode();
    for cut in 0..bytes.len() {
        if let Ok(shorter) = Message::decode(&SIGNED, &bytes[..cut]) {
            assert_ne!(shorter, whole, "cut at {cut}");
            assert_eq!(shorter.encode(), &bytes[..cut]);
        }
    }
}

#[test]
fn case_03_nesting_101_is_malformed_and_100_merely_unknown() {
    let nested = |levels: usize| "2b".repeat(levels) + &"2c".repeat(levels);
    not_canonical(&SIGNATURE, &nested(100));
    malformed(&SIGNATURE, &nested(101));
}

#[test]
fn case_07_bad_utf8_is_malformed() {
    malformed(&TEXT, "0a041202c328");
    canonical(&TEXT, "0a041202c3a9");
}

#[test]
fn malformed_wins_over_uncanonical() {
    // An overlong varint, then a field that runs past the end.
    malformed(&INCLUSION, "0881001a05aa");
    malformed(&INCLUSION, "0f");
    malformed(&INCLUSION, "0001");
    malformed(&INCLUSION, "0c");
    malformed(&INCLUSION, "0901000000000000");
    malformed(&INCLUSION, "1001ff");
    not_canonical(&INCLUSION, "210000000000000000");
    not_canonical(&INCLUSION, "2d00000000");
    malformed(&INCLUSION, "2d000000");
}

#[test]
fn case_09_trailing_bytes_are_refused() {
    malformed(&INCLUSION, "080100");
    not_canonical(&INCLUSION, "0801200 1".replace(' ', "").as_str());
}
