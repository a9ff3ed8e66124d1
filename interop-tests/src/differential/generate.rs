//! Makes envelopes: right ones, and ones that are wrong in one place, at every layer. What is changed inside
//! a signature is signed again most of the time, so that the rules behind the signature are reached.

use serde_json::{Value, json};

use super::mutate::{body_field, bytes, clock, header_field, wrapper_field};
use super::random::Random;
use crate::codec::Message;
use crate::codec::schema::{
    ENVELOPE as ENVELOPE_SCHEMA, EXTENSION, HEADER, MAILBOX_ADDRESS, SEALED,
};
use crate::crypto::contexts::{ENVELOPE, RECEIPT};
use crate::crypto::hpke;
use crate::crypto::keys::SecretKey;
use crate::crypto::signed::sign_batch;
use crate::validator::header::ENVELOPE_LIFETIME_MAX_MS;

const AUTHORITIES: &[&str] = &["interieur.gouv.fr", "social.gouv.fr", "a.b", "x-y.z0.fr"];
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
                let sealed = body_field(random);
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

pub(super) fn address(random: &Random) -> Message {
    Message::new(&MAILBOX_ADDRESS)
        .with("mailbox", random.bytes(16))
        .with("home", random.pick(AUTHORITIES))
}

pub(super) fn right_header(random: &Random) -> Message {
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

pub(super) fn extension(id: u32, critical: bool, length: usize) -> Message {
    Message::new(&EXTENSION)
        .with("id", id)
        .with("critical", critical)
        .with("value", vec![7; length])
}

pub(super) fn right_sealed(random: &Random) -> Message {
    Message::new(&SEALED)
        .with("suite", 1u32)
        .with("epoch", 1 + random.next() % 3)
        .with(
            "encapsulated_key",
            vec![random.next() as u8; hpke::ENCAPSULATED_KEY_LEN],
        )
        .with("ciphertext", vec![random.next() as u8; 256 + hpke::TAG_LEN])
}
