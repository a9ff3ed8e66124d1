//! The folder of a node's logs: one for each start, of which the newest goes on (EVD-3.4).
//!
//! ```text
//! evidence/LOCK
//! evidence/1790000000000/IDENTITY      whose, of which epoch of the store, written where and when
//! evidence/1790000000000/{batches,leaves,level-*,published}
//! ```
//!
//! Case 43: a log that is not the one that this node wrote last must not go on, or it could sign two heads of one size.
//! A copied folder is recognised by its identity file, a restored store by its epoch; then a new log begins.

mod look;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::evidence::{Event, Origin};
use pli_protocol::id::{AuthorityId, Timestamp, to_hex};
use pli_protocol::trust::Directory;

use super::log::{EventLog, Found};
use crate::store::Epoch;
use crate::store::engine::birth;

pub use look::{Look, look};

const IDENTITY: &str = "IDENTITY";
const TITLE: &str = "pli-evidence";
const LOCK: &str = "LOCK";
/// A process that was killed lets go of its lock soon.
const LOCK_TRIES: u32 = 6;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Logs that are kept open; a node that began more has them on disk.
const STARTS_MAX: usize = 64;

/// Why a first log is told of.
pub const NO_LOG: &str = "the store was used before and there is no log beside it; unless none was kept until now, it is lost";

/// EVD-3.1: for the operator, where the directory does not list the key of this node's log now.
pub fn not_listed(
    directory: &Directory,
    authority: &AuthorityId,
    key: &PublicKey,
    now: Timestamp,
) -> Option<String> {
    let listed = directory.log_keys(authority, now).contains(key);
    (!listed).then(|| {
        format!(
            "the directory does not list {key} as a key of this node's log, so nobody believes its evidence; its \
             authority runs: pli authority set-node --log-key {key}, then pli authority publish"
        )
    })
}

/// Why the logs do not open.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Case 42
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Case 74
    #[error("{} holds the logs of {found}, and this is the node of {expected}", path.display())]
    WrongAuthority {
        /// The folder.
        path: PathBuf,
        /// Whose logs they are.
        found: String,
        /// Whose node this is.
        expected: AuthorityId,
    },
    /// The disk.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The logs of this node, of which the newest grows.
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    authority: AuthorityId,
    key: SigningKey,
    epoch: Epoch,
    /// Ascending by start; never empty.
    logs: RwLock<Vec<Arc<EventLog>>>,
    anew: Option<String>,
    /// There was none before.
    first: bool,
    _lock: File,
}

impl Keeper {
    /// Opens the logs in a folder, or makes the first. Takes the folder for this process alone.
    pub fn open(
        folder: &Path,
        authority: &AuthorityId,
        key: SigningKey,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Self, KeeperError> {
        let disk = |source| KeeperError::Disk {
            path: folder.to_owned(),
            source,
        };
        private_folder(folder).map_err(disk)?;
        let lock = lock(folder)?;
        let mut starts = starts(folder).map_err(disk)?;
        starts.drain(..starts.len().saturating_sub(STARTS_MAX));
        let mut logs = Vec::new();
        let mut anew = None;
        for start in &starts {
            let path = folder.join(start.as_ms().to_string());
            let identity = Identity::read(&path).map_err(disk)?;
            identity.check(&path, authority)?;
            anew = identity.why_not(epoch);
            logs.push(Arc::new(
                open_log(folder, authority, *start, &key).map_err(disk)?,
            ));
        }
        let keeper = Self {
            folder: folder.to_owned(),
            authority: authority.clone(),
            key,
            epoch,
            logs: RwLock::new(logs),
            anew,
            first: starts.is_empty(),
            _lock: lock,
        };
        if keeper.first || keeper.anew.is_some() {
            keeper.begin(now).map_err(disk)?;
        }
        Ok(keeper)
    }

    /// The same beside a store that was used before: if this log is the first, one that was here is lost.
    #[must_use]
    pub fn beside_a_used_store(mut self) -> Self {
        if self.first {
            self.anew = Some(NO_LOG.to_owned());
        }
        self
    }

    /// Where the logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What signs them.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Why a new log was begun with this opening, if one was and it is not the first.
    pub fn begun_anew(&self) -> Option<&str> {
        self.anew.as_deref()
    }

    /// Begins a new log, which goes on from now on. EVD-3.4.
    pub fn begin(&self, now: Timestamp) -> io::Result<()> {
        let mut logs = self.logs.write();
        let last = logs.last().map(|log| log.origin().start);
        let start = last.map_or(now, |last| last.plus_ms(1).max(now));
        let path = self.folder.join(start.as_ms().to_string());
        private_folder(&path)?;
        Identity::write(&path, &self.authority, self.epoch)?;
        File::open(&self.folder)?.sync_all()?;
        let log = open_log(&self.folder, &self.authority, start, &self.key)?;
        if logs.len() == STARTS_MAX {
            logs.remove(0);
        }
        logs.push(Arc::new(log));
        Ok(())
    }

    /// The log that grows.
    pub fn log(&self) -> Arc<EventLog> {
        let logs = self.logs.read();
        Arc::clone(logs.last().expect("a keeper has a log from its opening on"))
    }

    /// The log of a start.
    pub fn log_of(&self, start: Timestamp) -> Option<Arc<EventLog>> {
        let logs = self.logs.read();
        logs.iter().find(|log| log.origin().start == start).cloned()
    }

    /// All logs, the newest last.
    pub fn logs(&self) -> Vec<Arc<EventLog>> {
        self.logs.read().clone()
    }

    /// Where an event of this node is, in whichever log.
    pub fn find(&self, event: &Event) -> io::Result<Found> {
        let mut pending = Found::Nothing;
        for log in self.logs().iter().rev() {
            match log.prove(event)? {
                Found::Nothing => {}
                Found::Pending => pending = Found::Pending,
                proof @ Found::Proof(..) => return Ok(proof),
            }
        }
        Ok(pending)
    }
}

fn open_log(
    folder: &Path,
    authority: &AuthorityId,
    start: Timestamp,
    key: &SigningKey,
) -> io::Result<EventLog> {
    let origin = Origin {
        authority: authority.clone(),
        start,
    };
    EventLog::open(&folder.join(start.as_ms().to_string()), origin, key.clone())
}

fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn lock(folder: &Path) -> Result<File, KeeperError> {
    let disk = |source| KeeperError::Disk {
        path: folder.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true);
    let file = options.open(folder.join(LOCK)).map_err(disk)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(disk(source)),
        }
    }
    Err(KeeperError::InUse(folder.to_owned()))
}

/// The starts of the logs in a folder, ascending. One whose making a crash interrupted has no identity and no events.
fn starts(folder: &Path) -> io::Result<Vec<Timestamp>> {
    let mut starts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let start = name.to_str().and_then(|name| name.parse().ok());
        if let Some(start) = start.filter(|_| entry.path().join(IDENTITY).exists()) {
            starts.push(Timestamp::from_ms(start));
        }
    }
    starts.sort_unstable();
    Ok(starts)
}

/// What a log's identity file says.
struct Identity {
    authority: String,
    epoch: String,
    /// The file is where and when it was written.
    original: bool,
}

impl Identity {
    fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path.join(IDENTITY))?;
        let text = io::read_to_string(io::Read::take(&file, 4_096))?;
        let mut fields = [const { String::new() }; 3];
        let mut lines = text.lines();
        let titled = lines.next() == Some(TITLE);
        for (line, name) in lines.zip(["authority ", "store ", "born "]).take(3) {
            if let (Some(value), Some(place)) = (
                line.strip_prefix(name),
                fields.iter_mut().find(|f| f.is_empty()),
            ) {
                *place = value.to_owned();
            }
        }
        let [authority, epoch, born] = fields;
        if !titled || born.is_empty() {
            let what = format!(
                "the identity file of the log in {} is damaged",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let original = born == birth(&file)?;
        Ok(Self {
            authority,
            epoch,
            original,
        })
    }

    fn write(path: &Path, authority: &AuthorityId, epoch: Epoch) -> io::Result<()> {
        let place = path.join(IDENTITY);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&place)?;
        let (store, born) = (to_hex(&epoch.id), birth(&file)?);
        write!(
            file,
            "{TITLE}\nauthority {authority}\nstore {store}\nborn {born}\n"
        )?;
        file.sync_all()?;
        File::open(path)?.sync_all()
    }

    /// Case 74
    fn check(&self, path: &Path, authority: &AuthorityId) -> Result<(), KeeperError> {
        match self.authority == authority.as_str() {
            true => Ok(()),
            false => Err(KeeperError::WrongAuthority {
                path: path.to_owned(),
                found: self.authority.clone(),
                expected: authority.clone(),
            }),
        }
    }

    /// Why this log must not go on.
    fn why_not(&self, epoch: Epoch) -> Option<String> {
        if !self.original {
            return Some(
                "the folder of the log was copied, moved or restored from a backup".to_owned(),
            );
        }
        (self.epoch != to_hex(&epoch.id))
            .then(|| "the store was copied, moved or restored from a backup".to_owned())
    }
}
