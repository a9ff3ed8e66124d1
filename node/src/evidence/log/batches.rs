//! The batches of a log on disk: a leaf of 32 bytes for each event, and a record for each batch.
//!
//! ```text
//! leaves  = leaf 32 *                                              in order, one batch after the other
//! batches = ( at u64 | size u64 | root 32 | first u64 | earliest u64 | latest u64 | cursor u64 | skip u64 | xxh3 u64 ) *
//! ```
//!
//! All integers are little-endian, times are Unix ms. Both files only grow. A batch is there when its record is: its
//! leaves are synced first. What a crash left of another is cut off at the next opening.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use pli_protocol::evidence::Entry;
use pli_protocol::id::Timestamp;
use pli_protocol::merkle::Hash;
use xxhash_rust::xxh3::xxh3_64;

use crate::store::Cursor;

const RECORD: usize = 8 * 8 + 32 + 8;
const LEAF: usize = 32;

/// A batch of events, as the log keeps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Batch {
    /// What the log's tree has of it.
    pub entry: Entry,
    /// Leaves before its own.
    pub first: u64,
    /// The time of its earliest event.
    pub earliest: Timestamp,
    /// The time of its latest event.
    pub latest: Timestamp,
    /// Where the store's log goes on after it,
    pub cursor: Cursor,
    /// and how many events after that cursor are in it already.
    pub skip: u64,
}

impl Batch {
    fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let Self { entry, .. } = self;
        let numbers = [entry.at.as_ms(), entry.size as u64];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[16..48].copy_from_slice(&entry.root);
        let numbers = [
            self.first,
            self.earliest.as_ms(),
            self.latest.as_ms(),
            self.cursor.0,
            self.skip,
        ];
        for (place, number) in bytes[48..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let checksum = xxh3_64(&bytes[..RECORD - 8]);
        bytes[RECORD - 8..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` where a byte is not as it was written.
    fn decode(bytes: &[u8; RECORD]) -> Option<Self> {
        let number = |at: usize| {
            let eight = bytes[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(eight)
        };
        if xxh3_64(&bytes[..RECORD - 8]) != number(RECORD - 8) {
            return None;
        }
        Some(Self {
            entry: Entry {
                at: Timestamp::from_ms(number(0)),
                size: usize::try_from(number(8)).ok()?,
                root: bytes[16..48].try_into().expect("32 bytes"),
            },
            first: number(48),
            earliest: Timestamp::from_ms(number(56)),
            latest: Timestamp::from_ms(number(64)),
            cursor: Cursor(number(72)),
            skip: number(80),
        })
    }
}

/// Where an event is.
#[derive(Debug)]
pub(super) struct Place {
    /// The number of its batch.
    pub(super) number: u64,
    pub(super) batch: Batch,
    /// All leaves of the batch.
    pub(super) leaves: Vec<Hash>,
    /// Which of them is its own.
    pub(super) index: usize,
}

/// The two files.
#[derive(Debug)]
pub(super) struct Batches {
    leaves: File,
    records: File,
    /// Whole and synced.
    pub(super) count: u64,
    pub(super) last: Option<Batch>,
    /// A sync is under way, or failed. Case 39: it is never tried again, a second one could succeed without the data
    /// being there.
    syncing: bool,
}

pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path)
}

impl Batches {
    /// Opens or makes the files in a folder, and cuts off what a crash left of an unfinished batch.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let leaves = open_file(&folder.join("leaves"))?;
        let records = open_file(&folder.join("batches"))?;
        let mut batches = Self {
            leaves,
            records,
            count: 0,
            last: None,
            syncing: false,
        };
        let mut count = batches.records.metadata()?.len() / RECORD as u64;
        // Only the last record may be torn; an earlier one that does not read is damage, and no reason to forget more.
        while count > 0 && batches.last.is_none() {
            batches.last = batches.decoded(count - 1)?;
            count -= u64::from(batches.last.is_none());
        }
        batches.count = count;
        let events = batches.events();
        if batches.leaves.metadata()?.len() < events * LEAF as u64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file of leaves is shorter than its batches say",
            ));
        }
        batches.records.set_len(count * RECORD as u64)?;
        batches.leaves.set_len(events * LEAF as u64)?;
        batches.records.sync_all()?;
        Ok(batches)
    }

    /// Events in all batches.
    pub(super) fn events(&self) -> u64 {
        self.last
            .map_or(0, |last| last.first + last.entry.size as u64)
    }

    /// Adds batches and syncs them: the leaves first, so that a record never promises what is not there.
    pub(super) fn append(&mut self, some: &[(Batch, Vec<Hash>)]) -> io::Result<()> {
        let Some((last, _)) = some.last() else {
            return Ok(());
        };
        if self.syncing {
            return Err(io::Error::other(
                "the disk refused to sync the log before; it goes on after a restart of the node",
            ));
        }
        let leaves: Vec<u8> = some
            .iter()
            .flat_map(|(_, leaves)| leaves.iter().flatten().copied())
            .collect();
        self.leaves
            .write_all_at(&leaves, self.events() * LEAF as u64)?;
        self.syncing = true;
        self.leaves.sync_data()?;
        self.syncing = false;
        let records: Vec<u8> = some.iter().flat_map(|(batch, _)| batch.encode()).collect();
        self.records
            .write_all_at(&records, self.count * RECORD as u64)?;
        self.syncing = true;
        self.records.sync_data()?;
        self.syncing = false;
        self.count += some.len() as u64;
        self.last = Some(*last);
        Ok(())
    }

    fn decoded(&self, number: u64) -> io::Result<Option<Batch>> {
        let mut bytes = [0; RECORD];
        self.records
            .read_exact_at(&mut bytes, number * RECORD as u64)?;
        Ok(Batch::decode(&bytes))
    }

    /// A batch by its number, which is that of its entry.
    pub(super) fn get(&self, number: u64) -> io::Result<Batch> {
        self.decoded(number)?.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the record of batch {number} is damaged"),
            )
        })
    }

    /// Its leaves.
    pub(super) fn leaves(&self, batch: &Batch) -> io::Result<Vec<Hash>> {
        let mut bytes = vec![0; batch.entry.size * LEAF];
        self.leaves
            .read_exact_at(&mut bytes, batch.first * LEAF as u64)?;
        let (leaves, _) = bytes.as_chunks();
        Ok(leaves.to_vec())
    }

    /// The batch that holds the leaf of an event of that time, and where in it. Entries ascend in time and none is dated
    /// before its events, so that the search begins where the event may be; a node that recorded late looks further.
    pub(super) fn find(&self, leaf: &Hash, at: Timestamp) -> io::Result<Option<Place>> {
        /// Records that one question may cost: as many as ten hours have.
        const SEARCHED_MAX: u64 = 36_000;
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)?.entry.at < at {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        for number in (low..self.count).take(SEARCHED_MAX as usize) {
            let batch = self.get(number)?;
            if batch.earliest > at || batch.latest < at {
                continue;
            }
            let leaves = self.leaves(&batch)?;
            if let Some(index) = leaves.iter().position(|one| one == leaf) {
                return Ok(Some(Place {
                    number,
                    batch,
                    leaves,
                    index,
                }));
            }
        }
        Ok(None)
    }
}
