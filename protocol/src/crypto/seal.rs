//! Sealing: HPKE base mode (RFC 9180) with X-Wing, HKDF-SHA256 and ChaCha20Poly1305 (ENV-6).
//!
//! X-Wing joins ML-KEM-768 and X25519, so that a letter recorded today stays closed to a
//! quantum computer tomorrow. In: exact header bytes and content. Out: `Sealed`, or back.

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::{Zeroize, Zeroizing};

use crate::code::Code;
use crate::crypto::contexts::SEAL_INFO;
use crate::limits::{CONTENT_MAX, PLAINTEXT_MAX, PLAINTEXT_MIN};
use crate::wire;

/// Suite 1 of `spec/registry/suites.toml`: X-Wing, HKDF-SHA256, ChaCha20Poly1305.
pub const SUITE_XWING: u32 = 1;
/// Bytes of a secret sealing key: the seed of X-Wing.
pub const SECRET_LEN: usize = 32;
/// Bytes of a public sealing key.
pub const PUBLIC_LEN: usize = 1216;
/// Bytes of an encapsulated key.
pub const ENCAPSULATED_LEN: usize = 1120;
/// Bytes of randomness that one sealing uses.
pub const RANDOMNESS_LEN: usize = 64;
/// Bytes that the AEAD adds.
pub const TAG_LEN: usize = 16;

/// Ends the content in the padded plaintext; zeros follow (ISO/IEC 7816-4).
const PADDING_MARK: u8 = 0x80;

/// Why something cannot be sealed or opened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// ENV-6.1
    #[error("sealing suite {got} is not known, expected {SUITE_XWING}")]
    UnknownSuite { got: u32 },
    /// ENV-6.4: a wrong length or a value that the KEM refuses.
    #[error("not an X-Wing {what}")]
    BadKey { what: &'static str },
    /// ENV-6.5
    #[error("content of {got} bytes, at most {CONTENT_MAX} can be sealed")]
    TooLong { got: usize },
    /// ENV-6.6: one answer for every cause, so that it helps nobody who probes.
    #[error("the body does not open with this key and header")]
    OpenFailed,
    /// ENV-6.7
    #[error("the opened body is not padded as it must be")]
    BadPadding,
}

impl SealError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownSuite { .. } => Code::UnknownSuite,
            Self::BadKey { .. } => Code::FieldInvalid,
            Self::TooLong { .. } => Code::TooLong,
            Self::OpenFailed => Code::OpenFailed,
            Self::BadPadding => Code::BadPadding,
        }
    }
}

/// Fresh randomness for exactly one sealing; wiped when dropped.
///
/// Using the same twice for one recipient breaks the secrecy of both letters, so it is taken
/// by value and cannot be cloned.
#[derive(Debug)]
pub struct SealRandomness(Zeroizing<[u8; RANDOMNESS_LEN]>);

impl SealRandomness {
    /// From the system's generator, or fixed in a test vector.
    pub fn new(bytes: [u8; RANDOMNESS_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Hands [`SealRandomness`] to the KEM, which draws it once.
struct Drawn<'a>(&'a [u8]);

impl TryRng for Drawn<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        let (drawn, rest) = self.0.split_at(into.len());
        into.copy_from_slice(drawn);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Drawn<'_> {}

/// A public sealing key, decoded once: expanding it costs as much as sealing does.
#[derive(Clone, Eq, PartialEq)]
pub struct SealingPublicKey(<XWing as Kem>::PublicKey);

impl SealingPublicKey {
    /// From the wire bytes. ENV-6.4.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        Deserializable::from_bytes(bytes)
            .map(Self)
            .map_err(|_| SealError::BadKey {
                what: "public key of 1,216 bytes",
            })
    }

    /// The wire bytes.
    pub fn to_bytes(&self) -> Bytes {
        self.0.to_bytes().to_vec().into()
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingPublicKey(X-Wing)")
    }
}

/// A secret sealing key of one epoch.
#[derive(Clone)]
pub struct SealingSecretKey(<XWing as Kem>::PrivateKey);

impl SealingSecretKey {
    /// From its 32-byte seed.
    pub fn from_seed(seed: &[u8; SECRET_LEN]) -> Self {
        let key = Deserializable::from_bytes(seed).expect("a seed of the right length is a key");
        Self(key)
    }

    /// The public half.
    pub fn public(&self) -> SealingPublicKey {
        SealingPublicKey(XWing::sk_to_pk(&self.0))
    }
}

impl fmt::Debug for SealingSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingSecretKey(secret)")
    }
}

/// Seals `content` to the key of `epoch`; `header` is bound to it. ENV-6.2, ENV-6.3.
pub fn seal(
    to: &SealingPublicKey,
    epoch: u32,
    header: &[u8],
    content: &[u8],
    randomness: SealRandomness,
) -> Result<wire::Sealed, SealError> {
    let mut padded = Zeroizing::new(pad(content)?);
    let (encapsulated, mut sealer) =
        hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &to.0,
            SEAL_INFO,
            &mut Drawn(randomness.0.as_slice()),
        )
        .map_err(|_| SealError::BadKey { what: "public key" })?;
    let ciphertext = sealer
        .seal(&padded, header)
        .expect("the first message of a context can be sealed");
    padded.zeroize();
    Ok(wire::Sealed {
        suite: SUITE_XWING,
        epoch,
        encapsulated_key: encapsulated.to_bytes().to_vec().into(),
        ciphertext: ciphertext.into(),
    })
}

/// Opens a body and takes the padding off.
pub fn open(
    with: &SealingSecretKey,
    header: &[u8],
    sealed: &wire::Sealed,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if sealed.suite != SUITE_XWING {
        return Err(SealError::UnknownSuite { got: sealed.suite });
    }
    let encapsulated =
        <XWing as Kem>::EncappedKey::from_bytes(&sealed.encapsulated_key).map_err(|_| {
            SealError::BadKey {
                what: "encapsulated key of 1,120 bytes",
            }
        })?;
    let mut opener = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        &with.0,
        &encapsulated,
        SEAL_INFO,
    )
    .map_err(|_| SealError::OpenFailed)?;
    let padded = opener
        .open(&sealed.ciphertext, header)
        .map_err(|_| SealError::OpenFailed)?;
    unpad(Zeroizing::new(padded))
}

/// Whether a ciphertext has one of the lengths that padding allows. ENV-6.7.
pub fn is_padded_len(ciphertext: usize) -> bool {
    ciphertext.checked_sub(TAG_LEN).is_some_and(|length| {
        (PLAINTEXT_MIN..=PLAINTEXT_MAX).contains(&length) && length.is_power_of_two()
    })
}

/// ENV-6.5: the next power of two hides the length down to its order of magnitude.
pub fn pad(content: &[u8]) -> Result<Vec<u8>, SealError> {
    if content.len() > CONTENT_MAX {
        return Err(SealError::TooLong { got: content.len() });
    }
    let length = (content.len() + 1).next_power_of_two().max(PLAINTEXT_MIN);
    let mut padded = Vec::with_capacity(length);
    padded.extend_from_slice(content);
    padded.push(PADDING_MARK);
    padded.resize(length, 0);
    Ok(padded)
}

/// ENV-6.7: only the shortest padding is accepted, so there is one form.
pub fn unpad(mut padded: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let content = padded
        .iter()
        .rposition(|byte| *byte != 0)
        .filter(|mark| padded[*mark] == PADDING_MARK)
        .ok_or(SealError::BadPadding)?;
    let expected = (content + 1).next_power_of_two().max(PLAINTEXT_MIN);
    if padded.len() != expected || expected > PLAINTEXT_MAX {
        return Err(SealError::BadPadding);
    }
    padded.truncate(content);
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealingSecretKey {
        SealingSecretKey::from_seed(&[9; SECRET_LEN])
    }

    fn sealed(content: &[u8]) -> wire::Sealed {
        let randomness = SealRandomness::new([5; RANDOMNESS_LEN]);
        seal(&key().public(), 1, b"header", content, randomness).unwrap()
    }

    #[test]
    fn env_6_2_what_is_sealed_opens() {
        for length in [0, 1, 255, 256, 800, CONTENT_MAX] {
            let content = vec![0x80; length];
            assert_eq!(
                *open(&key(), b"header", &sealed(&content)).unwrap(),
                content
            );
        }
    }

    #[test]
    fn case_16_another_header_opens_as_corruption_does() {
        let sealed = sealed(b"content");
        let other_header = open(&key(), b"Header", &sealed).unwrap_err();
        let mut corrupt = sealed.clone();
        let mut bytes = corrupt.ciphertext.to_vec();
        bytes[3] ^= 1;
        corrupt.ciphertext = bytes.into();
        assert_eq!(other_header, open(&key(), b"header", &corrupt).unwrap_err());
        assert_eq!(other_header, SealError::OpenFailed);
        let other_key = SealingSecretKey::from_seed(&[8; SECRET_LEN]);
        assert_eq!(
            open(&other_key, b"header", &sealed).unwrap_err(),
            SealError::OpenFailed
        );
    }

    #[test]
    fn case_15_a_key_of_zeros_is_refused_or_gives_a_letter_only_its_maker_reads() {
        // An X25519 half of zero alone would give an all-zero secret; X-Wing mixes in ML-KEM
        // and the public key, so the shared secret is never all zeros.
        let mut encapsulated = sealed(b"content");
        let mut bytes = encapsulated.encapsulated_key.to_vec();
        bytes[1088..].fill(0);
        encapsulated.encapsulated_key = bytes.into();
        assert_eq!(
            open(&key(), b"header", &encapsulated).unwrap_err(),
            SealError::OpenFailed
        );
        assert!(SealingPublicKey::from_bytes(&[0xff; PUBLIC_LEN]).is_err());
    }

    #[test]
    fn env_6_5_the_length_shows_only_as_a_power_of_two() {
        let length = |content: usize| sealed(&vec![1; content]).ciphertext.len() - TAG_LEN;
        assert_eq!(
            [0, 255, 256, 511, 512, 32_767].map(length),
            [256, 256, 512, 512, 1024, 32_768]
        );
        let randomness = SealRandomness::new([5; RANDOMNESS_LEN]);
        assert_eq!(
            seal(&key().public(), 1, b"", &[0; CONTENT_MAX + 1], randomness),
            Err(SealError::TooLong {
                got: CONTENT_MAX + 1
            })
        );
    }

    #[test]
    fn env_6_7_another_padding_is_refused() {
        let unpad = |bytes: Vec<u8>| unpad(Zeroizing::new(bytes)).map(|content| content.to_vec());
        let with = |content: &[u8], mark: u8, length: usize| {
            let mut padded = content.to_vec();
            padded.push(mark);
            padded.resize(length, 0);
            padded
        };
        assert_eq!(unpad(with(b"abc", PADDING_MARK, 256)), Ok(b"abc".to_vec()));
        assert_eq!(
            unpad(with(b"abc", PADDING_MARK, 512)),
            Err(SealError::BadPadding)
        );
        assert_eq!(unpad(with(b"abc", 0x81, 256)), Err(SealError::BadPadding));
        assert_eq!(unpad(vec![0; 256]), Err(SealError::BadPadding));
        assert_eq!(unpad(vec![]), Err(SealError::BadPadding));
    }

    #[test]
    fn env_6_1_an_unknown_suite_is_refused() {
        let other = wire::Sealed {
            suite: 2,
            ..sealed(b"content")
        };
        assert_eq!(
            open(&key(), b"header", &other).unwrap_err(),
            SealError::UnknownSuite { got: 2 }
        );
    }
}
