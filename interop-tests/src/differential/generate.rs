//! Makes envelopes: right ones, and ones that are wrong in one place, at every layer. What is changed inside
//! a signature is signed again most of the time, so that the rules behind the signature are reached.

use serde_json::{Value, json};

use super::random::Random;
use crate::codec::Message;
use crate::codec::schema::{
    ENVELOPE as ENVELOPE_SCHEMA, EXTENSION, HEADER, MAILBOX_ADDRESS, SEALED, SIGNATURE, SIGNED,
};
use crate::codec::varint;
use crate::crypto::contexts::{ENVELOPE, RECEIPT};
use crate::crypto::hpke;
use crate::crypto::keys::SecretKey;
use crate::crypto::signed::sign_batch;
use crate::validator::header::ENVELOPE_LIFETIME_MAX_MS;
use crate::validator::{CLOCK_SKEW_MAX_MS, INTEGER_MAX};

/// The clock of every case.
const NOW_MS: u64 = 1_767_225_600_000;

/// One generated request.
#[derive(Clone, Debug)]
pub struct Case {
    pub number: u64,
    pub mutation: &'static str,
    /// The input of `envelope.check`.
    pub input: Value,
}

/// Makes the cases of one seed.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    key: SecretKey,
}

const AUTHORITIES: &[&str] = &["interieur.gouv.fr", "social.gouv.fr", "a.b", "x-y.z0.fr"];
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

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            key: SecretKey::from_seed([0x5a; 32]),
        }
    }

    pub fn case(&self, number: u64) -> Case {
        let random = &Random::new(self.seed, number);
        let (mut now, mut key) = (NOW_MS, self.key.public());
        let (mutation, signed) = match random.below(20) {
            0..=2 => (
                "none",
                self.wrap(random, &right_header(random).encode(), right_sealed(random)),
            ),
            3..=7 => {
                let header = header_field(random);
                (
                    "header field",
                    self.wrap(random, &header, right_sealed(random)),
                )
            }
            8..=10 => {
                let mut header = right_header(random).encode();
                bytes(random, &mut header);
                (
                    "header bytes, signed",
                    self.wrap(random, &header, right_sealed(random)),
                )
            }
            11..=12 => {
                let sealed = sealed_field(random);
                (
                    "body field",
                    self.wrap(random, &right_header(random).encode(), sealed),
                )
            }
            13 => {
                let mut payload = payload(&right_header(random).encode(), right_sealed(random));
                bytes(random, &mut payload);
                ("payload bytes, signed", self.sign(random, payload))
            }
            14..=15 => {
                let right = self.wrap(random, &right_header(random).encode(), right_sealed(random));
                ("wrapper field", wrapper_field(random, &right))
            }
            16..=17 => {
                let mut right =
                    self.wrap(random, &right_header(random).encode(), right_sealed(random));
                bytes(random, &mut right);
                ("bytes", right)
            }
            18 => {
                let header = right_header(random);
                now = clock(random, &header);
                (
                    "clock",
                    self.wrap(random, &header.encode(), right_sealed(random)),
                )
            }
            _ => {
                let payload = payload(&right_header(random).encode(), right_sealed(random));
                match random.below(3) {
                    0 => key = SecretKey::from_seed([0x33; 32]).public(),
                    1 => key.0 = random.pick(&[[0; 32], [1; 32], identity(), [0xff; 32]]),
                    _ => {
                        return case(
                            number,
                            "context",
                            &sign_batch(RECEIPT, &[payload], &self.key)[0],
                            key.0,
                            now,
                        );
                    }
                }
                ("key", self.sign(random, payload))
            }
        };
        case(number, mutation, &signed, key.0, now)
    }

    fn wrap(&self, random: &Random, header: &[u8], sealed: Message) -> Vec<u8> {
        self.sign(random, payload(header, sealed))
    }

    /// Signs, mostly alone, sometimes as one leaf of a larger tree.
    fn sign(&self, random: &Random, payload: Vec<u8>) -> Vec<u8> {
        let size = if random.one_in(4) {
            1 + random.below(9)
        } else {
            1
        };
        let at = random.below(size);
        let mut payloads: Vec<Vec<u8>> = (0..size).map(|i| vec![i as u8]).collect();
        payloads[at] = payload;
        sign_batch(ENVELOPE, &payloads, &self.key).swap_remove(at)
    }
}

fn case(number: u64, mutation: &'static str, signed: &[u8], key: [u8; 32], now: u64) -> Case {
    let input = json!({ "signed": hex::encode(signed), "key": hex::encode(key), "now_ms": now });
    Case {
        number,
        mutation,
        input,
    }
}

fn identity() -> [u8; 32] {
    let mut key = [0; 32];
    key[0] = 1;
    key
}

fn payload(header: &[u8], sealed: Message) -> Vec<u8> {
    Message::new(&ENVELOPE_SCHEMA)
        .with("header", header)
        .with("body", sealed)
        .encode()
}

fn address(random: &Random) -> Message {
    Message::new(&MAILBOX_ADDRESS)
        .with("mailbox", random.bytes(16))
        .with("home", random.pick(AUTHORITIES))
}

fn right_header(random: &Random) -> Message {
    let created = NOW_MS - random.next() % 1_000_000;
    let header = Message::new(&HEADER)
        .with("version", 1u32)
        .with("recipient", address(random))
        .with("created_ms", created)
        .with(
            "expires_ms",
            NOW_MS + 1 + random.next() % (ENVELOPE_LIFETIME_MAX_MS - 1_000_001),
        )
        .with("class", 1 + random.next() % 4)
        .with("urgency", 1 + random.next() % 4)
        .with("importance", 1 + random.next() % 3);
    let header = if random.one_in(4) {
        header.with("reply_mailbox", address(random))
    } else {
        header.with(
            "service",
            format!("s{}@{}", random.below(100), random.pick(AUTHORITIES)).as_str(),
        )
    };
    let header = if random.one_in(4) {
        header.with("supersedes", random.bytes(16))
    } else {
        header
    };
    let extensions = if random.one_in(4) {
        random.below(4) as u32
    } else {
        0
    };
    header.with_all(
        "extensions",
        (1..=extensions).map(|id| extension(id, false, id as usize)),
    )
}

fn extension(id: u32, critical: bool, length: usize) -> Message {
    Message::new(&EXTENSION)
        .with("id", id)
        .with("critical", critical)
        .with("value", vec![7; length])
}

fn right_sealed(random: &Random) -> Message {
    Message::new(&SEALED)
        .with("suite", 1u32)
        .with("epoch", 1 + random.next() % 3)
        .with(
            "encapsulated_key",
            vec![random.next() as u8; hpke::ENCAPSULATED_KEY_LEN],
        )
        .with("ciphertext", vec![random.next() as u8; 256 + hpke::TAG_LEN])
}

/// A header that is wrong, or at an edge, in one field.
fn header_field(random: &Random) -> Vec<u8> {
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
fn sealed_field(random: &Random) -> Message {
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
fn wrapper_field(random: &Random, right: &[u8]) -> Vec<u8> {
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
fn clock(random: &Random, header: &Message) -> u64 {
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
fn bytes(random: &Random, bytes: &mut Vec<u8>) {
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
