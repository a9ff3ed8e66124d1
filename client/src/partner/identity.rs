//! The hash by which partners name a citizen today: of the civil identity that FranceConnect
//! gives, unsalted and the same at every partner. Pli reads it to find a contact; it never
//! travels in an envelope.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The six claims of FranceConnect that are hashed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FcIdentity {
    /// All forenames, separated by spaces.
    pub given_name: String,
    /// Name at birth; empty for a person without one.
    pub family_name: String,
    /// `1962-08-24`
    pub birthdate: String,
    /// `female` or `male`
    pub gender: String,
    /// Five-digit COG code; empty for a person born abroad.
    pub birthplace: String,
    /// COG code of the country: `99100` for France.
    pub birthcountry: String,
}

impl FcIdentity {
    /// `recipient_fc_hash`, version 1: the claims concatenated without a separator.
    pub fn hash_v1(&self) -> FcHash {
        self.hash("")
    }

    /// Version 2: joined by `;`, so that no two identities run together.
    pub fn hash_v2(&self) -> FcHash {
        self.hash(";")
    }

    fn hash(&self, separator: &str) -> FcHash {
        let claims = [
            self.given_name.as_str(),
            &self.family_name,
            &self.birthdate,
            &self.gender,
            &self.birthplace,
            &self.birthcountry,
        ];
        FcHash(Sha256::digest(claims.join(separator)).into())
    }
}

/// A `recipient_fc_hash`, of either version.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FcHash([u8; 32]);

/// A text is not a `recipient_fc_hash`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl FromStr for FcHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        pli_protocol::id::from_hex(text)
            .map(Self)
            .map_err(|_| NotAHash)
    }
}

impl fmt::Display for FcHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&pli_protocol::id::to_hex(&self.0))
    }
}
