//! Public keys: SIG-4.

use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{hex, unhex};

pub(super) fn file(_: &Annotator) -> File {
    let mut file = File::new("keys", "L1", "Ed25519 public keys and their ids");
    let ask = |id, title, requirements, key: &[u8]| Ask {
        id,
        title,
        requirements,
        op: "key.id",
        input: json!({ "key": hex(key) }),
    };
    // The ids are SHA-256 of the keys, computed with another program.
    for (id, title, key, key_id) in [
        (
            "rfc-8032-1",
            "RFC 8032, 7.1, test 1",
            RFC_8032_1,
            "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9",
        ),
        (
            "rfc-8032-2",
            "RFC 8032, 7.1, test 2",
            RFC_8032_2,
            "39f713d0a644253f04529421b9f51b9b08979d08295959c4f3990ee617f5139f",
        ),
    ] {
        file.accepts(
            ask(id, title, &["SIG-4.1", "SIG-4.2"], &unhex(key)),
            json!({ "key_id": key_id }),
        );
    }
    let whole = unhex(RFC_8032_1);
    let long = [&whole[..], &[0]].concat();
    file.refuses(
        ask("31", "31 bytes", &["SIG-4.1"], &whole[..31]),
        "rfc-8032-1",
        "FIELD_INVALID",
    );
    file.refuses(
        ask("33", "33 bytes", &["SIG-4.1"], &long),
        "rfc-8032-1",
        "FIELD_INVALID",
    );
    file.refuses(
        ask(
            "no-point",
            "32 bytes that are no point of the curve",
            &["SIG-4.1"],
            &unhex(NO_POINT),
        ),
        "rfc-8032-2",
        "WEAK_KEY",
    );
    file.refuses(
        ask(
            "not-reduced",
            "y = p + 3: the second encoding of a good point",
            &["SIG-4.1"],
            &unhex(NOT_REDUCED),
        ),
        "rfc-8032-2",
        "WEAK_KEY",
    );
    for (id, title, key) in SMALL_ORDER {
        file.refuses(
            ask(id, title, &["SIG-4.3"], &unhex(key)),
            "rfc-8032-1",
            "WEAK_KEY",
        );
    }
    file
}

const RFC_8032_1: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const RFC_8032_2: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
/// y = 2: no x on the curve belongs to it.
const NO_POINT: &str = "0200000000000000000000000000000000000000000000000000000000000000";
/// One key must not have two ids.
const NOT_REDUCED: &str = "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";

#[rustfmt::skip]
const SMALL_ORDER: &[(&str, &str, &str)] = &[
    ("order-1", "the neutral element", "0100000000000000000000000000000000000000000000000000000000000000"),
    ("order-2", "the point of order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("order-4", "a point of order 4", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("order-4-sign", "the other point of order 4", "0000000000000000000000000000000000000000000000000000000000000080"),
    ("order-8-a", "a point of order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ("order-8-b", "another point of order 8", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
];
