//! The index: what is where, in fjall. Derived from the log, so it is never fsynced for its own sake:
//! after a power loss it is a prefix of its own history (fjall's journal is checksummed, and synced before
//! a memtable is flushed), and the log is replayed from there.

mod ahead;
mod change;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, PartitioningPolicy};
use fjall::{
    AbstractTree, Database, Iter, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot,
};

pub(super) use self::ahead::Reading;
use self::ahead::{Ahead, Written};
pub(super) use self::change::Change;
use super::young::Young;

/// Bytes of blocks that stay in memory.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Table files held open.
const OPEN_FILES_MAX: usize = 256;
/// Journals on disk before memtables are forced out.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;
const BLOCK_BYTES: u32 = 4 * 1024;
/// Tables that wait to be merged together. Keys are random, so each merge rewrites nearly all of the next
/// level: few and large ones write least.
const L0_TABLES: u8 = 8;

/// The keyspaces of the index.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Space {
    /// Envelope id → `Known`.
    Ids,
    /// Account, sequence number → position, or an absent range that ends here.
    Items,
    /// Account → `Row`.
    Rows,
    /// Destination, lane, position → what waits.
    Queue,
    /// Destination, position → what was set aside.
    Aside,
    /// Settlement number → position.
    Settlements,
    /// Time bucket, stage, number → what is due then.
    Expiry,
    /// Accounts, devices, invitations, mailboxes, numberings.
    Registry,
    /// Destination, position → a report.
    Reports,
    /// Where the log has been applied up to; dead bytes per segment.
    Meta,
}

// The mark of every commit goes into each of them, so that a memtable fills even where little else is written:
// small ones keep what all of them take near what they hold.
const SPACES: [(Space, &str, u64); 10] = [
    (Space::Ids, "ids", 16 << 20),
    (Space::Items, "items", 8 << 20),
    (Space::Rows, "rows", 4 << 20),
    (Space::Queue, "queue", 4 << 20),
    (Space::Aside, "aside", 1 << 20),
    (Space::Settlements, "settlements", 1 << 20),
    (Space::Expiry, "expiry", 2 << 20),
    (Space::Registry, "registry", 2 << 20),
    (Space::Reports, "reports", 1 << 20),
    (Space::Meta, "meta", 1 << 20),
];

/// The last commit, in every keyspace; behind all other keys.
const MARK: [u8; 1] = [0xff];

pub(super) struct Index {
    database: Database,
    keyspaces: Vec<Keyspace>,
    memtable_bytes_max: u64,
    commits: AtomicU64,
    /// A row is either here or in fjall.
    young: Mutex<Young>,
    written: Mutex<Written>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Index")
    }
}

pub(super) type Result<T> = fjall::Result<T>;

impl Index {
    pub(super) fn open(directory: &Path, memtable_bytes_max: u64) -> Result<Self> {
        let database = Database::builder(directory)
            .cache_size(CACHE_BYTES)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .open()?;
        // A whole table's filter is hundreds of KiB: too much to read, and to check, for one row of a moment ago.
        // Those of the newest tables stay in memory.
        let in_parts = PartitioningPolicy::new([false, true]);
        let keyspaces = SPACES
            .iter()
            .enumerate()
            .map(|(at, (space, name, _))| {
                debug_assert_eq!(at, *space as usize);
                database.keyspace(name, || {
                    KeyspaceCreateOptions::default()
                        .manual_journal_persist(true)
                        // See `rotate`.
                        .max_memtable_size(u64::MAX)
                        .compaction_strategy(Arc::new(
                            Leveled::default().with_l0_threshold(L0_TABLES),
                        ))
                        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
                        .filter_block_partitioning_policy(in_parts.clone())
                        .index_block_partitioning_policy(in_parts.clone())
                        .expect_point_read_hits(matches!(space, Space::Rows | Space::Registry))
                })
            })
            .collect::<Result<_>>()?;
        let index = Self {
            database,
            keyspaces,
            memtable_bytes_max,
            commits: AtomicU64::new(0),
            young: Mutex::default(),
            written: Mutex::default(),
        };
        index.commits.store(index.last_commit()?, Ordering::Relaxed);
        Ok(index)
    }

    // A keyspace whose tables are newer than what the journal gave back to the others: part of the journal was
    // damaged and fjall left it out without a word (fjall #311).
    fn last_commit(&self) -> Result<u64> {
        let mut marks = self.keyspaces.iter().map(|keyspace| keyspace.get(MARK));
        let first = marks.next().expect("there are keyspaces")?;
        for mark in marks {
            if mark? != first {
                tracing::warn!("the index has lost a part of its journal");
                return Err(fjall::Error::Unrecoverable);
            }
        }
        Ok(first
            .and_then(|mark| mark[..].try_into().ok())
            .map_or(0, u64::from_le_bytes))
    }

    pub(super) fn keyspace(&self, space: Space) -> &Keyspace {
        &self.keyspaces[space as usize]
    }

    pub(super) fn get(&self, space: Space, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        if matches!(space, Space::Ids | Space::Queue)
            && let Some(row) = self.young().get(space, key.as_ref())
        {
            return Ok(Some(row));
        }
        Ok(self.keyspace(space).get(key)?.map(Bytes::from))
    }

    /// What waits in [`Space::Queue`] or [`Space::Aside`] between two keys, both inclusive: the first so many.
    ///
    /// A letter that leaves [`Young`] for fjall meanwhile is seen in both and given once. One that comes
    /// meanwhile has a higher key than all others, or goes unseen.
    pub(super) fn waiting(
        &self,
        space: Space,
        (start, end): (Vec<u8>, Vec<u8>),
        limit: usize,
    ) -> Result<Vec<WaitingRow>> {
        let mut rows = Vec::new();
        if space == Space::Queue {
            let young = self.young();
            let letters = young.range(start.clone()..=end.clone()).take(limit);
            rows.extend(letters.map(|letter| WaitingRow {
                key: letter.key.clone(),
                value: letter.waiting.clone(),
                bytes: letter.bytes.clone(),
            }));
        }
        for row in self.view().range(space, start, end).take(limit) {
            let (key, value) = row.into_inner()?;
            rows.push(WaitingRow {
                key: key.to_vec(),
                value: value.into(),
                bytes: None,
            });
        }
        // Stable: of a letter in both, the one with its bytes stays.
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows.dedup_by(|later, earlier| later.key == earlier.key);
        rows.truncate(limit);
        Ok(rows)
    }

    fn young(&self) -> MutexGuard<'_, Young> {
        self.young.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn prefix(&self, space: Space, prefix: impl AsRef<[u8]>) -> Iter {
        self.keyspace(space).prefix(prefix)
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            index: self,
            snapshot: self.database.snapshot(),
        }
    }

    pub(super) fn change(&self, capacity: usize) -> Change<'_> {
        Change::of(self, capacity)
    }

    // Full memtables go to disk. fjall left to itself asks its worker with every commit until it has come to that,
    // through a queue of 1,000 that only the worker empties: one that is busy for long enough comes back to a full
    // queue, waits for room in it itself, and nothing reaches a table ever again (fjall #323, open with 3.1.13).
    // Asked once for each memtable, the queue stays short. There is one writer, so none is rotated twice.
    fn rotate(&self) -> Result<()> {
        for (keyspace, (.., memtable_bytes)) in self.keyspaces.iter().zip(SPACES) {
            let memtable_bytes = memtable_bytes.min(self.memtable_bytes_max);
            if keyspace.tree.active_memtable().size() > memtable_bytes {
                keyspace.rotate_memtable()?;
            }
        }
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll)
    }

    /// Bytes of tables and journals.
    pub(super) fn disk_bytes(&self) -> Result<u64> {
        self.database.disk_space()
    }
}

/// A row of a queue, with the letter itself if it is young.
#[derive(Debug)]
pub(super) struct WaitingRow {
    pub(super) key: Vec<u8>,
    pub(super) value: Bytes,
    pub(super) bytes: Option<Bytes>,
}

/// One consistent moment of what is in fjall.
pub(super) struct View<'a> {
    index: &'a Index,
    snapshot: Snapshot,
}

impl View<'_> {
    pub(super) fn get(&self, space: Space, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        Ok(self
            .snapshot
            .get(self.index.keyspace(space), key)?
            .map(Bytes::from))
    }

    /// Keys from `start` to the end of `prefix`, both inclusive, ascending.
    pub(super) fn range(&self, space: Space, start: Vec<u8>, end: Vec<u8>) -> Iter {
        self.snapshot.range(self.index.keyspace(space), start..=end)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Index, SPACES};

    #[test]
    fn memtables_reach_tables_however_fast_commits_come() {
        let directory = tempfile::tempdir().unwrap();
        let index = Index::open(directory.path(), 64 * 1_024).unwrap();
        for number in 0..20_000_u32 {
            let mut change = index.change(SPACES.len());
            for (space, ..) in SPACES {
                change.put_once(space, number.to_be_bytes(), vec![7; 64]);
            }
            change.commit(None).unwrap();
        }
        let patience = Instant::now() + Duration::from_secs(60);
        while index.database.outstanding_flushes() > 0 {
            assert!(Instant::now() < patience, "fjall's worker is stuck");
            std::thread::sleep(Duration::from_millis(10));
        }
        for (space, name, _) in SPACES {
            assert!(index.keyspace(space).table_count() > 0, "{name}");
        }
    }
}
