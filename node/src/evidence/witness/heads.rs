//! The newest checkpoint of each log that this node cosigned, on disk before the cosignature leaves (EVD-7.3, R16).
//!
//! ```text
//! <folder>/<authority>/<start> = SHA-256 of the note, hexadecimal, LF, the note with the log's own signature
//! ```
//!
//! One request of an authority at a time: comparing with the newest and replacing it are one step.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use pli_protocol::evidence::submission::AddCheckpoint;
use pli_protocol::evidence::tree::{empty_root, is_consistent};
use pli_protocol::evidence::{Noted, Origin};
use pli_protocol::id::{AuthorityId, Timestamp, to_hex};
use pli_protocol::limits::{
    AUTHORITIES_MAX, CLOCK_SKEW_MAX_MS, NOTE_MAX, ORIGINS_PER_AUTHORITY_MAX,
};
use sha2::{Digest, Sha256};

use super::disk::{Disk, UNFINISHED, replace};

const HASH_DIGITS: usize = 64;

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// EVD-7.4: no log that this node witnesses.
    #[error("this log is not witnessed here")]
    UnknownOrigin,
    /// The request starts from another size than the newest that was cosigned.
    #[error("the newest checkpoint cosigned has {size} entries")]
    Conflict {
        /// Its entries.
        size: u64,
    },
    /// The log does not grow from what it was.
    #[error("the consistency proof does not verify")]
    Inconsistent,
    /// What is on disk cannot be read, so nothing can be compared with it.
    #[error("the record of this log is damaged: {0}")]
    Damaged(PathBuf),
    /// Nothing is cosigned that is not on disk.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
}

/// What is kept of the logs of one authority, by their start. Invariant: at most `ORIGINS_PER_AUTHORITY_MAX`, but for
/// the moment in which a new one is written.
type Logs = BTreeMap<Timestamp, Kept>;

#[derive(Debug)]
enum Kept {
    Head(Noted),
    /// Never taken for "nothing is known": that would let the log begin anew.
    Damaged(PathBuf),
}

/// The newest checkpoint of each log.
#[derive(Debug)]
pub struct Heads {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    authorities: Mutex<HashMap<AuthorityId, Arc<tokio::sync::Mutex<Logs>>>>,
}

impl Heads {
    /// Opens or makes the folder, and reads what is in it.
    pub fn open(folder: &Path, disk: Arc<dyn Disk>) -> io::Result<Self> {
        disk.make_folder(folder)?;
        let mut authorities = HashMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(authority) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let logs = read_logs(&authority, &entry.path())?;
            authorities.insert(authority, Arc::new(tokio::sync::Mutex::new(logs)));
        }
        Ok(Self {
            folder: folder.to_owned(),
            disk,
            authorities: Mutex::new(authorities),
        })
    }

    fn logs(&self, authority: &AuthorityId) -> Option<Arc<tokio::sync::Mutex<Logs>>> {
        let mut authorities = self.authorities.lock();
        if !authorities.contains_key(authority) && authorities.len() >= AUTHORITIES_MAX {
            return None;
        }
        Some(Arc::clone(
            authorities.entry(authority.clone()).or_default(),
        ))
    }

    /// The newest checkpoint cosigned of a log.
    pub async fn newest(&self, origin: &Origin) -> Option<Noted> {
        let logs = self.authorities.lock().get(&origin.authority).cloned()?;
        match logs.lock().await.get(&origin.start)? {
            Kept::Head(noted) => Some(noted.clone()),
            Kept::Damaged(_) => None,
        }
    }

    /// Takes a checkpoint whose signature was checked for the newest, durably. Only then may it be cosigned.
    pub async fn advance(
        &self,
        request: AddCheckpoint,
        now: Timestamp,
    ) -> Result<Noted, NotCosigned> {
        let authority = request.noted.checkpoint().origin.authority.clone();
        let logs = self.logs(&authority).ok_or(NotCosigned::UnknownOrigin)?;
        let mut logs = logs.lock_owned().await;
        let (disk, folder) = (Arc::clone(&self.disk), self.folder.join(authority.as_str()));
        // It goes on to its end also when whoever asked has gone: half of it must not be seen by the next.
        let advancing = tokio::task::spawn_blocking(move || {
            take(&mut logs, request, now, |start, noted| {
                disk.make_folder(&folder)?;
                replace(
                    disk.as_ref(),
                    &folder,
                    &start.as_ms().to_string(),
                    &encode(noted),
                )?;
                // The folder's own name.
                let above = folder.parent().expect("it is in the folder of all");
                disk.sync_folder(above)
            })
            .inspect(|_| forget_oldest(&mut logs, disk.as_ref(), &folder))
        });
        advancing
            .await
            .expect("replacing a file does not panic and is not cancelled")
    }
}

/// Compares with what is known, and writes it down.
fn take(
    logs: &mut Logs,
    request: AddCheckpoint,
    now: Timestamp,
    write: impl FnOnce(Timestamp, &Noted) -> io::Result<()>,
) -> Result<Noted, NotCosigned> {
    let AddCheckpoint { old, proof, noted } = request;
    let (start, size, root) = {
        let checkpoint = noted.checkpoint();
        (checkpoint.origin.start, checkpoint.size, checkpoint.root)
    };
    let known = match logs.get(&start) {
        Some(Kept::Head(noted)) => (noted.checkpoint().size, noted.checkpoint().root),
        Some(Kept::Damaged(path)) => return Err(NotCosigned::Damaged(path.clone())),
        None if may_begin(logs, start, now) => (0, empty_root()),
        None => return Err(NotCosigned::UnknownOrigin),
    };
    if old != known.0 || (size == known.0 && root != known.1) {
        return Err(NotCosigned::Conflict { size: known.0 });
    }
    if !is_consistent((old, &known.1), (size, &root), &proof) {
        return Err(NotCosigned::Inconsistent);
    }
    // The same head again was synced the first time.
    let same = matches!(logs.get(&start), Some(Kept::Head(_))) && size == known.0;
    if !same {
        write(start, &noted)?;
        logs.insert(start, Kept::Head(noted.clone()));
    }
    Ok(noted)
}

/// EVD-7.4: a log begins after all that are known of its authority, so that one that was forgotten stays closed; and
/// not in the future, so that a thief of the key cannot close the door behind a start far ahead.
fn may_begin(logs: &Logs, start: Timestamp, now: Timestamp) -> bool {
    let later = logs.last_key_value().is_none_or(|(last, _)| *last < start);
    later && start <= now.plus_ms(CLOCK_SKEW_MAX_MS)
}

fn forget_oldest(logs: &mut Logs, disk: &dyn Disk, folder: &Path) {
    while logs.len() > ORIGINS_PER_AUTHORITY_MAX {
        let (start, _) = logs.pop_first().expect("there are more than none");
        if let Err(error) = disk.remove(&folder.join(start.as_ms().to_string())) {
            tracing::warn!(%error, "the record of a log that ended long ago stays");
        }
    }
}

fn encode(noted: &Noted) -> Vec<u8> {
    let note = noted.encode();
    format!("{}\n{note}", to_hex(&Sha256::digest(&note))).into_bytes()
}

fn read_logs(authority: &AuthorityId, folder: &Path) -> io::Result<Logs> {
    let mut logs = Logs::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(UNFINISHED) {
            // What a crash left: nothing that it holds was cosigned.
            fs::remove_file(entry.path())?;
            continue;
        }
        let Ok(start) = name.parse().map(Timestamp::from_ms) else {
            continue;
        };
        let origin = Origin {
            authority: authority.clone(),
            start,
        };
        let kept = match decode(&fs::read(entry.path())?) {
            Some(noted) if noted.checkpoint().origin == origin => Kept::Head(noted),
            _ => {
                let path = entry.path();
                tracing::error!(%origin, ?path, "the record of what was cosigned is damaged: this log is refused");
                Kept::Damaged(path)
            }
        };
        logs.insert(start, kept);
    }
    Ok(logs)
}

fn decode(bytes: &[u8]) -> Option<Noted> {
    if bytes.len() > HASH_DIGITS + 1 + NOTE_MAX {
        return None;
    }
    let (hash, note) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let noted = Noted::parse(note).ok();
    noted.filter(|_| hash == to_hex(&Sha256::digest(note)))
}
