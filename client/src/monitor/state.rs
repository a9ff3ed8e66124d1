//! What was seen of each log, on disk: what it must be consistent with the next time, and what convicts it.
//!
//! ```text
//! <folder>/<authority>/<start>.json            the newest checkpoint that was right, and the tree's edge
//! <folder>/<authority>/<start>-<size>.fork     two checkpoints of one size (EVD-10.1)
//! <folder>/<authority>/<start>-<old>-<new>.fork   two of which the first does not lead to the second
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pli_protocol::evidence::{Noted, Origin, SplitView};
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::merkle::Hash;
use serde::{Deserialize, Serialize};

use super::frontier::Frontier;
use super::look::TILE;
use crate::folder::{self, FileError, Secrecy};

const STATE_MAX: u64 = 65_536;

/// Why what was seen is not known.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder itself.
    #[error("{path}: {error}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Never taken for "nothing was seen".
    #[error(
        "{0} is damaged; without it nobody can say whether the log is still the one that was seen"
    )]
    Damaged(PathBuf),
}

/// What was seen of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Kept {
    pub(super) noted: Noted,
    /// The tree up to the last full tile.
    pub(super) frontier: Frontier,
    pub(super) last_at: Option<Timestamp>,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    note: String,
    frontier: Vec<Hash>,
    last_at_ms: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    folder: PathBuf,
}

impl State {
    pub(super) fn new(folder: &Path) -> Result<Self, StateError> {
        folder::create_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn of(&self, authority: &AuthorityId) -> PathBuf {
        self.folder.join(authority.as_str())
    }

    /// The logs of an authority that were seen, by their start.
    pub(super) fn starts(&self, authority: &AuthorityId) -> Result<Vec<Timestamp>, StateError> {
        let folder = self.of(authority);
        let failed = |error| StateError::Folder {
            path: folder.clone(),
            error,
        };
        let mut starts = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(starts),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let start = name
                .to_str()
                .and_then(|name| name.strip_suffix(".json")?.parse().ok());
            starts.extend(start.map(Timestamp::from_ms));
        }
        starts.sort_unstable();
        Ok(starts)
    }

    fn path(&self, origin: &Origin) -> PathBuf {
        self.of(&origin.authority)
            .join(format!("{}.json", origin.start.as_ms()))
    }

    pub(super) fn read(&self, origin: &Origin) -> Result<Option<Kept>, StateError> {
        let path = self.path(origin);
        let bytes = match folder::read(&path, STATE_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let read = || {
            let stored: Stored = serde_json::from_slice(&bytes).ok()?;
            let noted = Noted::parse(&stored.note).ok()?;
            let checkpoint = noted.checkpoint();
            let whole = checkpoint.size - checkpoint.size % TILE;
            let frontier = Frontier::of(whole, stored.frontier)?;
            (checkpoint.origin == *origin).then_some(Kept {
                noted,
                frontier,
                last_at: stored.last_at_ms.map(Timestamp::from_ms),
            })
        };
        Ok(Some(read().ok_or(StateError::Damaged(path))?))
    }

    pub(super) fn write(&self, kept: &Kept) -> Result<(), StateError> {
        let origin = &kept.noted.checkpoint().origin;
        folder::create_folder(&self.of(&origin.authority))?;
        let stored = Stored {
            note: kept.noted.encode(),
            frontier: kept.frontier.roots().to_vec(),
            last_at_ms: kept.last_at.map(Timestamp::as_ms),
        };
        let bytes = serde_json::to_vec(&stored).expect("text, numbers and hashes");
        Ok(folder::write(&self.path(origin), &bytes, Secrecy::Public)?)
    }

    /// Keeps the two checkpoints that convict a log. Where.
    pub(super) fn convict(&self, before: &Noted, now: &Noted) -> Result<PathBuf, StateError> {
        let (old, new) = (before.checkpoint(), now.checkpoint());
        let start = new.origin.start.as_ms();
        let (name, text) = match SplitView::between(before.clone(), now.clone()) {
            Some(view) => (format!("{start}-{}.fork", new.size), view.encode()),
            None => {
                let name = format!("{start}-{}-{}.fork", old.size, new.size);
                (name, format!("{}\n{}", before.encode(), now.encode()))
            }
        };
        folder::create_folder(&self.of(&new.origin.authority))?;
        let path = self.of(&new.origin.authority).join(name);
        folder::write(&path, text.as_bytes(), Secrecy::Public)?;
        Ok(path)
    }
}
