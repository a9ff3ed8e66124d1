//! A signed envelope as it arrives: decoded, its form checked, its signature not yet (ENV-3, ENV-5).

use bytes::Bytes;
use zeroize::Zeroizing;

use super::header::{Header, HeaderError};
use crate::code::Code;
use crate::codec::{self, CodecError};
use crate::crypto::contexts;
use crate::crypto::seal::{
    self, ENCAPSULATED_LEN, SUITE_XWING, SealError, SealRandomness, SealingPublicKey,
    SealingSecretKey, is_padded_len,
};
use crate::id::EnvelopeId;
use crate::limits::ENVELOPE_MAX;
use crate::signed::{Signed, SignedError, leaf_hash};
use crate::wire;

/// Why bytes are not a well-formed signed envelope.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LetterError {
    /// ENV-3.2
    #[error("a signed envelope of {got} bytes, at most {ENVELOPE_MAX} are allowed")]
    TooLarge { got: usize },
    /// SIG, ENV-3.4
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// ENV-3.3, SIG-1.4
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// ENV-4
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// ENV-5.1
    #[error("the envelope has no body")]
    NoBody,
    /// ENV-5.2
    #[error(transparent)]
    Seal(#[from] SealError),
    /// ENV-5.3
    #[error("the sealed {field} has {got} bytes, which no sealing gives")]
    BodyLength { field: &'static str, got: usize },
}

impl LetterError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::EnvelopeTooLarge,
            Self::Signed(error) => error.code(),
            Self::Codec(error) => error.code(),
            Self::Header(error) => error.code(),
            Self::NoBody => Code::FieldMissing,
            Self::Seal(error) => error.code(),
            Self::BodyLength { .. } => Code::FieldInvalid,
        }
    }
}

/// A signed envelope whose form is right.
///
/// Invariant: `signed` decodes to `header` and `body`; nothing is said about its signatures.
#[derive(Clone, Debug)]
pub struct Letter {
    signed: Signed,
    header: Header,
    header_bytes: Bytes,
    body: wire::Sealed,
}

impl Letter {
    /// Decodes the exact bytes of a `Signed` envelope; all but time, directory and signature.
    pub fn decode(encoded: Bytes) -> Result<Self, LetterError> {
        if encoded.len() > ENVELOPE_MAX {
            return Err(LetterError::TooLarge { got: encoded.len() });
        }
        let signed = Signed::decode(encoded, contexts::ENVELOPE)?;
        signed.one_signature()?;
        let envelope: wire::Envelope = codec::decode_canonical(signed.payload(), ENVELOPE_MAX)?;
        let header = Header::decode(&envelope.header)?;
        let body = envelope.body.ok_or(LetterError::NoBody)?;
        check_body(&body)?;
        Ok(Self {
            signed,
            header,
            header_bytes: envelope.header,
            body,
        })
    }

    /// The leaf hash of the payload. ENV-3.1.
    pub fn id(&self) -> EnvelopeId {
        EnvelopeId::new(*self.signed.leaf())
    }

    /// Who, to whom, until when.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The wrapper, to check its signature.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// The exact bytes that travel.
    pub fn encoded(&self) -> &Bytes {
        self.signed.encoded()
    }

    /// The epoch of the sealing key it was sealed to.
    pub fn epoch(&self) -> u32 {
        self.body.epoch
    }

    /// Opens the body: the bytes of a `Content`.
    pub fn open(&self, with: &SealingSecretKey) -> Result<Zeroizing<Vec<u8>>, SealError> {
        seal::open(with, &self.header_bytes, &self.body)
    }
}

// ENV-5.3: what cannot be the output of the suite is refused before it takes room anywhere.
fn check_body(body: &wire::Sealed) -> Result<(), LetterError> {
    if body.suite != SUITE_XWING {
        return Err(SealError::UnknownSuite { got: body.suite }.into());
    }
    let lengths = [
        (
            "encapsulated key",
            body.encapsulated_key.len(),
            body.encapsulated_key.len() == ENCAPSULATED_LEN,
        ),
        (
            "ciphertext",
            body.ciphertext.len(),
            is_padded_len(body.ciphertext.len()),
        ),
    ];
    for (field, got, allowed) in lengths {
        if !allowed {
            return Err(LetterError::BodyLength { field, got });
        }
    }
    Ok(())
}

/// The id by which an acknowledgement speaks of these bytes. CUS-3.7.
///
/// Bytes that are no `Signed` have no payload; both sides then take the bytes themselves for
/// one, so that even what nobody could decode is refused by a signed receipt.
pub fn acknowledged_id(encoded: &Bytes) -> EnvelopeId {
    let leaf = match Signed::decode(encoded.clone(), contexts::ENVELOPE) {
        Ok(signed) => *signed.leaf(),
        Err(_) => leaf_hash(contexts::ENVELOPE, encoded),
    };
    EnvelopeId::new(leaf)
}

/// Seals content under a header: the payload of a `Signed` envelope, not yet signed.
pub fn seal(
    header: &Header,
    to: &SealingPublicKey,
    epoch: u32,
    content: &[u8],
    randomness: SealRandomness,
) -> Result<Bytes, SealError> {
    let header = header.encode();
    let body = seal::seal(to, epoch, &header, content, randomness)?;
    Ok(codec::encode(&wire::Envelope {
        header,
        body: Some(body),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::SigningKey;
    use crate::envelope::header::tests::header;
    use crate::limits::CONTENT_MAX;
    use crate::signed::sign_one;

    fn payload(content: &[u8]) -> Bytes {
        let key = SealingSecretKey::from_seed(&[3; 32]).public();
        seal(&header(), &key, 1, content, SealRandomness::new([4; 64])).unwrap()
    }

    fn sign(payload: Bytes) -> Bytes {
        sign_one(
            contexts::ENVELOPE,
            payload,
            &SigningKey::from_seed(&[1; 32]),
        )
    }

    fn refused(edit: impl FnOnce(&mut wire::Envelope)) -> Code {
        let mut wire: wire::Envelope =
            codec::decode_canonical(&payload(b"text"), ENVELOPE_MAX).unwrap();
        edit(&mut wire);
        Letter::decode(sign(codec::encode(&wire)))
            .expect_err("must be refused")
            .code()
    }

    #[test]
    fn env_3_1_the_id_is_the_leaf_hash_of_the_payload() {
        let letter = Letter::decode(sign(payload(b"text"))).unwrap();
        assert_eq!(
            *letter.id().as_bytes(),
            leaf_hash(contexts::ENVELOPE, &payload(b"text"))
        );
        assert_eq!(*letter.header(), header());
        let key = SealingSecretKey::from_seed(&[3; 32]);
        assert_eq!(**letter.open(&key).unwrap(), *b"text");
    }

    #[test]
    fn cus_3_7_even_garbage_has_an_id() {
        let letter = sign(payload(b"text"));
        assert_eq!(
            acknowledged_id(&letter),
            Letter::decode(letter).unwrap().id()
        );
        let garbage = Bytes::from_static(b"garbage");
        assert_eq!(
            *acknowledged_id(&garbage).as_bytes(),
            leaf_hash(contexts::ENVELOPE, b"garbage")
        );
    }

    #[test]
    fn case_08_compressed_anything_is_not_decoded() {
        // A gzip member of one stored block (RFC 1951, section 3.2.4): the letter is in it as it is.
        let letter = sign(payload(b"text"));
        let length = u16::try_from(letter.len()).unwrap();
        let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0x01];
        gzip.extend(length.to_le_bytes());
        gzip.extend((!length).to_le_bytes());
        gzip.extend_from_slice(&letter);
        assert_eq!(
            Letter::decode(gzip.into()).unwrap_err().code(),
            Code::Decode
        );
    }

    #[test]
    fn env_3_2_the_largest_content_fits_an_envelope() {
        let encoded = sign(payload(&vec![1; CONTENT_MAX]));
        assert!(encoded.len() <= ENVELOPE_MAX, "{}", encoded.len());
        assert!(Letter::decode(encoded).is_ok());
        let over = Bytes::from(vec![0; ENVELOPE_MAX + 1]);
        assert_eq!(
            Letter::decode(over).unwrap_err().code(),
            Code::EnvelopeTooLarge
        );
    }

    #[test]
    fn env_5_a_body_that_no_sealing_gives_is_refused() {
        let body = |edit: fn(&mut wire::Sealed)| refused(|e| edit(e.body.as_mut().unwrap()));
        assert_eq!(refused(|e| e.body = None), Code::FieldMissing);
        assert_eq!(body(|b| b.suite = 2), Code::UnknownSuite);
        assert_eq!(
            body(|b| b.encapsulated_key = vec![0; 1119].into()),
            Code::FieldInvalid
        );
        assert_eq!(
            body(|b| b.ciphertext = vec![0; 255].into()),
            Code::FieldInvalid
        );
        assert_eq!(
            body(|b| b.ciphertext = vec![0; 65_536 + 16].into()),
            Code::EnvelopeTooLarge
        );
        assert_eq!(body(|b| b.ciphertext = Bytes::new()), Code::FieldInvalid);
    }

    #[test]
    fn env_4_10_neither_part_can_be_moved_to_another_envelope() {
        // Case 16: a relay that changes the recipient changes the associated data.
        let mut wire: wire::Envelope =
            codec::decode_canonical(&payload(b"text"), ENVELOPE_MAX).unwrap();
        let mut other = header();
        other.recipient.home = "interieur.gouv.fr".parse().unwrap();
        wire.header = other.encode();
        let letter = Letter::decode(sign(codec::encode(&wire))).unwrap();
        let key = SealingSecretKey::from_seed(&[3; 32]);
        assert_eq!(letter.open(&key), Err(SealError::OpenFailed));
    }
}
