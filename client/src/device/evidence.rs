//! Evidence: the directory of the days on which letters came, so that a letter can still be checked
//! when its sender has long left the directory (TRU-4.6).
//!
//! ```text
//! evidence/files/<sha256>   every file once, whatever day it is of
//! evidence/<root>-<timestamp>-<snapshot>-<targets>.json   name → sha256, of one day
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pli_protocol::id::{Timestamp, from_hex, to_hex};
use pli_protocol::limits;
use pli_protocol::trust::{Directory, Versions};
use sha2::{Digest, Sha256};

use crate::directory::{self, DirectoryError, DirectoryPlace, OpenDirectory};
use crate::folder::{self, FileError, Secrecy};

/// The largest file of the directory.
const FILE_MAX: u64 = limits::TRUST_TARGETS_MAX;
const MANIFEST_MAX: u64 = 64 * 1024 * 1024;

/// Why a day's directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The files.
    #[error(transparent)]
    File(#[from] FileError),
    /// The list of a day.
    #[error("{}: {problem}", .path.display())]
    Damaged { path: PathBuf, problem: String },
    /// The directory made of them.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Keeps the verified copy at `copy` as the evidence of `versions`, if it is not kept yet.
pub fn keep(evidence: &Path, copy: &Path, versions: Versions) -> Result<(), EvidenceError> {
    let manifest = manifest_path(evidence, versions);
    if manifest.exists() {
        return Ok(());
    }
    let files = evidence.join("files");
    folder::create_folder(&files)?;
    let mut listed = BTreeMap::new();
    for (name, path) in directory::files(copy)? {
        let bytes = folder::read(&path, FILE_MAX)?;
        let hash = to_hex(&Sha256::digest(&bytes));
        let kept = files.join(&hash);
        if !kept.exists() {
            folder::write(&kept, &bytes, Secrecy::Owner)?;
        }
        listed.insert(name, hash);
    }
    let json = serde_json::to_vec(&listed).expect("strings are JSON");
    Ok(folder::write(&manifest, &json, Secrecy::Owner)?)
}

/// The directory of a day, verified again from the trusted root. Its expiries have passed, which it
/// says itself; they do not matter for what was signed then.
pub async fn open(
    evidence: &Path,
    place: &DirectoryPlace,
    versions: Versions,
    now: Timestamp,
) -> Result<Arc<Directory>, EvidenceError> {
    let path = manifest_path(evidence, versions);
    let damaged = |problem: String| EvidenceError::Damaged {
        path: path.clone(),
        problem,
    };
    let listed: BTreeMap<String, String> =
        serde_json::from_slice(&folder::read(&path, MANIFEST_MAX)?)
            .map_err(|error| damaged(error.to_string()))?;
    let scratch = tempfile::tempdir().map_err(FileError::at(std::env::temp_dir()))?;
    let mirror = scratch.path().join("mirror");
    for (name, hash) in listed {
        // The list is this device's own file, but a name must not lead out of the scratch folder.
        let parts = || name.split('/');
        if parts().any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(damaged(format!("the name {name:?}")));
        }
        if from_hex::<{ limits::HASH_LEN }>(&hash).is_err() {
            return Err(damaged(format!("the hash of {name:?}")));
        }
        let bytes = folder::read(&evidence.join("files").join(&hash), FILE_MAX)?;
        let to = mirror.join(&name);
        fs::create_dir_all(to.parent().expect("in a folder")).map_err(FileError::at(&to))?;
        fs::write(&to, bytes).map_err(FileError::at(&to))?;
    }
    let place = DirectoryPlace {
        root: place.root.clone(),
        sources: Vec::new(),
        copy: scratch.path().to_owned(),
        environment: place.environment,
    };
    Ok(OpenDirectory::open(&place, now).await?.current())
}

fn manifest_path(evidence: &Path, versions: Versions) -> PathBuf {
    let Versions {
        root,
        timestamp,
        snapshot,
        targets,
    } = versions;
    evidence.join(format!("{root}-{timestamp}-{snapshot}-{targets}.json"))
}
