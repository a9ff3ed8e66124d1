//! Opening: whose store, which epoch, what a crash left.
//!
//! 1. The index is opened. If it does not open, is not whole or knows more than the log, it is thrown
//!    away and built again from the log.
//! 2. The log's end is replayed from where the index stands. A torn last group was never acknowledged: it is cut.
//! 3. A new epoch moves every account's numbering on, so that no number is given twice (case 43).
//!
//! A crash in any of these steps leaves a store that does them again (case 38).

use std::fs;
use std::io;
use std::path::Path;

use pli_protocol::id::AccountId;

use super::Tuning;
use super::apply::{Applied, Memory};
use super::index::{Index, Space};
use super::journal;
use super::keys;
use super::log::Log;
use super::quarantine::Quarantine;
use super::replay::Replay;

const INDEX_DIRECTORY: &str = "index";
/// Its presence says: the index is damaged, build it again.
const REBUILD_MARKER: &str = "REBUILD";

/// Why recovery stopped.
#[derive(Debug)]
pub(super) enum RecoveryError {
    Io(io::Error),
    Index(fjall::Error),
}

impl From<io::Error> for RecoveryError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<fjall::Error> for RecoveryError {
    fn from(error: fjall::Error) -> Self {
        Self::Index(error)
    }
}

impl From<RecoveryError> for io::Error {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Io(error) | RecoveryError::Index(fjall::Error::Io(error)) => error,
            RecoveryError::Index(error) => Self::other(error),
        }
    }
}

/// What recovery found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) next_group: u64,
    /// Sequence numbers may have been given out that neither index nor log know any more: the log ends
    /// before the index does, or the index was built again from a log with damage in it.
    pub(super) numbers_are_lost: bool,
}

/// Asks for a rebuild at the next start.
pub(super) fn mark_for_rebuild(directory: &Path) -> io::Result<()> {
    fs::File::create(directory.join(REBUILD_MARKER))?.sync_all()?;
    fs::File::open(directory)?.sync_all()
}

/// Brings index and log together.
pub(super) fn recover(
    directory: &Path,
    tuning: Tuning,
    log: &Log,
    quarantine: &Quarantine,
    memory: &mut Memory,
) -> Result<Recovered, RecoveryError> {
    let path = directory.join(INDEX_DIRECTORY);
    let marker = directory.join(REBUILD_MARKER);
    if marker.exists() {
        tracing::warn!("the index was found damaged: building it again from the log");
        remove_directory(&path)?;
        fs::remove_file(&marker)?;
    }
    let opened = if path.exists() {
        usable(&path, tuning, log)
    } else {
        Ok(None)
    };
    let log_is_short = matches!(opened, Err(Unusable::LogIsShort));
    match opened {
        Ok(Some((index, start))) => {
            match Replay::new(log, quarantine, &index, memory).tail(start) {
                Ok(next_group) => {
                    return Ok(Recovered {
                        index,
                        next_group,
                        numbers_are_lost: false,
                    });
                }
                Err(RecoveryError::Index(error)) if !matches!(error, fjall::Error::Io(_)) => {
                    tracing::warn!(%error, "the index is damaged: building it again from the log");
                    memory.forget_index();
                }
                Err(error) => return Err(error),
            }
        }
        Err(Unusable::Damaged(error)) => {
            tracing::warn!(%error, "the index does not open: building it again from the log");
        }
        Ok(None) | Err(Unusable::LogIsShort) => {}
    }
    remove_directory(&path)?;
    let index = Index::open(&path, tuning.memtable_bytes_max)?;
    let (next_group, damaged) = Replay::new(log, quarantine, &index, memory).rebuild()?;
    Ok(Recovered {
        index,
        next_group,
        numbers_are_lost: log_is_short || damaged,
    })
}

enum Unusable {
    Damaged(fjall::Error),
    LogIsShort,
}

// An index that has not been built to its end has no `applied` row.
fn usable(path: &Path, tuning: Tuning, log: &Log) -> Result<Option<(Index, Applied)>, Unusable> {
    let in_order = journal::is_in_order(path).map_err(|error| Unusable::Damaged(error.into()))?;
    if !in_order {
        return Err(Unusable::Damaged(fjall::Error::Unrecoverable));
    }
    // fjall 3.1 asserts that some fields of its journal are what it wrote: damage there panics.
    let opened = std::panic::catch_unwind(|| Index::open(path, tuning.memtable_bytes_max));
    let index = opened
        .unwrap_or(Err(fjall::Error::Unrecoverable))
        .map_err(Unusable::Damaged)?;
    let value = index
        .get(Space::Meta, keys::APPLIED)
        .map_err(Unusable::Damaged)?;
    let Some(applied) = value.as_deref().and_then(Applied::decode) else {
        return Ok(None);
    };
    let layout = index
        .get(Space::Meta, keys::LAYOUT)
        .map_err(Unusable::Damaged)?;
    if layout.as_deref() != Some(keys::LAYOUT_OF_NOW) {
        tracing::info!("the index is of another layout: building it again from the log");
        return Ok(None);
    }
    let segments = log.segments();
    let end = segments.last().copied().unwrap_or_default();
    if end < (applied.segment, applied.offset) {
        return Err(Unusable::LogIsShort);
    }
    // Its segment was compacted away: this is an index from before that.
    let stands = segments
        .iter()
        .any(|&(number, _)| number == applied.segment);
    Ok(stands.then_some((index, applied)))
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Every account that has a numbering, with its last number.
pub(super) fn numberings(index: &Index) -> fjall::Result<Vec<(AccountId, u64)>> {
    let mut all = Vec::new();
    for row in index.prefix(Space::Rows, []) {
        let (key, value) = row.into_inner()?;
        let row = super::values::Row::decode(&value);
        if let (Ok(account), Some(row)) = (AccountId::from_slice(&key), row)
            && row.last_seq > 0
        {
            all.push((account, row.last_seq));
        }
    }
    Ok(all)
}
