//! Ed25519 keys and their text forms (`ed25519:` and `pli-secret-ed25519:` + base64url).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use super::{Hash, random, sha256};

const PUBLIC_PREFIX: &str = "ed25519:";
const SECRET_PREFIX: &str = "pli-secret-ed25519:";

/// Why a text is not a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFault {
    #[error("a key text begins with {expected}")]
    Prefix { expected: &'static str },
    #[error("a key text holds 32 bytes as base64url without padding")]
    Bytes,
    #[error("cannot read {path}: {why}")]
    File { path: String, why: String },
}

/// A raw public key. Whether it is a usable point is asked when something is verified by it.
#[derive(Clone, Copy, Eq, PartialEq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    pub fn key_id(&self) -> Hash {
        sha256(&[&self.0])
    }

    /// The canonical encoding of a point that is not of small order (SIG-4.1, SIG-4.3).
    pub fn is_strong(&self) -> bool {
        self.is_reduced() && VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }

    /// y below p = 2^255 - 19. (The other double encoding, x = 0 with a sign, is of small order.)
    fn is_reduced(&self) -> bool {
        let [low, middle @ .., high] = &self.0;
        high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *low < 0xed
    }

    /// RFC 8032 verification, strict: S < L, no small-order key or R.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = <[u8; 64]>::try_from(signature) else {
            return false;
        };
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &signature.into()).is_ok())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{PUBLIC_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, out)
    }
}

impl std::str::FromStr for PublicKey {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let body = text.strip_prefix(PUBLIC_PREFIX).ok_or(KeyFault::Prefix {
            expected: PUBLIC_PREFIX,
        })?;
        Ok(Self(bytes_32(body)?))
    }
}

fn bytes_32(body: &str) -> Result<[u8; 32], KeyFault> {
    let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| KeyFault::Bytes)?;
    bytes.try_into().map_err(|_| KeyFault::Bytes)
}

/// A key that signs.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SecretKey of {}", self.public())
    }
}

impl SecretKey {
    pub fn generate() -> Self {
        Self::from_seed(random())
    }

    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The one line of a secret key file.
    pub fn parse(line: &str) -> Result<Self, KeyFault> {
        let body = line
            .trim()
            .strip_prefix(SECRET_PREFIX)
            .ok_or(KeyFault::Prefix {
                expected: SECRET_PREFIX,
            })?;
        Ok(Self::from_seed(bytes_32(body)?))
    }

    pub fn load(path: &std::path::Path) -> Result<Self, KeyFault> {
        let text = std::fs::read_to_string(path).map_err(|why| KeyFault::File {
            path: path.display().to_string(),
            why: why.to_string(),
        })?;
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("length")
    }

    /// RFC 8032, section 7.1: seed, public key, message, signature.
    const RFC_8032: [(&str, &str, &str, &str); 3] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];

    #[test]
    fn rfc_8032_section_7_1() {
        for (seed, public, message, signature) in RFC_8032 {
            let key = SecretKey::from_seed(array(seed));
            let message = hex::decode(message).expect("hex");
            assert_eq!(hex::encode(key.public().0), public);
            assert_eq!(hex::encode(key.sign(&message)), signature);
            assert!(key.public().verifies(&message, &array::<64>(signature)));
            assert!(!key.public().verifies(b"other", &array::<64>(signature)));
        }
    }

    #[test]
    fn case_12_s_of_l_or_more_is_refused() {
        let key = SecretKey::from_seed([9; 32]);
        let mut signature = key.sign(b"m");
        // L = 2^252 + 27742317777372353535851937790883648493, little-endian; S + L is as good to a lax verifier.
        let l: [u8; 32] = array("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0u16;
        for (byte, add) in signature[32..].iter_mut().zip(l) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert!(!key.public().verifies(b"m", &signature));
    }

    #[test]
    fn case_11_small_order_keys_are_weak() {
        let mut identity = [0; 32];
        identity[0] = 1;
        for weak in [
            identity,
            [0; 32],
            array("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ] {
            assert!(!PublicKey(weak).is_strong());
            assert!(!PublicKey(weak).verifies(b"m", &[0; 64]));
        }
        assert!(SecretKey::from_seed([1; 32]).public().is_strong());
        // y = p + 3 is a second encoding of y = 3, which is a point of large order.
        let mut three = [0; 32];
        three[0] = 3;
        assert!(PublicKey(three).is_strong());
        let mut again = [0xff; 32];
        (again[0], again[31]) = (0xf0, 0x7f);
        assert!(!PublicKey(again).is_strong());
    }

    #[test]
    fn text_forms() {
        let key = SecretKey::from_seed([0; 32]);
        let text = key.public().to_string();
        assert_eq!(text, "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik");
        assert_eq!(text.parse(), Ok(key.public()));
        assert_eq!(
            "O2onvM".parse::<PublicKey>(),
            Err(KeyFault::Prefix {
                expected: "ed25519:"
            })
        );
        assert_eq!("ed25519:O2onvM".parse::<PublicKey>(), Err(KeyFault::Bytes));
        let line = format!("pli-secret-ed25519:{}\n", "A".repeat(43));
        assert_eq!(
            SecretKey::parse(&line).expect("secret").public(),
            key.public()
        );
    }
}
