//! Ed25519 (RFC 8032), strict: keys of small order and signatures that are not canonical are
//! refused, so that all implementations agree on every signature (SIG-4).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::code::Code;
use crate::id::KeyId;
use crate::limits;

/// Bytes of a public key and of a secret seed.
pub const KEY_LEN: usize = limits::PUBLIC_KEY_LEN;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = limits::SIGNATURE_LEN;

const PUBLIC_PREFIX: &str = "ed25519:";
const SECRET_PREFIX: &str = "pli-secret-ed25519:";

/// Why bytes or a text are not a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// SIG-4.1
    #[error("a key has {got} bytes, expected {KEY_LEN}")]
    Length { got: usize },
    /// SIG-4.1: not a point of the curve.
    #[error("not an Ed25519 public key")]
    NotAPoint,
    /// SIG-4.3: anyone can make signatures that a key of small order accepts.
    #[error("weak Ed25519 key (of small order)")]
    Weak,
    /// SIG-4.4
    #[error("expected {expected} followed by 43 base64url characters")]
    Text { expected: &'static str },
}

impl KeyError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Weak | Self::NotAPoint => Code::WeakKey,
            Self::Length { .. } | Self::Text { .. } => Code::FieldInvalid,
        }
    }
}

/// A public key that is known to be of full order. The algorithm is the key's: no message names
/// one. SIG-4.6.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct PublicKey {
    key: ed25519_dalek::VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    /// From the 32 raw bytes. SIG-4.1, SIG-4.3.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let exact = bytes
            .try_into()
            .map_err(|_| KeyError::Length { got: bytes.len() })?;
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(exact).map_err(|_| KeyError::NotAPoint)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        // SIG-4.1: dalek reduces y modulo p. A second encoding of one key would give it two ids.
        if key.to_edwards().compress().as_bytes() != exact {
            return Err(KeyError::NotAPoint);
        }
        let id = KeyId::new(Sha256::digest(key.as_bytes()).into());
        Ok(Self { key, id })
    }

    /// The 32 raw bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        self.key.as_bytes()
    }

    /// SHA-256 of the raw bytes. SIG-4.2.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether `signature` is this key's over `message`. SIG-4.5.
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).is_ok()
    }
}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PUBLIC_PREFIX}{}",
            BASE64_URL_SAFE_NO_PAD.encode(self.as_bytes())
        )
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(decode_key_text(text, PUBLIC_PREFIX)?.as_slice())
    }
}

/// A secret key; wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl SigningKey {
    /// From the 32-byte seed of RFC 8032, section 5.1.5.
    pub fn from_seed(seed: &[u8; KEY_LEN]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes())
            .expect("a clamped scalar times the base point has full order");
        Self { key, public }
    }

    /// Reads the text that [`to_secret_text`](Self::to_secret_text) writes.
    pub fn from_secret_text(text: &str) -> Result<Self, KeyError> {
        let seed = decode_key_text(text.trim_end(), SECRET_PREFIX)?;
        Ok(Self::from_seed(&seed))
    }

    /// One line for a key file of mode 0600. SIG-4.4.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(self.key.to_bytes());
        Zeroizing::new(format!(
            "{SECRET_PREFIX}{}",
            BASE64_URL_SAFE_NO_PAD.encode(*seed)
        ))
    }

    /// The seed, for a container format such as PKCS#8.
    pub fn seed(&self) -> Zeroizing<[u8; KEY_LEN]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs exact bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(secret of {})", self.public)
    }
}

fn decode_key_text(text: &str, prefix: &'static str) -> Result<Zeroizing<[u8; KEY_LEN]>, KeyError> {
    let wrong = KeyError::Text { expected: prefix };
    let encoded = text.strip_prefix(prefix).ok_or(wrong.clone())?;
    let bytes = Zeroizing::new(
        BASE64_URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| wrong.clone())?,
    );
    let exact = bytes.as_slice().try_into().map_err(|_| wrong)?;
    Ok(Zeroizing::new(exact))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{from_hex, to_hex};

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn sig_4_5_rfc_8032_test_2() {
        let seed =
            from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let key = SigningKey::from_seed(&seed);
        assert_eq!(
            to_hex(key.public().as_bytes()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = key.sign(&[0x72]);
        assert_eq!(
            to_hex(&signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(key.public().verify(&[0x72], &signature));
        assert!(!key.public().verify(&[0x73], &signature));
    }

    #[test]
    fn case_11_keys_of_small_order_are_refused() {
        let orders = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ];
        for hex in orders {
            let bytes: [u8; 32] = from_hex(hex).unwrap();
            assert_eq!(PublicKey::from_bytes(&bytes), Err(KeyError::Weak), "{hex}");
        }
        assert_eq!(
            PublicKey::from_bytes(&[0; 31]),
            Err(KeyError::Length { got: 31 })
        );
    }

    #[test]
    fn sig_4_1_a_key_has_one_encoding() {
        // y = p + 3, which a lenient decoder reads as y = 3, a point of full order.
        let mut second = [0xff; 32];
        second[0] = 0xf0;
        second[31] = 0x7f;
        assert_eq!(PublicKey::from_bytes(&second), Err(KeyError::NotAPoint));
        let mut first = [0; 32];
        first[0] = 3;
        assert!(PublicKey::from_bytes(&first).is_ok());
    }

    #[test]
    fn case_12_an_s_of_the_group_order_or_more_is_refused() {
        let key = SigningKey::from_seed(&[7; 32]);
        let mut signature = key.sign(b"letter");
        // S + L verifies the same equation; only a strict check tells them apart.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        assert!(!key.public().verify(b"letter", &signature));
    }

    #[test]
    fn sig_4_4_keys_read_back_from_text() {
        let key = SigningKey::from_seed(&[7; 32]);
        let public: PublicKey = key.public().to_string().parse().unwrap();
        assert_eq!(public, *key.public());
        let secret = SigningKey::from_secret_text(&format!("{}\n", *key.to_secret_text())).unwrap();
        assert_eq!(secret.public(), key.public());
        assert!(!format!("{key:?}").contains(&key.to_secret_text()[SECRET_PREFIX.len()..]));
        assert!("ed25519:AAAA".parse::<PublicKey>().is_err());
        assert!(SigningKey::from_secret_text(&key.public().to_string()).is_err());
    }
}
