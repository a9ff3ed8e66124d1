//! Keys of TUF roles, and signing with as many as the threshold asks for (TRU-6.1).

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use pli_protocol::crypto::sign::{PublicKey, SIGNATURE_LEN, SigningKey};
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};
use tough::schema::{Role, RoleType, Root, Signature, Signed};

use super::error::{WriteError, counted};
use crate::keyfile;

/// Most keys of one role.
const ROLE_KEYS_MAX: usize = 32;

/// The key files of one command, opened.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: Vec<Held>,
    partial: bool,
}

/// A key and where it was found.
#[derive(Clone, Debug)]
struct Held {
    key: SigningKey,
    file: Option<PathBuf>,
    /// It only lay in a folder that was named: if no role lists it, it is not used.
    found: bool,
}

impl KeyRing {
    /// Opens each file; two files with one key count as one key.
    pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<Self, WriteError> {
        Self::opened(files, false)
    }

    /// Opens the key files that lie in a folder: those that no role at hand lists are passed over.
    pub fn load_found<P: AsRef<Path>>(files: &[P]) -> Result<Self, WriteError> {
        Self::opened(files, true)
    }

    fn opened<P: AsRef<Path>>(files: &[P], found: bool) -> Result<Self, WriteError> {
        let open = |path: &P| -> Result<Held, WriteError> {
            let path = path.as_ref();
            Ok(Held {
                key: keyfile::load(path)?,
                file: Some(path.to_owned()),
                found,
            })
        };
        let keys: Result<Vec<Held>, WriteError> = files.iter().map(open).collect();
        Ok(Self::of(keys?))
    }

    /// From keys at hand.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = SigningKey>) -> Self {
        Self::of(keys.into_iter().map(|key| Held {
            key,
            file: None,
            found: false,
        }))
    }

    fn of(keys: impl IntoIterator<Item = Held>) -> Self {
        let mut ring: Vec<Held> = Vec::new();
        for held in keys {
            match ring
                .iter_mut()
                .find(|other| other.key.public() == held.key.public())
            {
                Some(other) => other.found &= held.found,
                None => ring.push(held),
            }
        }
        Self {
            keys: ring,
            partial: false,
        }
    }

    /// These keys are not all: what they sign may stay below the threshold, for other holders to
    /// sign where they are. It is not published before the threshold is met.
    #[must_use]
    pub fn partial(self) -> Self {
        Self {
            partial: true,
            ..self
        }
    }

    /// The keys of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let partial = self.partial || other.partial;
        Self {
            partial,
            ..Self::of(self.keys.into_iter().chain(other.keys))
        }
    }

    /// Refuses a key that none of `roles` lists: a mistaken file would otherwise go unnoticed until
    /// the threshold is missed.
    pub(crate) fn only_for(&self, roles: &[&SigningRole]) -> Result<(), WriteError> {
        for Held { key, file, found } in &self.keys {
            let id = key_id(key.public());
            if !found && roles.iter().all(|role| !role.key_ids.contains(&id)) {
                let roles: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
                return Err(WriteError::ForeignKey {
                    key: match file {
                        Some(file) => format!("{} ({})", file.display(), key.public()),
                        None => key.public().to_string(),
                    },
                    roles: roles.join(", "),
                });
            }
        }
        Ok(())
    }
}

/// The keys of one role and how many must sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleKeys {
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) threshold: usize,
}

impl RoleKeys {
    /// Checks that the threshold can be reached and is not zero.
    pub fn new(keys: Vec<PublicKey>, threshold: usize) -> Result<Self, WriteError> {
        let mut different: Vec<PublicKey> = Vec::new();
        for key in keys {
            if !different.contains(&key) {
                different.push(key);
            }
        }
        if threshold == 0 || threshold > different.len() || different.len() > ROLE_KEYS_MAX {
            return Err(WriteError::Threshold {
                threshold,
                keys: different.len(),
            });
        }
        Ok(Self {
            keys: different,
            threshold,
        })
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How many must sign.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    pub(crate) fn tuf_keys(&self) -> HashMap<Decoded<Hex>, Key> {
        self.keys
            .iter()
            .map(|key| (key_id(key), tuf_key(key)))
            .collect()
    }

    pub(crate) fn key_ids(&self) -> Vec<Decoded<Hex>> {
        self.keys.iter().map(key_id).collect()
    }

    pub(crate) fn tuf_threshold(&self) -> NonZeroU64 {
        NonZeroU64::new(self.threshold as u64).expect("a threshold of zero is not made")
    }
}

/// What a signature is counted against.
#[derive(Clone, Debug)]
pub(crate) struct SigningRole {
    pub(crate) name: String,
    keys: Vec<PublicKey>,
    pub(crate) key_ids: Vec<Decoded<Hex>>,
    pub(crate) threshold: usize,
}

impl SigningRole {
    pub(crate) fn new(name: impl Into<String>, keys: &RoleKeys) -> Self {
        Self {
            name: name.into(),
            keys: keys.keys.clone(),
            key_ids: keys.key_ids(),
            threshold: keys.threshold,
        }
    }

    pub(crate) fn of_root(root: &Root, role: RoleType) -> Self {
        let (key_ids, threshold) = match root.roles.get(&role) {
            Some(keys) => (keys.keyids.clone(), keys.threshold.get()),
            None => (Vec::new(), u64::MAX),
        };
        let keys = key_ids.iter().filter_map(|id| match root.keys.get(id)? {
            Key::Ed25519 { keyval, .. } => PublicKey::from_bytes(&keyval.public).ok(),
            _ => None,
        });
        let threshold = usize::try_from(threshold).unwrap_or(usize::MAX);
        Self {
            name: role.to_string(),
            keys: keys.collect(),
            key_ids,
            threshold,
        }
    }

    /// The root role of one root, named by its version.
    pub(crate) fn of_version(root: &Root) -> Self {
        let name = format!("root version {}", root.version);
        Self {
            name,
            ..Self::of_root(root, RoleType::Root)
        }
    }
}

/// How far a role's signing has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Which role, of which version.
    pub role: String,
    /// Good signatures so far.
    pub got: usize,
    /// The threshold.
    pub need: usize,
}

impl Progress {
    /// Whether as many signed as must.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        self.got >= self.need
    }
}

/// `3 signatures, 2 needed`
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} needed",
            counted(self.got, "signature"),
            self.need
        )
    }
}

/// Adds the signatures of those keys of the ring that `roles` list and that have not signed yet.
pub(crate) fn cosign<T: Role>(
    signed: &mut Signed<T>,
    roles: &[&SigningRole],
    ring: &KeyRing,
) -> Result<(), WriteError> {
    let message = message(&signed.signed)?;
    for Held { key, .. } in &ring.keys {
        let id = key_id(key.public());
        let listed = roles.iter().any(|role| role.key_ids.contains(&id));
        if listed && signed.signatures.iter().all(|made| made.keyid != id) {
            let sig = key.sign(&message).to_vec().into();
            signed.signatures.push(Signature { keyid: id, sig });
        }
    }
    Ok(())
}

/// Counts the good signatures of each role.
pub(crate) fn progress<T: Role>(
    signed: &Signed<T>,
    roles: &[&SigningRole],
) -> Result<Vec<Progress>, WriteError> {
    let message = message(&signed.signed)?;
    let good = |role: &SigningRole, made: &Signature| {
        let signature: Option<[u8; SIGNATURE_LEN]> = made.sig.as_ref().try_into().ok();
        let key = role.keys.iter().find(|key| key_id(key) == made.keyid);
        key.zip(signature)
            .is_some_and(|(key, signature)| key.verify(&message, &signature))
    };
    let count = |role: &&SigningRole| {
        let mut signers: Vec<_> = signed
            .signatures
            .iter()
            .filter(|made| good(role, made))
            .collect();
        signers.sort_by(|a, b| a.keyid.cmp(&b.keyid));
        signers.dedup_by(|a, b| a.keyid == b.keyid);
        Progress {
            role: role.name.clone(),
            got: signers.len(),
            need: role.threshold,
        }
    };
    Ok(roles.iter().map(count).collect())
}

fn message<T: Role>(signed: &T) -> Result<Vec<u8>, WriteError> {
    signed.canonical_form().map_err(|problem| WriteError::File {
        path: "metadata".into(),
        problem: problem.to_string(),
    })
}

/// Signs with every key of the ring that one of `roles` lists; each role must reach its threshold.
pub(crate) fn sign<T: Role>(
    signed: T,
    roles: &[&SigningRole],
    ring: &KeyRing,
) -> Result<Signed<T>, WriteError> {
    let message = signed
        .canonical_form()
        .map_err(|problem| WriteError::File {
            path: "metadata".into(),
            problem: problem.to_string(),
        })?;
    let signatures: Vec<Signature> = ring
        .keys
        .iter()
        .map(|held| (key_id(held.key.public()), &held.key))
        .filter(|(id, _)| roles.iter().any(|role| role.key_ids.contains(id)))
        .map(|(keyid, key)| Signature {
            keyid,
            sig: key.sign(&message).to_vec().into(),
        })
        .collect();
    for role in roles {
        let got = signatures
            .iter()
            .filter(|made| role.key_ids.contains(&made.keyid))
            .count();
        if got < role.threshold && !ring.partial {
            return Err(WriteError::TooFewKeys {
                role: role.name.clone(),
                got,
                need: role.threshold,
                of: role.key_ids.len(),
            });
        }
    }
    Ok(Signed { signed, signatures })
}

pub(crate) fn tuf_key(key: &PublicKey) -> Key {
    Key::Ed25519 {
        keyval: Ed25519Key {
            public: key.as_bytes().to_vec().into(),
            _extra: HashMap::new(),
        },
        scheme: Ed25519Scheme::Ed25519,
        _extra: HashMap::new(),
    }
}

pub(crate) fn key_id(key: &PublicKey) -> Decoded<Hex> {
    tuf_key(key)
        .key_id()
        .expect("a key of two strings serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_lay_in_a_folder_is_passed_over_and_one_that_was_named_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (
            folder.path().join("role.key"),
            folder.path().join("node.key"),
        );
        let key = *keyfile::create(&own).unwrap().public();
        keyfile::create(&other).unwrap();
        let role = SigningRole::new("role", &RoleKeys::new(vec![key], 1).unwrap());
        let both = [&own, &other];
        KeyRing::load_found(&both)
            .unwrap()
            .only_for(&[&role])
            .unwrap();
        let named = KeyRing::load(&both).unwrap();
        let error = named.only_for(&[&role]).unwrap_err().to_string();
        assert!(error.contains("node.key (ed25519:"), "{error}");
        // Named once and found once, it was named.
        let mixed = KeyRing::load_found(&both)
            .unwrap()
            .with(KeyRing::load(&[&other]).unwrap());
        assert!(mixed.only_for(&[&role]).is_err());
    }

    #[test]
    fn more_signatures_than_needed_are_not_so_many_of_fewer() {
        let said = |got, need| {
            let role = "root version 2".to_owned();
            Progress { role, got, need }.to_string()
        };
        assert_eq!(said(3, 2), "3 signatures, 2 needed");
        assert_eq!(said(1, 2), "1 signature, 2 needed");
        assert_eq!(said(0, 1), "0 signatures, 1 needed");
    }

    #[test]
    fn tru_6_1_a_threshold_that_cannot_be_reached_is_refused() {
        let key = *keyfile::generate().unwrap().public();
        let other = *keyfile::generate().unwrap().public();
        assert!(RoleKeys::new(vec![key, other], 2).is_ok());
        assert!(RoleKeys::new(vec![key, other], 3).is_err());
        assert!(
            RoleKeys::new(vec![key, key], 2).is_err(),
            "one key twice is one key"
        );
        assert!(RoleKeys::new(vec![key], 0).is_err());
        assert!(RoleKeys::new(vec![], 1).is_err());
    }
}
