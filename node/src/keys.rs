//! The node's own key. In: the file named by the configuration. Out: a [`NodeKey`], once the file's
//! mode, its text and the list of published keys allow it; later, whether the directory agrees.
//! Quality cases 74, 75, 80; R9.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pli_protocol::crypto::sign::{KeyError, SigningKey};
use pli_protocol::id::{AuthorityId, KeyId, Timestamp};
use pli_protocol::trust::{Directory, Environment, is_published};
use zeroize::Zeroizing;

/// Mode bits that would let somebody else read, replace or run the file.
const OTHERS: u32 = 0o077;
/// A key file is one short line.
const KEY_FILE_MAX: u64 = 1_024;

/// The key that makes this process the node of its authority.
#[derive(Clone, Debug)]
pub struct NodeKey {
    /// Whose node.
    pub authority: AuthorityId,
    /// TLS, receipts, invitations.
    pub key: SigningKey,
    /// Where it was read.
    pub path: PathBuf,
}

/// Why a key file was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("{}: cannot read the key: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Case 75.
    #[error("{}: mode is {mode:04o}, expected 0600: others on this machine can reach the key. Run: chmod 600 {}", path.display(), path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, a device, or far too long.
    #[error("{}: not a key file (expected one line, at most {KEY_FILE_MAX} bytes)", path.display())]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// The text is not a secret key.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// R9: everybody can be this node.
    #[error("{}: {key} is a published example or test key; anyone can be this node. Make an own one, or set `dev = true` on a machine that nobody depends on", path.display())]
    Published {
        /// The file.
        path: PathBuf,
        /// Its fingerprint.
        key: KeyId,
    },
    /// Case 74.
    #[error("{}: this is the key {ours}, but the directory lists for {authority}: {}", path.display(), join(listed))]
    NotListed {
        /// The file.
        path: PathBuf,
        /// Fingerprint of the key in the file.
        ours: KeyId,
        /// Whose node this is configured to be.
        authority: AuthorityId,
        /// Fingerprints that the directory lists.
        listed: Vec<KeyId>,
    },
}

impl NodeKey {
    /// Reads the key of `authority`'s node.
    pub fn load(
        path: &Path,
        authority: AuthorityId,
        environment: Environment,
    ) -> Result<Self, KeyFileError> {
        let text = read_private(path)?;
        let key =
            SigningKey::from_secret_text(&text).map_err(|source| KeyFileError::Malformed {
                path: path.to_owned(),
                source,
            })?;
        if environment == Environment::Production && is_published(key.public()) {
            return Err(KeyFileError::Published {
                path: path.to_owned(),
                key: key.public().id(),
            });
        }
        Ok(Self {
            authority,
            key,
            path: path.to_owned(),
        })
    }

    /// The key's fingerprint.
    pub fn id(&self) -> KeyId {
        self.key.public().id()
    }

    /// Whether the directory lists this key for this node at `now`. Case 74.
    pub fn check_listed(&self, directory: &Directory, now: Timestamp) -> Result<(), KeyFileError> {
        let keys = match directory.node_of(&self.authority) {
            Ok(node) => node.keys.as_slice(),
            Err(_) => &[],
        };
        let valid = keys.iter().filter(|listed| listed.validity.contains(now));
        let listed: Vec<KeyId> = valid.map(|listed| listed.key.id()).collect();
        if listed.contains(&self.id()) {
            return Ok(());
        }
        Err(KeyFileError::NotListed {
            path: self.path.clone(),
            ours: self.id(),
            authority: self.authority.clone(),
            listed,
        })
    }
}

/// Reads a file that only its owner may reach.
fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    // The opened file is asked, not the path: the two may differ a moment later.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.size() > KEY_FILE_MAX {
        return Err(KeyFileError::NotAKeyFile {
            path: path.to_owned(),
        });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeyFileError::OpenToOthers {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(KEY_FILE_MAX)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

fn join(ids: &[KeyId]) -> String {
    if ids.is_empty() {
        return "no key".to_owned();
    }
    ids.iter()
        .map(KeyId::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
