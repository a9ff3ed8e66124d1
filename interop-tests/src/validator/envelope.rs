//! The whole envelope as a node checks it. Spec: ENV-3 to ENV-5, in the order at the end of section 5.

use super::header::Header;
use super::{Refused, canonical, refuse};
use crate::codec::Message;
use crate::codec::schema::{ENVELOPE as ENVELOPE_SCHEMA, SEALED};
use crate::crypto::contexts::{ENVELOPE, SEAL};
use crate::crypto::keys::PublicKey;
use crate::crypto::signed::Signed;
use crate::crypto::{Hash, hpke, padding, random};

/// An envelope that a node may accept.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub id: Hash,
    pub header: Header,
    pub header_bytes: Vec<u8>,
    pub sealed: Message,
}

impl Envelope {
    /// Everything but the time and the signature.
    fn form(bytes: &[u8]) -> Result<(Signed, Self), Refused> {
        // ENV-3.2 is SIG-1.3: Signed::decode knows ENVELOPE_MAX.
        let signed = Signed::decode(ENVELOPE, bytes)?;
        signed.only_one()?;
        let envelope = canonical(&ENVELOPE_SCHEMA, &signed.payload)?;
        let header_bytes = envelope.bytes("header").to_vec();
        let header = Header::check(&header_bytes)?;
        let Some(sealed) = envelope.message("body").cloned() else {
            return refuse("FIELD_MISSING", "body");
        };
        check_sealed(&sealed)?;
        Ok((
            signed.clone(),
            Self {
                id: signed.leaf,
                header,
                header_bytes,
                sealed,
            },
        ))
    }

    /// ENV-4.6, ENV-4.7 and the signature by the sender's key.
    pub fn check(bytes: &[u8], key: &PublicKey, now_ms: u64) -> Result<Self, Refused> {
        let (signed, envelope) = Self::form(bytes)?;
        envelope.header.check_time(now_ms)?;
        signed.verify(key)?;
        Ok(envelope)
    }
}

/// ENV-5.2, ENV-5.3
fn check_sealed(sealed: &Message) -> Result<(), Refused> {
    check_suite(sealed)?;
    let plaintext = sealed.bytes("ciphertext").len().checked_sub(hpke::TAG_LEN);
    let allowed = plaintext.is_some_and(|length| {
        length.is_power_of_two()
            && (padding::PLAINTEXT_MIN..=padding::PLAINTEXT_MAX).contains(&length)
    });
    if allowed {
        Ok(())
    } else {
        refuse("FIELD_INVALID", "ciphertext")
    }
}

/// What both a node and whoever opens look at first.
fn check_suite(sealed: &Message) -> Result<(), Refused> {
    if sealed.number("suite") != u64::from(hpke::SUITE) {
        return refuse("UNKNOWN_SUITE", "suite");
    }
    if sealed.bytes("encapsulated_key").len() != hpke::ENCAPSULATED_KEY_LEN {
        return refuse("FIELD_INVALID", "encapsulated_key");
    }
    Ok(())
}

/// ENV-6: what a device does with a body. Gives the content without padding.
pub fn open(seed: &[u8; 32], header: &[u8], sealed: &Message) -> Result<Vec<u8>, Refused> {
    check_suite(sealed)?;
    let (encapsulated, ciphertext) = (sealed.bytes("encapsulated_key"), sealed.bytes("ciphertext"));
    let Some(plaintext) = hpke::open(seed, encapsulated, SEAL.as_bytes(), header, ciphertext)
    else {
        return refuse("OPEN_FAILED", "the body does not open");
    };
    match padding::unpad(&plaintext) {
        Some(content) => Ok(content.to_vec()),
        None => refuse("BAD_PADDING", "not the shortest padding"),
    }
}

/// A `Sealed` with the randomness given. Spec: ENV-6.
pub fn seal_with(
    public: &[u8],
    randomness: &[u8; 64],
    epoch: u32,
    header: &[u8],
    content: &[u8],
) -> Result<Message, Refused> {
    let Some(plaintext) = padding::pad(content) else {
        return refuse("TOO_LONG", "content");
    };
    let sealed = hpke::seal_with(public, randomness, SEAL.as_bytes(), header, &plaintext);
    let Some((encapsulated, ciphertext)) = sealed else {
        return refuse("FIELD_INVALID", "public_key");
    };
    Ok(Message::new(&SEALED)
        .with("suite", hpke::SUITE)
        .with("epoch", epoch)
        .with("encapsulated_key", encapsulated)
        .with("ciphertext", ciphertext))
}

/// Seals content under header bytes: the canonical `Envelope` payload.
pub fn seal(public: &[u8], epoch: u32, header: &[u8], content: &[u8]) -> Result<Vec<u8>, Refused> {
    let sealed = seal_with(public, &random(), epoch, header, content)?;
    Ok(Message::new(&ENVELOPE_SCHEMA)
        .with("header", header)
        .with("body", sealed)
        .encode())
}
