//! What an authority gives to the federation: a directory that can travel on a stick.
//!
//! ```text
//! request.json            who, its name, the keys of its role and their threshold
//! role.json               the signed delegated role
//! targets/<authority>/…   the files that the role names, by hash
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, to_hex};
use pli_protocol::limits;
use pli_protocol::trust::DisplayName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tough::schema::{Hashes, Signed, Target, Targets};

use super::error::WriteError;
use super::keys::RoleKeys;
use super::state::{json, read_json, write};
use crate::error::TrustError;
use crate::format::{NameEntry, TargetPath};

/// A hand-over, read and consistent; not yet checked against the federation.
#[derive(Clone, Debug)]
pub(crate) struct Handover {
    pub(crate) authority: AuthorityId,
    pub(crate) name: DisplayName,
    pub(crate) keys: RoleKeys,
    pub(crate) role: Signed<Targets>,
    /// Hashed path below `targets/` → bytes.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Request {
    version: u64,
    authority: String,
    name: NameEntry,
    keys: Vec<String>,
    threshold: usize,
}

impl Handover {
    pub(crate) fn write(&self, dir: &Path) -> Result<(), WriteError> {
        if dir.exists() {
            std::fs::remove_dir_all(dir).map_err(WriteError::file(dir))?;
        }
        let request = Request {
            version: 1,
            authority: self.authority.to_string(),
            name: NameEntry::from_name(&self.name),
            keys: self.keys.keys.iter().map(PublicKey::to_string).collect(),
            threshold: self.keys.threshold,
        };
        for (path, bytes) in &self.files {
            write(&dir.join("targets").join(path), bytes)?;
        }
        write(&dir.join("role.json"), &json(&self.role))?;
        write(&dir.join("request.json"), &json(&request))
    }

    pub(crate) fn read(dir: &Path) -> Result<Self, WriteError> {
        let path = dir.join("request.json");
        for missing in ["request.json", "role.json"] {
            if !dir.join(missing).exists() {
                let dir = dir.to_owned();
                return Err(WriteError::NoHandover { dir, missing });
            }
        }
        let wrong = |problem: String| WriteError::File {
            path: path.clone(),
            problem,
        };
        let request: Request = read_json(&path)?;
        if request.version != 1 {
            return Err(wrong(format!("version {}, expected 1", request.version)));
        }
        let authority =
            AuthorityId::new(&request.authority).map_err(|problem| wrong(problem.to_string()))?;
        let keys: Result<Vec<PublicKey>, _> = request.keys.iter().map(|key| key.parse()).collect();
        let keys = keys.map_err(|problem| wrong(problem.to_string()))?;
        let keys = RoleKeys::new(keys, request.threshold)?;
        let name = request.name.parse().map_err(wrong)?;
        let role: Signed<Targets> = read_json(&dir.join("role.json"))?;
        let mut files = BTreeMap::new();
        for (name, target) in &role.signed.targets {
            let target_path: TargetPath = name
                .raw()
                .parse()
                .map_err(|problem| TrustError::invalid(format!("role.json: {problem}")))?;
            let signed: &[u8] = &target.hashes.sha256;
            let hashed = target_path.hashed(&to_hex(signed));
            let file = dir.join("targets").join(&hashed);
            let length = std::fs::metadata(&file)
                .map_err(WriteError::file(&file))?
                .len();
            if length > limits::TRUST_FILE_MAX || length != target.length {
                return Err(WriteError::File {
                    path: file,
                    problem: format!("{length} bytes"),
                });
            }
            let bytes = std::fs::read(&file).map_err(WriteError::file(&file))?;
            if Sha256::digest(&bytes).as_slice() != signed {
                return Err(WriteError::File {
                    path: file,
                    problem: "not what was signed".into(),
                });
            }
            files.insert(hashed, bytes);
        }
        Ok(Self {
            authority,
            name,
            keys,
            role,
            files,
        })
    }
}

/// How a role lists a file.
pub(crate) fn target(bytes: &[u8]) -> Target {
    Target {
        length: bytes.len() as u64,
        hashes: Hashes {
            sha256: Sha256::digest(bytes).to_vec().into(),
            _extra: Default::default(),
        },
        custom: Default::default(),
        _extra: Default::default(),
    }
}

/// Where a file is kept by hash, below `targets/`.
pub(crate) fn hashed(path: &TargetPath, bytes: &[u8]) -> String {
    path.hashed(&to_hex(&Sha256::digest(bytes)))
}
