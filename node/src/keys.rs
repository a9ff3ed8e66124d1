//! The node's own key. In: the file named by the configuration. Out: a [`NodeKey`], once the file's
//! mode, its text and the list of published keys allow it; later, whether the directory agrees.
//! Quality cases 74, 75, 80; R9.

use std::path::{Path, PathBuf};

use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::id::{AuthorityId, KeyId, Timestamp};
use pli_protocol::trust::{Directory, Environment, is_published};
use pli_trust::keyfile;

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

/// Why a key was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefusal {
    /// Case 75: others can read the file; or it is not a key, or not there.
    #[error(transparent)]
    File(#[from] keyfile::KeyFileError),
    /// R9: everybody can be this node.
    #[error("{}: {key} is a published example or test key; anyone can be this node. Make an own one, or set `dev = true` on a machine that nobody depends on", path.display())]
    Published {
        /// The file.
        path: PathBuf,
        /// As the directory names it.
        key: Box<PublicKey>,
    },
    /// It was never taken in, or has left.
    #[error(
        "the federation's directory does not list {authority}: it was never taken in, or has left, and nobody lets \
         its node in. If it is to take part, its federation takes it in with: pli federation add-authority, then \
         pli federation publish; otherwise stop this node once its citizens have fetched what is here"
    )]
    NoAuthority {
        /// Whose node this is configured to be.
        authority: AuthorityId,
    },
    /// Case 74.
    #[error("{}: this is the key {ours}, but the directory lists for {authority}: {}", path.display(), join(listed))]
    NotListed {
        /// The file.
        path: PathBuf,
        /// The key in the file, as the directory would name it.
        ours: Box<PublicKey>,
        /// Whose node this is configured to be.
        authority: AuthorityId,
        /// What the directory lists.
        listed: Vec<PublicKey>,
    },
}

impl NodeKey {
    /// Reads the key of `authority`'s node.
    pub fn load(
        path: &Path,
        authority: AuthorityId,
        environment: Environment,
    ) -> Result<Self, KeyRefusal> {
        let key = keyfile::load(path)?;
        if environment == Environment::Production && is_published(key.public()) {
            return Err(KeyRefusal::Published {
                path: path.to_owned(),
                key: (*key.public()).into(),
            });
        }
        Ok(Self {
            authority,
            key,
            path: path.to_owned(),
        })
    }

    /// Reads the key of the log, by the same rules.
    pub fn load_log_key(path: &Path, environment: Environment) -> Result<SigningKey, KeyRefusal> {
        let key = keyfile::load(path)?;
        if environment == Environment::Production && is_published(key.public()) {
            return Err(KeyRefusal::Published {
                path: path.to_owned(),
                key: (*key.public()).into(),
            });
        }
        Ok(key)
    }

    /// By which logs and signed objects name the key.
    pub fn id(&self) -> KeyId {
        self.key.public().id()
    }

    /// Whether the directory lists this key for this node at `now`. Case 74.
    pub fn check_listed(&self, directory: &Directory, now: Timestamp) -> Result<(), KeyRefusal> {
        if directory.authority(&self.authority).is_err() {
            return Err(KeyRefusal::NoAuthority {
                authority: self.authority.clone(),
            });
        }
        let keys = match directory.node_of(&self.authority) {
            Ok(node) => node.keys.as_slice(),
            Err(_) => &[],
        };
        let valid = keys.iter().filter(|listed| listed.validity.contains(now));
        let listed: Vec<PublicKey> = valid.map(|listed| listed.key).collect();
        if listed.contains(self.key.public()) {
            return Ok(());
        }
        Err(KeyRefusal::NotListed {
            path: self.path.clone(),
            ours: (*self.key.public()).into(),
            authority: self.authority.clone(),
            listed,
        })
    }
}

fn join(keys: &[PublicKey]) -> String {
    if keys.is_empty() {
        return "no key".to_owned();
    }
    keys.iter()
        .map(PublicKey::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
