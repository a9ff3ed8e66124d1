//! The default engine: an own segmented log, and an index in fjall that is derived from it.
//!
//! ```text
//! append(group) ── write + one fsync ──▶ log/0000000001.log …     the truth: envelopes, settlements, accounts
//!                        │ then
//!                        └── apply ────▶ index/ (fjall)           where everything is; never fsynced
//! ```
//!
//! One writer at a time; readers never wait for it. Between the fsync and the acknowledgement only the
//! index is written, to the operating system's memory; a power loss makes `recover` replay the log's end.

mod append;
mod apply;
mod compact;
mod confirmed;
mod cursor;
mod custody;
mod dead;
pub mod disk;
mod expire;
mod follow;
mod format;
mod identity;
mod index;
mod journal;
mod keys;
mod known;
mod log;
mod log_tail;
mod operations;
mod quarantine;
mod queues;
mod read;
mod records;
mod recover;
mod registry;
mod replay;
mod rows;
mod scan;
mod settle;
mod settlements;
mod together;
mod transitions;
mod values;
mod waiting;
mod writer;
mod young;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use self::apply::{Applier, Memory};
use self::confirmed::Confirmed;
use self::disk::{Disk, RealDisk};
use self::format::Group;
pub(crate) use self::identity::birth;
use self::identity::{Identity, identify, lock};
use self::index::{Index, Space};
use self::log::{Log, SEGMENT_BYTES};
use self::log_tail::{AppendError, Tail};
use self::quarantine::Quarantine;
use self::writer::Writer;
use super::{Epoch, Look, OpenOptions, Store, StoreError};

/// How far every account's numbering moves on in a new epoch: more than one account gets between two backups.
pub const EPOCH_LEAP: u64 = 65_536;

const LOG_DIRECTORY: &str = "log";
const QUARANTINE_DIRECTORY: &str = "quarantine";

/// The open store.
#[derive(Debug)]
pub struct Engine {
    directory: PathBuf,
    options: OpenOptions,
    epoch: Epoch,
    log: Log,
    index: Index,
    quarantine: Quarantine,
    writer: Mutex<Writer>,
    requests: together::Requests,
    /// Set by the first fatal error: nothing is answered any more (case 39).
    failed: AtomicBool,
    read_only: AtomicBool,
    queued_bytes: AtomicU64,
    confirmed: Confirmed,
    /// What the last groups did, for whoever follows.
    latest: Mutex<follow::Latest>,
    /// Where whoever follows stands; [`follow::NOBODY`] if nobody does.
    held_from: AtomicU64,
    /// It began with this opening.
    new_epoch: bool,
    /// Held for as long as the store is open (case 42).
    _lock: File,
}

/// Opens the store in a directory.
pub fn open(directory: &Path, options: &OpenOptions) -> Result<Arc<dyn Store>, StoreError> {
    let failed = |source| open_error(directory, source);
    let disk = RealDisk::new(&directory.join(LOG_DIRECTORY)).map_err(failed)?;
    Ok(Arc::new(Engine::open(
        directory,
        options,
        Arc::new(disk),
        Tuning::default(),
    )?))
}

/// The log says who writes to which mailbox. An operator may have let a group in; nobody else.
fn keep_private(directory: &Path) -> io::Result<()> {
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o007 != 0 {
        fs::set_permissions(directory, fs::Permissions::from_mode(mode & !0o007))?;
    }
    Ok(())
}

/// Whose store is in a directory, without changing anything.
pub(super) fn look(directory: &Path, options: &OpenOptions) -> Result<Option<Look>, StoreError> {
    let Some(identity) = Identity::load(directory)? else {
        // Without the file nothing says whose envelopes these are.
        let log = fs::read_dir(directory.join(LOG_DIRECTORY));
        let is_empty = log.map_or(true, |mut names| names.next().is_none());
        return if is_empty {
            Ok(None)
        } else {
            Err(identity::no_identity(directory))
        };
    };
    identity.check_owner(options)?;
    let _lock = lock(directory)?;
    let former_key = (identity.node_key != options.node_key).then_some(identity.node_key);
    Ok(Some(Look {
        epoch: identity.epoch,
        is_copy: !identity.original,
        former_key,
        confirmed: confirmed::load(directory).map_err(|source| open_error(directory, source))?,
    }))
}

/// Sizes that tests make small, so that everything happens often.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// About how long a segment of the log gets.
    pub segment_bytes: u64,
    /// At most so much of each keyspace waits in memory to be written as a table.
    pub memtable_bytes_max: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            memtable_bytes_max: u64::MAX,
        }
    }
}

fn open_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Open {
        path: path.into(),
        source,
    }
}

impl Engine {
    /// Opens with the log's files on any [`Disk`].
    pub fn open(
        directory: &Path,
        options: &OpenOptions,
        disk: Arc<dyn Disk>,
        tuning: Tuning,
    ) -> Result<Self, StoreError> {
        let failed = |source| open_error(directory, source);
        fs::create_dir_all(directory).map_err(failed)?;
        keep_private(directory).map_err(failed)?;
        let lock = lock(directory)?;
        let (identity, leap) = identify(directory, options, &*disk)?;
        let confirmed = Confirmed::open(directory).map_err(failed)?;
        let log = Log::open(disk, tuning.segment_bytes, identity.seed).map_err(failed)?;
        let quarantine = Quarantine::open(&directory.join(QUARANTINE_DIRECTORY)).map_err(failed)?;
        let mut memory = Memory {
            expired_upto: identity.expired_upto,
            retention_ms: options.custody_retention_ms,
            ..Memory::default()
        };
        let recovered = recover::recover(directory, tuning, &log, &quarantine, &mut memory);
        let recovered = recovered.map_err(|error| failed(error.into()))?;
        let tail = log.tail(recovered.next_group).map_err(failed)?;
        let queued_bytes = AtomicU64::new(memory.queues.bytes);
        let mut engine = Self {
            directory: directory.into(),
            options: options.clone(),
            epoch: identity.epoch,
            log,
            index: recovered.index,
            quarantine,
            writer: Mutex::new(Writer {
                tail,
                memory,
                identity,
            }),
            requests: together::Requests::default(),
            failed: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            queued_bytes,
            confirmed,
            latest: Mutex::default(),
            held_from: AtomicU64::new(follow::NOBODY),
            new_epoch: false,
            _lock: lock,
        };
        engine.mark_applied()?;
        if leap || recovered.numbers_are_lost {
            engine.start_epoch()?;
        }
        Ok(engine)
    }

    // An index without these rows counts as unfinished.
    fn mark_applied(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let applied = writer.tail.applied();
        let mut applier = Applier::new(self.index.change(1), &mut writer.memory, 0);
        let change = &mut applier.change;
        change.put_once(Space::Meta, keys::LAYOUT, keys::LAYOUT_OF_NOW);
        self.indexed(applier.finish(Some(applied)))
    }

    // Case 43. The numberings move first: a crash in between repeats the leap, which does no harm.
    fn start_epoch(&mut self) -> Result<(), StoreError> {
        let failed = |source| open_error(&self.directory, source);
        let numberings = self.indexed(recover::numberings(&self.index))?;
        tracing::warn!(accounts = numberings.len(), "{}", super::COPIED);
        let mut writer = self.writer();
        for some in numberings.chunks(records::NUMBERINGS_PER_GROUP) {
            self.move_numberings_on(&mut writer, some)?;
        }
        let identity = writer.identity.next_epoch().map_err(failed)?;
        identity.save(&self.directory).map_err(failed)?;
        let epoch = identity.epoch;
        writer.identity = identity;
        drop(writer);
        self.epoch = epoch;
        self.new_epoch = true;
        Ok(())
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            let source = io::Error::other("an earlier operation failed");
            return Err(StoreError::Fatal {
                doing: "anything",
                source,
            });
        }
        Ok(())
    }

    fn fatal(&self, doing: &'static str, source: io::Error) -> StoreError {
        self.failed.store(true, Ordering::Release);
        tracing::error!(doing, error = %source, "the store has failed; the node must end");
        StoreError::Fatal { doing, source }
    }

    /// The result of an index operation. Damage there is mended at the next start, from the log.
    fn indexed<T>(&self, result: index::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| {
            if !matches!(error, fjall::Error::Io(_) | fjall::Error::Poisoned)
                && let Err(error) = recover::mark_for_rebuild(&self.directory)
            {
                tracing::error!(%error, "cannot ask for a rebuild of the index");
            }
            self.fatal("using the index", io::Error::other(error))
        })
    }

    /// Case 40: refuses before the disk is full. `share` of the reserve may be used: what frees space may go further.
    fn check_space(&self, bytes: usize, share: ReserveShare) -> Result<(), StoreError> {
        let reserve = match share {
            ReserveShare::None => self.options.limits.disk_free,
            ReserveShare::Half => self.options.limits.disk_free / 2,
        };
        let needed = reserve + bytes as u64;
        let free = self
            .log
            .free_bytes()
            .map_err(|source| self.fatal("asking for free space", source))?;
        let short = free < needed;
        if self.read_only.swap(short, Ordering::Relaxed) != short {
            tracing::warn!(
                free,
                needed,
                read_only = short,
                "the store changed between read-only and writable"
            );
        }
        if short {
            Err(StoreError::ReadOnly { free, needed })
        } else {
            Ok(())
        }
    }

    /// Writes a group to the log, durably.
    fn write(
        &self,
        tail: &mut Tail,
        group: &Group,
        share: ReserveShare,
    ) -> Result<(u32, u32), StoreError> {
        self.check_space(group.total_bytes(), share)?;
        self.log.append(tail, group).map_err(|error| match error {
            AppendError::NoSpace => {
                self.read_only.store(true, Ordering::Relaxed);
                StoreError::ReadOnly {
                    free: 0,
                    needed: group.total_bytes() as u64,
                }
            }
            AppendError::Fatal { doing, source } => self.fatal(doing, source),
        })
    }
}

/// How much of the disk's reserve an operation may use.
#[derive(Clone, Copy, Debug)]
enum ReserveShare {
    /// New envelopes and accounts.
    None,
    /// What leads to less being kept: settlements, expiry, compaction.
    Half,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A clean end needs no replay; without it nothing is lost either.
        if !self.failed.load(Ordering::Acquire)
            && let Err(error) = self.index.sync()
        {
            tracing::warn!(%error, "the index was not synced at the end");
        }
    }
}
