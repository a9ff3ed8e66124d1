//! One look at the logs of a node.
//!
//! ```text
//! starts ─► checkpoint, signed ─► new entries, tile by tile ─► tiles ─► the root, from the edge that was kept ─► kept
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::evidence::{ENTRY_LEN, Entry, Noted, Origin};
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;
use pli_protocol::merkle::Hash;

use super::fetch::{Fetch, Unread, tile_path};
use super::frontier::Frontier;
use super::state::{Kept, State, StateError};
use super::{Alarm, Finding, Followed, Looked, Seen};

/// Hashes of a tile.
pub(super) const TILE: u64 = 256;
/// New entries that one look reads: who claims more cannot keep the auditor busy for ever.
const ENTRIES_MAX: u64 = 1 << 24;
/// Logs of one node.
const STARTS_MAX: usize = 1_024;

/// Why a log could not be found right.
enum Trouble {
    Found(Alarm, String),
    State(StateError),
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

fn found(alarm: Alarm, detail: impl Into<String>) -> Trouble {
    Trouble::Found(alarm, detail.into())
}

/// Follows logs, with what it saw of them on disk.
#[derive(Debug)]
pub struct Monitor<K> {
    fetch: Fetch,
    state: State,
    /// The keys that a witness may use.
    witness_keys: K,
    /// How many witnesses must have cosigned,
    pub needed: usize,
    /// and how long ago at most.
    pub stale_ms: u64,
}

impl<K: Fn(&AuthorityId) -> Vec<PublicKey>> Monitor<K> {
    /// Over a folder, which is made if it is not there.
    pub fn new(
        folder: &Path,
        needed: usize,
        stale_ms: u64,
        witness_keys: K,
    ) -> Result<Self, StateError> {
        let fetch = Fetch::new().map_err(|error| StateError::Folder {
            path: folder.to_owned(),
            error: std::io::Error::other(error),
        })?;
        Ok(Self {
            fetch,
            state: State::new(folder)?,
            witness_keys,
            needed,
            stale_ms,
        })
    }

    /// Looks at all logs of a node. An error is one of this machine alone.
    pub async fn look(&self, node: &Followed, now: Timestamp) -> Result<Looked, StateError> {
        let mut looked = Looked::default();
        let finding = |origin: Option<Origin>, alarm, detail| Finding {
            authority: node.authority.clone(),
            origin,
            alarm,
            detail,
        };
        let (base, starts) = match self.starts(node).await {
            Ok(found) => found,
            Err((alarm, detail)) => {
                looked.findings.push(finding(None, alarm, detail));
                return Ok(looked);
            }
        };
        let known = self.state.starts(&node.authority)?;
        let newest = starts.last().copied();
        let mut all: Vec<Timestamp> = known.iter().chain(&newest).copied().collect();
        all.sort_unstable();
        all.dedup();
        for start in all {
            let origin = Origin {
                authority: node.authority.clone(),
                start,
            };
            if !starts.contains(&start) {
                let detail = "this log was there and is not listed any more".to_owned();
                looked
                    .findings
                    .push(finding(Some(origin), Alarm::Shrunk, detail));
                continue;
            }
            match self.look_at(base, node, &origin, now).await {
                Ok(seen) => {
                    // A log that was ended is cosigned no more.
                    let fault = self
                        .freshness(&seen, now)
                        .filter(|_| newest == Some(start) && seen.size > 0);
                    if let Some((alarm, detail)) = fault {
                        looked.findings.push(finding(Some(origin), alarm, detail));
                    }
                    looked.seen.push(seen);
                }
                Err(Trouble::Found(alarm, detail)) => {
                    looked.findings.push(finding(Some(origin), alarm, detail))
                }
                Err(Trouble::State(error)) => return Err(error),
            }
        }
        Ok(looked)
    }

    /// The starts of its logs, at the first address that gives them.
    async fn starts<'a>(
        &self,
        node: &'a Followed,
    ) -> Result<(&'a str, Vec<Timestamp>), (Alarm, String)> {
        let mut last = (
            Alarm::Unreachable,
            "it publishes no http address".to_owned(),
        );
        for base in &node.bases {
            let base = base.trim_end_matches('/');
            match self.fetch.get(&format!("{base}/pli/log/starts")).await {
                Ok(bytes) => match starts_of(&bytes) {
                    Some(starts) => return Ok((base, starts)),
                    None => {
                        last = (
                            Alarm::Malformed,
                            "the list of its logs is not one".to_owned(),
                        )
                    }
                },
                Err(problem) => last = (Alarm::Unreachable, problem.detail()),
            }
        }
        Err(last)
    }

    async fn look_at(
        &self,
        base: &str,
        node: &Followed,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Seen, Trouble> {
        let unreachable = |problem: Unread| found(Alarm::Unreachable, problem.detail());
        let prefix = format!("{base}/pli/log/{}", origin.start.as_ms());
        let kept = self.state.read(origin)?;
        let note = match self.fetch.get(&format!("{prefix}/checkpoint")).await {
            // A log has none before its first entry.
            Err(Unread::Missing(_)) if kept.is_none() => return Ok(Seen::nothing(origin)),
            note => note.map_err(unreachable)?,
        };
        let note = String::from_utf8(note)
            .map_err(|_| found(Alarm::Malformed, "the checkpoint is not text"))?;
        let noted =
            Noted::parse(&note).map_err(|error| found(Alarm::Malformed, error.to_string()))?;
        if !node.keys.iter().any(|key| noted.verify(key).is_ok()) {
            return Err(found(
                Alarm::NotSigned,
                "the checkpoint is not signed by a key of the log",
            ));
        }
        let checkpoint = noted.checkpoint();
        if checkpoint.origin != *origin {
            return Err(found(
                Alarm::Malformed,
                format!("the checkpoint is of {}", checkpoint.origin),
            ));
        }
        if let Some(kept) = &kept {
            self.not_less(kept, &noted)?;
        }
        let reading = Reading::new(&self.fetch, &prefix, kept.as_ref(), checkpoint.size)?;
        let mut read = reading.all(now).await?;
        if let Some(kept) = &kept {
            if read.root != checkpoint.root || read.at_kept != Some(kept.noted.checkpoint().root) {
                // Before a log is accused it is read from its beginning: then what was kept has no part in it.
                read = Reading::again(&self.fetch, &prefix, kept, checkpoint.size)?
                    .all(now)
                    .await?;
            }
            if read.root == checkpoint.root && read.at_kept != Some(kept.noted.checkpoint().root) {
                return Err(self.forked(&kept.noted, &noted)?);
            }
        }
        if read.root != checkpoint.root {
            let detail = "the entries do not hash to the root of the checkpoint";
            return Err(found(Alarm::TilesDiffer, detail));
        }
        if let Some(path) = read.differs {
            return Err(found(
                Alarm::TilesDiffer,
                format!("{path} is not what the entries hash to"),
            ));
        }
        if let Some(problem) = read.time {
            return Err(found(Alarm::TimeWentBack, problem));
        }
        let cosignatures = noted.cosignatures(|witness| match *witness == node.authority {
            true => Vec::new(),
            false => (self.witness_keys)(witness),
        });
        let seen = Seen {
            origin: origin.clone(),
            size: checkpoint.size,
            last_at: read.last_at,
            witnesses: cosignatures
                .into_iter()
                .map(|one| (one.witness, one.at))
                .collect(),
        };
        self.state.write(&Kept {
            frontier: read.whole,
            last_at: read.last_at,
            noted,
        })?;
        Ok(seen)
    }

    /// Neither shorter than it was, nor another one of the same size.
    fn not_less(&self, kept: &Kept, noted: &Noted) -> Result<(), Trouble> {
        let (before, now) = (kept.noted.checkpoint(), noted.checkpoint());
        if now.size < before.size {
            let detail = format!("{} entries were there, now {}", before.size, now.size);
            return Err(found(Alarm::Shrunk, detail));
        }
        match now.size == before.size && now.root != before.root {
            true => Err(self.forked(&kept.noted, noted)?),
            false => Ok(()),
        }
    }

    fn forked(&self, before: &Noted, now: &Noted) -> Result<Trouble, StateError> {
        let path = self.state.convict(before, now)?;
        let (old, new) = (before.checkpoint().size, now.checkpoint().size);
        let path = path.display();
        let detail = format!(
            "the log of {old} entries that was seen does not lead to that of {new}; both are in {path}"
        );
        Ok(found(Alarm::Forked, detail))
    }

    fn freshness(&self, seen: &Seen, now: Timestamp) -> Option<(Alarm, String)> {
        let mut times: Vec<Timestamp> = seen.witnesses.iter().map(|(_, at)| *at).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let last = match self.needed {
            0 => *times.first()?,
            needed => match times.get(needed - 1) {
                Some(at) => *at,
                None => {
                    let detail = format!("{} of {needed} witnesses have cosigned", times.len());
                    return Some((Alarm::TooFewWitnesses, detail));
                }
            },
        };
        let age_ms = now.since_ms(last);
        let detail = || {
            format!(
                "enough witnesses cosigned last at {last}, {} s ago",
                age_ms / 1_000
            )
        };
        (age_ms > self.stale_ms).then(|| (Alarm::Stale, detail()))
    }
}

fn starts_of(bytes: &[u8]) -> Option<Vec<Timestamp>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines = text
        .lines()
        .take(STARTS_MAX + 1)
        .map(|line| line.parse().map(Timestamp::from_ms));
    let starts: Vec<Timestamp> = lines.collect::<Result<_, _>>().ok()?;
    (starts.len() <= STARTS_MAX && starts.is_sorted_by(|a, b| a < b)).then_some(starts)
}

/// The entries since the last full tile that was kept, read and computed.
struct Reading<'a> {
    fetch: &'a Fetch,
    prefix: &'a str,
    size: u64,
    kept_size: Option<u64>,
    whole: Frontier,
    last_at: Option<Timestamp>,
}

struct Read {
    /// The root at the size that was kept,
    at_kept: Option<Hash>,
    /// and at that of the checkpoint.
    root: Hash,
    whole: Frontier,
    last_at: Option<Timestamp>,
    /// The first tile that differs.
    differs: Option<String>,
    /// The first entry whose time is wrong.
    time: Option<String>,
}

impl<'a> Reading<'a> {
    fn new(
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
            last_at: kept.and_then(|kept| kept.last_at),
            whole,
        })
    }

    /// The same from the beginning.
    fn again(fetch: &'a Fetch, prefix: &'a str, kept: &Kept, size: u64) -> Result<Self, Trouble> {
        let from_nothing = Self::new(fetch, prefix, None, size)?;
        Ok(Self {
            kept_size: Some(kept.noted.checkpoint().size),
            last_at: kept.last_at,
            ..from_nothing
        })
    }

    async fn all(mut self, now: Timestamp) -> Result<Read, Trouble> {
        let mut frontier = self.whole.clone();
        let mut at_kept = (self.kept_size == Some(frontier.size())).then(|| frontier.root());
        let (mut differs, mut time) = (None, None);
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
