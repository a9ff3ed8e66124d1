//! The objects that the cases start from, and small tools to bend them.

use bytes::Bytes;
use pli_protocol::codec;
use pli_protocol::crypto::contexts::Context;
use pli_protocol::crypto::seal::{SealRandomness, SealingSecretKey};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::{self, Class, Header, Importance, Sender, Urgency};
use pli_protocol::id::{Timestamp, to_hex};
use pli_protocol::{signed, wire};
use serde_json::Value;

/// 2027-01-15T08:00:00Z: the clock of every case.
pub(super) const NOW_MS: u64 = 1_800_000_000_000;
pub(super) const DAY_MS: u64 = 86_400_000;
pub(super) const MAILBOX: &str = "000102030405060708090a0b0c0d0e0f@social.gouv.fr";
pub(super) const SERVICE: &str = "rdv@interieur.gouv.fr";

/// Signs as the sending service.
pub(super) fn service_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

/// Somebody else's key.
pub(super) fn other_key() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

/// The key of `social.gouv.fr`'s node.
pub(super) fn node_key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

/// A citizen's device.
pub(super) fn device_key() -> SigningKey {
    SigningKey::from_seed(&[4; 32])
}

pub(super) const SEALING_SEED: [u8; 32] = [5; 32];
pub(super) const RANDOMNESS: [u8; 64] = [6; 64];

pub(super) fn sealing_key() -> SealingSecretKey {
    SealingSecretKey::from_seed(&SEALING_SEED)
}

pub(super) fn header() -> Header {
    Header {
        sender: Sender::Service(SERVICE.parse().expect("a service id")),
        recipient: MAILBOX.parse().expect("a mailbox address"),
        created: Timestamp::from_ms(NOW_MS),
        expires: Timestamp::from_ms(NOW_MS + 30 * DAY_MS),
        class: Class::Message,
        urgency: Urgency::Normal,
        importance: Importance::Action,
        supersedes: None,
        extensions: Vec::new(),
    }
}

pub(super) fn header_wire() -> wire::Header {
    read(&header().encode())
}

/// An encoded Content: a notice in French and English.
pub(super) fn content() -> Bytes {
    codec::encode(&content_wire())
}

pub(super) fn content_wire() -> wire::Content {
    let text = |fr: &str, en: &str| {
        let translation = |language: &str, text: &str| wire::Translation {
            language: language.into(),
            text: text.into(),
        };
        Some(wire::Text {
            translations: vec![translation("en", en), translation("fr", fr)],
        })
    };
    let notice = wire::Notice {
        title: text("Votre rendez-vous", "Your appointment"),
        body: text(
            "Le 3 mars à 10 h, à la mairie.",
            "On 3 March at 10, at the town hall.",
        ),
        ..wire::Notice::default()
    };
    wire::Content {
        version: 1,
        kind: Some(wire::content::Kind::Notice(notice)),
        extensions: Vec::new(),
    }
}

/// The payload of a sealed envelope.
pub(super) fn envelope() -> Bytes {
    envelope_of(&header(), &content())
}

pub(super) fn envelope_of(header: &Header, content: &[u8]) -> Bytes {
    let randomness = SealRandomness::new(RANDOMNESS);
    envelope::seal(header, &sealing_key().public(), 1, content, randomness)
        .expect("the sample content fits")
}

pub(super) fn sign(context: Context, payload: Bytes, key: &SigningKey) -> Bytes {
    signed::sign_one(context, payload, key)
}

/// A canonical message, to be bent.
pub(super) fn read<M: prost::Message + Default + prost::Name>(bytes: &Bytes) -> M {
    codec::decode_canonical(bytes, bytes.len()).expect("a sample is canonical")
}

/// The same `Signed`, bent after it was signed.
pub(super) fn bent(signed: &Bytes, bend: impl FnOnce(&mut wire::Signed)) -> Bytes {
    let mut wire: wire::Signed = read(signed);
    bend(&mut wire);
    codec::encode(&wire)
}

pub(super) fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::from(to_hex(bytes.as_ref()))
}

pub(super) fn hexes<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Value {
    items.into_iter().map(hex).collect()
}

/// `bytes` with one bit changed.
pub(super) fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

/// Bytes of a hexadecimal text of the source.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("hexadecimal") as u8;
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
