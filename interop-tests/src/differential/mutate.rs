//! One thing wrong, or at an edge, in a header, a body, a wrapper, a clock, or raw bytes.

use super::generate::{address, extension, right_header, right_sealed};
use super::random::Random;
use crate::codec::Message;
use crate::codec::schema::{SIGNATURE, SIGNED};
use crate::codec::varint;
use crate::crypto::hpke;
use crate::validator::header::ENVELOPE_LIFETIME_MAX_MS;
use crate::validator::{CLOCK_SKEW_MAX_MS, INTEGER_MAX};

const BAD_NAMES: &[&str] = &[
    "",
    "fr",
    "A.fr",
    "a..fr",
    "-a.fr",
    "a-.fr",
    "a_b.fr",
    ".a.fr",
    "a.fr.",
    "é.fr",
    "а.fr",
    "a.fr\u{0}",
    "a.fr\u{202e}",
    "rdv",
    "@a.fr",
    "rdv@",
    "rdv@fr",
    "RDV@a.fr",
    "-rdv@a.fr",
    "a@b@c.fr",
    "a b@c.fr",
];
const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    127,
    128,
    255,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    INTEGER_MAX,
    INTEGER_MAX + 1,
    1 << 63,
    u64::MAX,
];

/// A header that is wrong, or at an edge, in one field.
pub(super) fn header_field(random: &Random) -> Vec<u8> {
    let header = right_header(random);
    let number = random.pick(NUMBERS);
    let header = match random.below(14) {
        0 => header.replacing("version", number & 0xffff_ffff),
        1 => header
            .without("service")
            .with("service", random.pick(BAD_NAMES)),
        2 => header.without(random.pick(&[
            "service",
            "reply_mailbox",
            "recipient",
            "created_ms",
            "expires_ms",
        ])),
        3 => header.without(random.pick(&["class", "urgency", "importance"])),
        4 => header.replacing(
            "recipient",
            address(random).replacing("mailbox", vec![1; random.below(40)]),
        ),
        5 => header.replacing(
            "recipient",
            address(random).replacing("home", random.pick(BAD_NAMES)),
        ),
        6 => header.replacing(random.pick(&["created_ms", "expires_ms"]), number),
        7 => {
            let created = header.number("created_ms");
            let far = random.pick(&[0, 1, ENVELOPE_LIFETIME_MAX_MS, ENVELOPE_LIFETIME_MAX_MS + 1]);
            header.replacing("expires_ms", created + far)
        }
        8 => {
            // An enum is an int32: numbers beyond are not what one could write.
            let number = i64::from(number as u32 as i32) as u64;
            header.replacing(random.pick(&["class", "urgency", "importance"]), number)
        }
        9 => header.replacing("supersedes", vec![3; random.below(40)]),
        10 => header.without("extensions").with_all(
            "extensions",
            (1..=6 + random.below(5) as u32).map(|id| extension(id, false, 1)),
        ),
        11 => header.with(
            "extensions",
            extension(
                random.below(20) as u32,
                random.one_in(2),
                random.pick(&[0, 1, 255, 256, 257, 300]),
            ),
        ),
        12 => {
            let reply = address(random).replacing("home", random.pick(BAD_NAMES));
            header.without("service").replacing("reply_mailbox", reply)
        }
        _ => {
            // Over HEADER_MAX only by what no other rule allows.
            let sizes = [random.pick(&[250, 256, 400, 700, 1_000]); 6];
            header.without("extensions").with_all(
                "extensions",
                (1..=6u32).zip(sizes).map(|(id, n)| extension(id, false, n)),
            )
        }
    };
    header.encode()
}

/// A body that is wrong, or at an edge, in one field.
pub(super) fn body_field(random: &Random) -> Message {
    let sealed = right_sealed(random);
    match random.below(5) {
        0 => sealed.replacing("suite", random.pick(NUMBERS) & 0xffff_ffff),
        1 => sealed.replacing("epoch", random.pick(NUMBERS) & 0xffff_ffff),
        2 => sealed.replacing(
            "encapsulated_key",
            vec![1; random.pick(&[0, 1, 32, 1_119, 1_121, 1_216])],
        ),
        3 => sealed.without(random.pick(&["suite", "epoch", "encapsulated_key", "ciphertext"])),
        _ => {
            let length = random.pick(&[
                0, 1, 15, 16, 17, 128, 255, 256, 257, 512, 768, 1_024, 4_096, 32_768, 65_536,
            ]);
            sealed.replacing(
                "ciphertext",
                vec![1; length + random.pick(&[0, 0, 0, hpke::TAG_LEN])],
            )
        }
    }
}

/// A wrapper that is wrong, or at an edge, in one field.
pub(super) fn wrapper_field(random: &Random, right: &[u8]) -> Vec<u8> {
    let wrapper = Message::decode(&SIGNED, right).expect("own bytes");
    let inclusion = wrapper.message("inclusion").cloned().expect("own bytes");
    let signature = wrapper.message("signatures").cloned().expect("own bytes");
    let other = |byte: u8, id: usize, length: usize| {
        Message::new(&SIGNATURE)
            .with("key_id", vec![byte; id])
            .with("signature", vec![byte; length])
    };
    let size = random.pick(&[0, 1, 2, 3, 8, 9, 4_095, 4_096, 4_097, 1 << 31]);
    let wrapper = match random.below(10) {
        0 => wrapper.replacing("inclusion", inclusion.replacing("tree_size", size as u64)),
        1 => wrapper.replacing(
            "inclusion",
            inclusion.replacing("index", random.pick(NUMBERS) & 0xffff_ffff),
        ),
        2 => {
            let length = random.pick(&[0, 31, 32, 33]);
            wrapper.replacing("inclusion", inclusion.with("path", vec![9; length]))
        }
        3 => wrapper.replacing(
            "inclusion",
            inclusion.without("path").with("tree_size", 0u32),
        ),
        4 => wrapper.without(random.pick(&["payload", "inclusion", "signatures"])),
        5 => {
            let mut bytes = signature.bytes("signature").to_vec();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            wrapper.replacing("signatures", signature.replacing("signature", bytes))
        }
        6 => wrapper.replacing(
            "signatures",
            other(random.next() as u8, 32, random.pick(&[0, 63, 64, 65])),
        ),
        7 => wrapper.replacing(
            "signatures",
            signature.replacing("key_id", vec![1; random.pick(&[0, 31, 32, 33])]),
        ),
        8 => {
            let more = random.pick(&[1, 2, 7, 8, 9]);
            wrapper.with_all("signatures", (0..more).map(|i| other(0xf0 + i, 32, 64)))
        }
        _ => wrapper.with("signatures", other(random.pick(&[0, 0xff]), 32, 64)),
    };
    wrapper.encode()
}

/// A clock near an edge of the header's times.
pub(super) fn clock(random: &Random, header: &Message) -> u64 {
    let (created, expires) = (header.number("created_ms"), header.number("expires_ms"));
    random.pick(&[
        0,
        1,
        created - CLOCK_SKEW_MAX_MS - 1,
        created - CLOCK_SKEW_MAX_MS,
        created - 1,
        created,
        expires - 1,
        expires,
        expires + 1,
        INTEGER_MAX,
        created + 3_600_000,
        created - 3_600_000,
        created + 315_360_000_000,
    ])
}

/// Changes raw bytes in one place, or in a few.
pub(super) fn bytes(random: &Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(2) {
        let at = random.below(bytes.len());
        match random.below(9) {
            0..=1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.next() as u8),
            5 => bytes.truncate(at.max(1)),
            6 => {
                // Something again: a duplicate field when it falls on one.
                let until = (at + 1 + random.below(40)).min(bytes.len());
                let again = bytes[at..until].to_vec();
                bytes.extend_from_slice(&again);
            }
            7 => {
                // A field that no table has, or an overlong number.
                let mut field = Vec::new();
                varint::write(
                    &mut field,
                    random.pick(&[8, 88, 90, 93, 94, 99, 100, 120, 122, 800]),
                );
                field.extend_from_slice(random.pick(&[
                    &[0][..],
                    &[1],
                    &[0x80, 0],
                    &[0x81, 0],
                    &[2, 1, 1],
                    &[0xff],
                ]));
                bytes.extend_from_slice(&field);
            }
            _ => bytes.extend_from_slice(&random.bytes(1 + at % 3)),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    // Now and then over every limit of length.
    if random.one_in(200) {
        bytes.resize(random.pick(&[3_072, 3_073, 40_960, 40_961, 50_000]), 0);
    }
}
