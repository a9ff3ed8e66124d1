//! The entries of a log, read and computed again: the tree from the edge that was kept, the tiles, the times.

use std::collections::{BTreeMap, BTreeSet};

use pli_protocol::evidence::{ENTRY_LEN, Entry};
use pli_protocol::id::Timestamp;
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;
use pli_protocol::merkle::Hash;

use super::Alarm;
use super::claims::Claim;
use super::fetch::{Fetch, tile_path};
use super::frontier::Frontier;
use super::look::TILE;
use super::state::{Kept, StateError};

/// New entries that one look reads: who claims more cannot keep the auditor busy for ever.
const ENTRIES_MAX: u64 = 1 << 24;

/// Why a log could not be found right.
pub(super) enum Trouble {
    Found(Alarm, String),
    State(StateError),
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

pub(super) fn found(alarm: Alarm, detail: impl Into<String>) -> Trouble {
    Trouble::Found(alarm, detail.into())
}

/// The entries since the last full tile that was kept, read and computed.
pub(super) struct Reading<'a> {
    fetch: &'a Fetch,
    prefix: &'a str,
    size: u64,
    kept_size: Option<u64>,
    /// What bundles say of it.
    claims: &'a [Claim],
    whole: Frontier,
    last_at: Option<Timestamp>,
}

/// What was computed.
pub(super) struct Read {
    /// The root at the size that was kept,
    pub(super) at_kept: Option<Hash>,
    /// and at that of the checkpoint.
    pub(super) root: Hash,
    /// Roots and leaves at the sizes and places that bundles name.
    pub(super) roots: BTreeMap<u64, Hash>,
    pub(super) leaves: BTreeMap<u64, Hash>,
    pub(super) whole: Frontier,
    pub(super) last_at: Option<Timestamp>,
    /// The first tile that differs.
    pub(super) differs: Option<String>,
    /// The first entry whose time is wrong.
    pub(super) time: Option<String>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        fetch: &'a Fetch,
        prefix: &'a str,
        kept: Option<&Kept>,
        size: u64,
    ) -> Result<Self, Trouble> {
        let whole = kept.map(|kept| kept.frontier.clone()).unwrap_or_default();
        if size - whole.size() > ENTRIES_MAX {
            let detail = format!("{size} entries are more than one look reads");
            return Err(found(Alarm::Malformed, detail));
        }
        Ok(Self {
            fetch,
            prefix,
            size,
            kept_size: kept.map(|kept| kept.noted.checkpoint().size),
            claims: &[],
            last_at: kept.and_then(|kept| kept.last_at),
            whole,
        })
    }

    /// The same from the beginning.
    pub(super) fn again(
        fetch: &'a Fetch,
        prefix: &'a str,
        kept: &Kept,
        size: u64,
    ) -> Result<Self, Trouble> {
        let from_nothing = Self::new(fetch, prefix, None, size)?;
        Ok(Self {
            kept_size: Some(kept.noted.checkpoint().size),
            last_at: kept.last_at,
            ..from_nothing
        })
    }

    /// Also what bundles say of it.
    pub(super) fn with(self, claims: &'a [Claim]) -> Self {
        Self { claims, ..self }
    }

    pub(super) async fn all(mut self, now: Timestamp) -> Result<Read, Trouble> {
        let mut frontier = self.whole.clone();
        let mut at_kept = (self.kept_size == Some(frontier.size())).then(|| frontier.root());
        let (mut differs, mut time) = (None, None);
        let sizes: BTreeSet<u64> = self.claims.iter().map(Claim::size).collect();
        let places: BTreeSet<u64> = self.claims.iter().flat_map(Claim::places).collect();
        let (mut at_sizes, mut leaves_at) = (BTreeMap::new(), BTreeMap::new());
        // Roots of full tiles, by their index in the level above.
        let mut roots = BTreeMap::new();
        while frontier.size() < self.size {
            let (first, index) = (frontier.size(), frontier.size() / TILE);
            let width = TILE.min(self.size - first);
            let entries = self.entries(index, width).await?;
            let mut leaves = Vec::with_capacity(entries.len());
            let mut tile = Frontier::default();
            for (number, entry) in (first..).zip(&entries) {
                // What was judged the last time is not judged again.
                let new = self.kept_size.is_none_or(|kept| number >= kept);
                if new && time.is_none() {
                    time = self.judge_time(number, entry, now);
                }
                let leaf = entry.leaf();
                frontier.push(leaf);
                tile.push(leaf);
                leaves.push(leaf);
                if places.contains(&number) {
                    leaves_at.insert(number, leaf);
                }
                if sizes.contains(&frontier.size()) {
                    at_sizes.insert(frontier.size(), frontier.root());
                }
                if self.kept_size == Some(frontier.size()) {
                    at_kept = Some(frontier.root());
                }
            }
            if width == TILE {
                self.whole = frontier.clone();
                roots.insert(index, tile.root());
            }
            let path = tile_path("0", index, width);
            if self.hashes(&path).await? != leaves {
                differs.get_or_insert(path);
            }
        }
        if let Some(path) = self.upper_levels(roots).await? {
            differs.get_or_insert(path);
        }
        Ok(Read {
            at_kept,
            root: frontier.root(),
            roots: at_sizes,
            leaves: leaves_at,
            whole: self.whole,
            last_at: self.last_at,
            differs,
            time,
        })
    }

    fn judge_time(&mut self, number: u64, entry: &Entry, now: Timestamp) -> Option<String> {
        let before = self.last_at.replace(entry.at);
        if before.is_some_and(|before| entry.at < before) {
            return Some(format!(
                "entry {number} is dated {}, before the one before it",
                entry.at
            ));
        }
        let future = entry.at > now.plus_ms(CLOCK_SKEW_MAX_MS);
        future.then(|| {
            format!(
                "entry {number} is dated {}, which is in the future",
                entry.at
            )
        })
    }

    async fn entries(&self, index: u64, width: u64) -> Result<Vec<Entry>, Trouble> {
        let path = tile_path("entries", index, width);
        let bytes = self.get(&path).await?;
        let mut rest = &bytes[..];
        let mut entries = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            let entry = after
                .split_at_checked(length)
                .filter(|_| length == ENTRY_LEN);
            let Some((Some(entry), after)) =
                entry.map(|(entry, after)| (Entry::decode(entry), after))
            else {
                break;
            };
            entries.push(entry);
            rest = after;
        }
        match rest.is_empty() && entries.len() as u64 == width {
            true => Ok(entries),
            false => Err(found(
                Alarm::Malformed,
                format!("{path} does not hold {width} entries"),
            )),
        }
    }

    async fn hashes(&self, path: &str) -> Result<Vec<Hash>, Trouble> {
        let bytes = self.get(path).await?;
        match bytes.as_chunks() {
            (hashes, []) => Ok(hashes.to_vec()),
            _ => Err(found(
                Alarm::Malformed,
                format!("{path} does not hold hashes"),
            )),
        }
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        let url = format!("{}/{path}", self.prefix);
        self.fetch
            .get(&url)
            .await
            .map_err(|problem| found(Alarm::Unreachable, problem.detail()))
    }

    /// Compares what is known of each level above with its tiles. The first tile that differs.
    async fn upper_levels(
        &self,
        mut known: BTreeMap<u64, Hash>,
    ) -> Result<Option<String>, Trouble> {
        let (mut level, mut count) = (1, self.size / TILE);
        while !known.is_empty() {
            let mut above = BTreeMap::new();
            let (first, last) = (
                known.keys().next().copied(),
                known.keys().next_back().copied(),
            );
            let (first, last) = (
                first.unwrap_or_default() / TILE,
                last.unwrap_or_default() / TILE,
            );
            for index in first..=last {
                let width = TILE.min(count - index * TILE);
                let path = tile_path(&level.to_string(), index, width);
                let hashes = self.hashes(&path).await?;
                let mut own = known.range(index * TILE..(index + 1) * TILE);
                let place = |number: &u64| usize::try_from(number % TILE).expect("less than 256");
                let agree = own.all(|(number, hash)| hashes.get(place(number)) == Some(hash));
                if !agree || hashes.len() as u64 != width {
                    return Ok(Some(path));
                }
                let all = known.range(index * TILE..(index + 1) * TILE).count() as u64 == TILE;
                if all {
                    let mut tile = Frontier::default();
                    hashes.into_iter().for_each(|hash| tile.push(hash));
                    above.insert(index, tile.root());
                }
            }
            (known, level, count) = (above, level + 1, count / TILE);
        }
        Ok(None)
    }
}
