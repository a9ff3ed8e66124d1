//! The JSON files that the repository names (TRU-3). Strict both ways: unknown members, other versions and
//! other spellings are refused, and what is written reads back the same.
//!
//! | File | Signed by | Holds |
//! |---|---|---|
//! | `authorities/<authority>.json` | the federation's targets role | what only the federation may grant |
//! | `federation/policy.json` | the same | what holds for all |
//! | `<authority>/node.json` | the authority's own role | how to reach it, its keys |
//! | `<authority>/services/<name>.json` | the authority's own role | a sender, its keys, what it may send |

mod authority;
mod node;
mod part;
mod path;
mod policy;
mod service;

use pli_protocol::id::AuthorityId;
use pli_protocol::trust::RecordRefusal;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use authority::AuthorityFile;
pub use node::NodeFile;
pub use part::{KeyEntry, NameEntry, StatusEntry};
pub use path::TargetPath;
pub use policy::PolicyFile;
pub use service::ServiceFile;

/// The version of all forms.
pub const VERSION: u64 = 1;

/// Reads one file (TRU-3.1). The version is looked at first, so that a newer file is named as such rather
/// than by its first unknown member.
pub(crate) fn read<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, RecordRefusal> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }
    let malformed = |problem: serde_json::Error| malformed(path, problem.to_string());
    let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
    if version != VERSION {
        let path = path.to_owned();
        return Err(RecordRefusal::UnsupportedVersion {
            path,
            got: version,
            expected: VERSION,
        });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

/// Writes one file, for people to read too.
pub(crate) fn write<T: Serialize>(file: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(file).expect("records hold nothing that JSON cannot");
    bytes.push(b'\n');
    bytes
}

/// TRU-3.2
fn of_another(authority: &AuthorityId, path: &str) -> RecordRefusal {
    RecordRefusal::NotAuthoritative {
        authority: authority.clone(),
        path: path.to_owned(),
    }
}

pub(crate) fn malformed(path: &str, problem: impl Into<String>) -> RecordRefusal {
    RecordRefusal::Malformed {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
