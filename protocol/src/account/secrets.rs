//! Account secrets: one root and one secret per sealing epoch, from which every pairwise key
//! is derived. Two authorities see keys that have nothing in common (P5).
//!
//! ```text
//! identity(authority)       = Ed25519 seed = HKDF-SHA256(root,  "pli/1/pairwise-identity" 0x00 authority)
//! sealing(epoch, authority) = X-Wing seed  = HKDF-SHA256(epoch, "pli/1/pairwise-sealing" 0x00 authority 0x00 epoch)
//! ```
//! `epoch` is four bytes, big-endian. The salt is empty, the output 32 bytes (RFC 5869).

use std::collections::BTreeMap;
use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::crypto::contexts::{PAIRWISE_IDENTITY, PAIRWISE_SEALING};
use crate::crypto::seal::SealingSecretKey;
use crate::crypto::sign::SigningKey;
use crate::id::{AuthorityId, from_hex, to_hex};

/// The epoch of a new account; 0 on the wire would mean absent.
pub const FIRST_EPOCH: u32 = 1;

const SECRET_LEN: usize = 32;
const SEPARATOR: &[u8] = &[0x00];
const ROOT_NAME: &str = "root";
const EPOCH_NAME: &str = "sealing-";

type Secret = Zeroizing<[u8; SECRET_LEN]>;

/// Why a text is not the secrets of an account.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretsError {
    /// It never repeats the line, which may hold a secret.
    #[error(
        "line {line}: expected `root` or `sealing-<epoch>`, a space and 64 lower-case hexadecimal digits"
    )]
    Line { line: usize },
    /// One of each.
    #[error("line {line} repeats a secret")]
    Repeated { line: usize },
    /// Nothing can be derived or opened without them.
    #[error("the root secret or every sealing secret is missing")]
    Incomplete,
}

/// MBX-3.2: what the devices of one account share and never send. Wiped from memory when dropped.
///
/// Invariant: at least one epoch. The root never changes; a removed device is locked out by a
/// new epoch, whose secret it does not get (case 59).
pub struct AccountSecrets {
    root: Secret,
    epochs: BTreeMap<u32, Secret>,
}

impl AccountSecrets {
    /// A new account, from 32 and 32 fresh random bytes.
    pub fn new(root: [u8; SECRET_LEN], first_sealing: [u8; SECRET_LEN]) -> Self {
        Self {
            root: Zeroizing::new(root),
            epochs: BTreeMap::from([(FIRST_EPOCH, Zeroizing::new(first_sealing))]),
        }
    }

    /// The epoch that new grants name.
    pub fn latest_epoch(&self) -> u32 {
        *self.epochs.last_key_value().expect("at least one epoch").0
    }

    /// Begins the next epoch with 32 fresh random bytes and returns its number.
    pub fn begin_epoch(&mut self, secret: [u8; SECRET_LEN]) -> u32 {
        let epoch = self.latest_epoch() + 1;
        self.epochs.insert(epoch, Zeroizing::new(secret));
        epoch
    }

    /// The key that this account is known by at `authority`, and nowhere else. MBX-3.3.
    pub fn identity(&self, authority: &AuthorityId) -> SigningKey {
        let info = [PAIRWISE_IDENTITY, SEPARATOR, authority.as_str().as_bytes()];
        SigningKey::from_seed(&derive(&self.root, &info))
    }

    /// MBX-3.4: the key that `authority` seals to in `epoch`; `None` for an epoch this device has no secret of.
    pub fn sealing(&self, authority: &AuthorityId, epoch: u32) -> Option<SealingSecretKey> {
        let secret = self.epochs.get(&epoch)?;
        let number = epoch.to_be_bytes();
        let name = authority.as_str().as_bytes();
        let info = [PAIRWISE_SEALING, SEPARATOR, name, SEPARATOR, &number];
        Some(SealingSecretKey::from_seed(&derive(secret, &info)))
    }

    /// The text of a secrets file, mode 0600: one secret a line. MBX-3.5.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        let root = Zeroizing::new(to_hex(self.root.as_slice()));
        text.push_str(&Zeroizing::new(format!("{ROOT_NAME} {}\n", *root)));
        for (epoch, secret) in &self.epochs {
            let hex = Zeroizing::new(to_hex(secret.as_slice()));
            text.push_str(&Zeroizing::new(format!("{EPOCH_NAME}{epoch} {}\n", *hex)));
        }
        text
    }

    /// Reads what [`to_secret_text`](Self::to_secret_text) wrote.
    pub fn from_secret_text(text: &str) -> Result<Self, SecretsError> {
        let mut root = None;
        let mut epochs = BTreeMap::new();
        for (line, entry) in (1..).zip(text.lines()) {
            let wrong = SecretsError::Line { line };
            let (name, hex) = entry.split_once(' ').ok_or(wrong.clone())?;
            let secret = Zeroizing::new(from_hex(hex).map_err(|_| wrong.clone())?);
            let repeated = if name == ROOT_NAME {
                root.replace(secret).is_some()
            } else {
                let number = name.strip_prefix(EPOCH_NAME).ok_or(wrong.clone())?;
                let epoch: u32 = number.parse().map_err(|_| wrong.clone())?;
                if epoch < FIRST_EPOCH || number != epoch.to_string() {
                    return Err(wrong);
                }
                epochs.insert(epoch, secret).is_some()
            };
            if repeated {
                return Err(SecretsError::Repeated { line });
            }
        }
        match root {
            Some(root) if !epochs.is_empty() => Ok(Self { root, epochs }),
            _ => Err(SecretsError::Incomplete),
        }
    }
}

impl fmt::Debug for AccountSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountSecrets(secret, epoch {})", self.latest_epoch())
    }
}

fn derive(secret: &Secret, info: &[&[u8]]) -> Secret {
    let mut derived = Zeroizing::new([0; SECRET_LEN]);
    Hkdf::<Sha256>::new(None, secret.as_slice())
        .expand_multi_info(info, derived.as_mut_slice())
        .expect("32 bytes are less than the 8,160 that HKDF-SHA256 can give");
    derived
}
