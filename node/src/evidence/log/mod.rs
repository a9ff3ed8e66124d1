//! A node's own log on disk: batches of events, the tree over them, and the newest checkpoints (EVD-2, EVD-3).
//!
//! In: leaves of events, in order. Out: checkpoints, proofs, tiles. Nothing is in a checkpoint that is not synced, so no
//! crash gives two heads of one size (R16): after it the same bytes come out again, or more.

mod batches;
mod published;
mod tiles;

use std::io;
use std::path::Path;

use parking_lot::{Mutex, RwLock};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::{Checkpoint, Entry, Event, Origin};
use pli_protocol::id::Timestamp;
use pli_protocol::limits::TREE_LEAVES_MAX;
use pli_protocol::merkle::{Hash, Tree};
use pli_protocol::wire;
use tokio::sync::watch;

pub use batches::Batch;
pub use tiles::TILE;

use batches::{Batches, Place};
use published::Published;
use tiles::Tiles;

use crate::store::Cursor;

/// The leaves of events that go into one batch, and what is to be remembered with them.
#[derive(Clone, Debug)]
pub struct Closed {
    /// 1 to `TREE_LEAVES_MAX` of them.
    pub leaves: Vec<Hash>,
    /// The time of the earliest event.
    pub earliest: Timestamp,
    /// The time of the latest event.
    pub latest: Timestamp,
    /// Where to go on reading the store,
    pub cursor: Cursor,
    /// and how many events after that cursor are taken already.
    pub skip: u64,
}

/// A checkpoint of this log with its signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// One log. Its readers never wait for its writer's disk.
#[derive(Debug)]
pub struct EventLog {
    origin: Origin,
    key: SigningKey,
    batches: Mutex<Batches>,
    tiles: RwLock<Tiles>,
    newest: watch::Sender<Option<Head>>,
    published: Mutex<Published>,
}

impl EventLog {
    /// Opens or makes the log of a start in its folder.
    pub fn open(folder: &Path, origin: Origin, key: SigningKey) -> io::Result<Self> {
        let batches = Batches::open(folder)?;
        let mut tiles = Tiles::open(folder, batches.count)?;
        for number in tiles.size()..batches.count {
            tiles.append(batches.get(number)?.entry.leaf())?;
        }
        let published = Published::open(folder)?;
        let log = Self {
            origin,
            key,
            batches: Mutex::new(batches),
            tiles: RwLock::new(tiles),
            newest: watch::channel(None).0,
            published: Mutex::new(published),
        };
        if log.size() > 0 {
            log.sign()?;
        }
        Ok(log)
    }

    /// Whose log this is, and since when.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Entries.
    pub fn size(&self) -> u64 {
        self.tiles.read().size()
    }

    /// Events in all entries.
    pub fn events(&self) -> u64 {
        self.batches.lock().events()
    }

    /// When the newest entry was closed.
    pub fn closed_at(&self) -> Option<Timestamp> {
        self.batches.lock().last.map(|last| last.entry.at)
    }

    /// Events that are in no published checkpoint yet (EVD-8.4).
    pub fn waiting(&self) -> io::Result<u64> {
        let shown = self.published().map_or(0, |head| head.size);
        let batches = self.batches.lock();
        match shown < batches.count {
            true => Ok(batches.events() - batches.get(shown)?.first),
            false => Ok(0),
        }
    }

    /// Where to go on reading the store, and how many events after that cursor are in the log already.
    pub fn resume(&self) -> (Cursor, u64) {
        let last = self.batches.lock().last;
        last.map_or_else(Default::default, |last| (last.cursor, last.skip))
    }

    /// Adds batches closed at `now`, durably, and signs the checkpoint that includes them.
    pub fn append(&self, closed: Vec<Closed>, now: Timestamp) -> io::Result<()> {
        let mut batches = self.batches.lock();
        let mut first = batches.events();
        // EVD-2.2: times ascend, whatever the clock does, and none is before an event that it holds.
        let mut at = batches.last.map_or(now, |last| last.entry.at.max(now));
        let mut added = Vec::with_capacity(closed.len());
        for one in closed {
            assert!(
                (1..=TREE_LEAVES_MAX).contains(&one.leaves.len()),
                "the recorder closes batches in time"
            );
            at = at.max(one.latest);
            let tree = Tree::new(one.leaves.clone()).expect("1 to TREE_LEAVES_MAX leaves");
            let entry = Entry {
                at,
                size: one.leaves.len(),
                root: tree.root(),
            };
            let batch = Batch {
                entry,
                first,
                earliest: one.earliest,
                latest: one.latest,
                cursor: one.cursor,
                skip: one.skip,
            };
            first += one.leaves.len() as u64;
            added.push((batch, one.leaves));
        }
        batches.append(&added)?;
        let mut tiles = self.tiles.write();
        for (batch, _) in &added {
            tiles.append(batch.entry.leaf())?;
        }
        drop((tiles, batches));
        self.sign()
    }

    // EVD-3.3: of what is synced. Ed25519 gives the same signature for the same head again.
    fn sign(&self) -> io::Result<()> {
        let tiles = self.tiles.read();
        let size = tiles.size();
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size,
            root: tiles.root(size)?,
        };
        let note = checkpoint.sign(&self.key);
        self.newest.send_replace(Some(Head { size, note }));
        Ok(())
    }

    /// The newest checkpoint, signed by this node alone; `None` before the first event.
    pub fn newest(&self) -> Option<Head> {
        self.newest.borrow().clone()
    }

    /// Hears of each new checkpoint.
    pub fn watch(&self) -> watch::Receiver<Option<Head>> {
        self.newest.subscribe()
    }

    /// The newest checkpoint that is shown to others (EVD-3.2): the newest that enough witnesses have cosigned.
    pub fn published(&self) -> Option<Head> {
        self.published.lock().head().cloned()
    }

    /// Shows this head from now on, durably; one of the same size replaces one with other cosignatures.
    pub fn publish(&self, head: Head) -> io::Result<()> {
        self.published.lock().replace(head)
    }

    /// The proof of an event up to the published checkpoint.
    pub fn prove(&self, event: &Event) -> io::Result<Found> {
        let found = self.batches.lock().find(&event.leaf(), event.at)?;
        let Some(place) = found else {
            return Ok(Found::Nothing);
        };
        let Place {
            number,
            batch,
            leaves,
            index,
        } = place;
        let Some(head) = self.published().filter(|head| number < head.size) else {
            return Ok(Found::Pending);
        };
        let tree = Tree::new(leaves).expect("a batch holds 1 to TREE_LEAVES_MAX leaves");
        let bytes = |hash: Hash| bytes::Bytes::copy_from_slice(&hash);
        let path = self.tiles.read().inclusion(number, head.size)?;
        let fits = "a tree has at most 4,096 leaves";
        let proof = wire::EventProof {
            event: event.encode(),
            in_batch: Some(wire::Inclusion {
                index: u32::try_from(index).expect(fits),
                tree_size: u32::try_from(tree.size()).expect(fits),
                path: tree
                    .path(index)
                    .expect("it was found there")
                    .into_iter()
                    .map(bytes)
                    .collect(),
            }),
            batch_at_ms: batch.entry.at.as_ms(),
            index: number,
            path: path.into_iter().map(bytes).collect(),
            checkpoint: 0,
        };
        Ok(Found::Proof(proof, head.note))
    }

    /// That the tree of `old` entries is the beginning of that of `new`.
    pub fn consistency(&self, old: u64, new: u64) -> io::Result<Vec<Hash>> {
        self.tiles.read().consistency(old, new)
    }

    /// Hashes of a tile: `width` of a level, from its beginning.
    pub fn tile(&self, level: usize, index: u64, width: u64) -> io::Result<Vec<Hash>> {
        self.tiles.read().nodes(level, index * TILE, width)
    }

    /// Entries of a tile.
    pub fn entries(&self, index: u64, width: u64) -> io::Result<Vec<Entry>> {
        let batches = self.batches.lock();
        let numbers = index * TILE..index * TILE + width;
        numbers
            .map(|number| Ok(batches.get(number)?.entry))
            .collect()
    }
}

/// What is known of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It is in the published checkpoint, whose note this is.
    Proof(wire::EventProof, String),
    /// It is in the log, and not in the published checkpoint yet.
    Pending,
    /// It is not in the log.
    Nothing,
}

#[cfg(test)]
mod tests;
