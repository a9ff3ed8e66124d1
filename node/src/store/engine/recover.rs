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

use bytes::Bytes;
use pli_protocol::id::AccountId;

use super::apply::{Applied, Applier, Memory};
use super::Tuning;
use super::cursor::Fields;
use super::format::{Kind, Position, Record, SEGMENT_HEADER};
use super::index::{Index, Space};
use super::keys;
use super::log::Log;
use super::quarantine::Quarantine;
use super::queues::Queues;
use super::scan::{Scanned, scan};
use super::values::Waiting;

const INDEX_DIRECTORY: &str = "index";
/// Settlements applied at once by a rebuild.
const SETTLEMENTS_PER_CHANGE: usize = 64;
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
    let opened = if path.exists() { usable(&path, tuning, log) } else { Ok(None) };
    let log_is_short = matches!(opened, Err(Unusable::LogIsShort));
    match opened {
        Ok(Some((index, start))) => match Replay::new(log, quarantine, &index, memory).tail(start) {
            Ok(next_group) => return Ok(Recovered { index, next_group, numbers_are_lost: false }),
            Err(RecoveryError::Index(error)) if !matches!(error, fjall::Error::Io(_)) => {
                tracing::warn!(%error, "the index is damaged: building it again from the log");
                memory.forget_index();
            }
            Err(error) => return Err(error),
        },
        Err(Unusable::Damaged(error)) => {
            tracing::warn!(%error, "the index does not open: building it again from the log");
        }
        Ok(None) | Err(Unusable::LogIsShort) => {}
    }
    remove_directory(&path)?;
    let index = Index::open(&path, tuning.memtable_bytes_max)?;
    let (next_group, damaged) = Replay::new(log, quarantine, &index, memory).rebuild()?;
    Ok(Recovered { index, next_group, numbers_are_lost: log_is_short || damaged })
}

enum Unusable {
    Damaged(fjall::Error),
    LogIsShort,
}

// An index that has not been built to its end has no `applied` row.
fn usable(path: &Path, tuning: Tuning, log: &Log) -> Result<Option<(Index, Applied)>, Unusable> {
    // fjall 3.1 asserts that some fields of its journal are what it wrote: damage there panics.
    let opened = std::panic::catch_unwind(|| Index::open(path, tuning.memtable_bytes_max));
    let index = opened.unwrap_or(Err(fjall::Error::Unrecoverable)).map_err(Unusable::Damaged)?;
    let value = index.get(Space::Meta, keys::APPLIED).map_err(Unusable::Damaged)?;
    let Some(applied) = value.as_deref().and_then(Applied::decode) else { return Ok(None) };
    let segments = log.segments();
    let end = segments.last().copied().unwrap_or_default();
    if end < (applied.segment, applied.offset) {
        return Err(Unusable::LogIsShort);
    }
    // Its segment was compacted away: this is an index from before that.
    let stands = segments.iter().any(|&(number, _)| number == applied.segment);
    Ok(stands.then_some((index, applied)))
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

struct Replay<'a> {
    log: &'a Log,
    quarantine: &'a Quarantine,
    index: &'a Index,
    memory: &'a mut Memory,
    next_group: u64,
    damaged: bool,
}

impl<'a> Replay<'a> {
    fn new(log: &'a Log, quarantine: &'a Quarantine, index: &'a Index, memory: &'a mut Memory) -> Self {
        Self { log, quarantine, index, memory, next_group: 1, damaged: false }
    }

    /// What came after the index's last change. Returns the number of the next group.
    fn tail(mut self, start: Applied) -> Result<u64, RecoveryError> {
        let Applied { segment: first, offset, next_group } = start;
        self.next_group = next_group;
        self.load_dead()?;
        let segments = self.log.segments();
        let last = segments.last().map(|&(segment, _)| segment);
        for &(segment, _) in segments.iter().filter(|&&(segment, _)| segment >= first) {
            let from = if segment == first { offset } else { SEGMENT_HEADER as u64 };
            self.note_header(segment)?;
            let mut cut = None;
            scan(self.log, segment, from, |scanned| {
                if scanned.torn && Some(segment) == last {
                    cut = Some(scanned);
                    return Ok(());
                }
                self.group(segment, &scanned, |_| true, true)
            })?;
            if let Some(torn) = cut {
                self.cut(segment, &torn)?;
            }
        }
        self.memory.queues = count(self.index)?;
        Ok(self.next_group)
    }

    /// Everything. Settlements come second and in the order of their numbers: compaction may have moved an
    /// envelope behind what settled it, or one settlement behind the next.
    /// Returns the number of the next group, and whether there was damage.
    fn rebuild(mut self) -> Result<(u64, bool), RecoveryError> {
        let segments = self.log.segments();
        let mut settling = Vec::new();
        for &(segment, _) in &segments {
            self.note_header(segment)?;
            scan(self.log, segment, 0, |scanned| {
                for (at, record) in &scanned.records {
                    match record {
                        Some(record) if record.kind == Kind::Settlement => {
                            settling.push((Fields(&record.meta).u64().unwrap_or_default(), *at));
                        }
                        Some(record) if record.kind == Kind::ReportsSettled => settling.push((u64::MAX, *at)),
                        _ => {}
                    }
                }
                let first = |kind| !matches!(kind, Kind::Settlement | Kind::ReportsSettled);
                self.group(segment, &scanned, first, false)
            })?;
        }
        settling.sort_unstable();
        for some in settling.chunks(SETTLEMENTS_PER_CHANGE) {
            self.settle(some)?;
        }
        // Whole records of a torn last group are kept here: the index that knew what was acknowledged is gone.
        if let Some(&(segment, length)) = segments.last() {
            let applier = Applier::new(self.index.change(1), self.memory, 0);
            applier.finish(Some(Applied { segment, offset: length, next_group: self.next_group }))?;
        }
        self.index.sync()?;
        self.memory.queues = count(self.index)?;
        Ok((self.next_group, self.damaged))
    }

    fn settle(&mut self, some: &[(u64, Position)]) -> Result<(), RecoveryError> {
        let mut applier = Applier::new(self.index.change(0), self.memory, 0);
        for &(_, at) in some {
            let raw = self.log.read(at).unwrap_or_default();
            match Record::parse(&raw, self.log.seed()) {
                Some(record) => drop(applier.record(&record, at)?),
                None => self.quarantine.keep_from_log(self.log, at),
            }
        }
        Ok(applier.finish(None)?)
    }

    fn group(
        &mut self,
        segment: u32,
        scanned: &Scanned,
        wanted: impl Fn(Kind) -> bool,
        advance: bool,
    ) -> Result<(), RecoveryError> {
        self.next_group = self.next_group.max(scanned.number.map_or(0, |number| number + 1));
        // A number that no group gets, for the rows that are named after the group.
        let number = scanned.number.unwrap_or(u64::MAX - scanned.start);
        let mut applier = Applier::new(self.index.change(scanned.records.len() * 4), self.memory, number);
        for (at, record) in &scanned.records {
            let applied = match record {
                Some(record) if wanted(record.kind) => applier.record(record, *at)?,
                Some(_) => Some(()),
                None => None,
            };
            if applied.is_none() {
                self.damaged = true;
                self.quarantine.keep_from_log(self.log, *at);
            }
        }
        if scanned.number.is_none() {
            self.damaged = true;
            tracing::error!(segment, end = scanned.end, "the header of a group is damaged; its whole records were kept");
        }
        let applied = Applied { segment, offset: scanned.end, next_group: self.next_group };
        applier.finish(advance.then_some(applied))?;
        Ok(())
    }

    // Never acknowledged: its fsync did not return. A copy is kept all the same.
    fn cut(&mut self, segment: u32, torn: &Scanned) -> Result<(), RecoveryError> {
        let Scanned { start, end, .. } = *torn;
        tracing::info!(segment, start, end, "cutting what a crash left of an unacknowledged group");
        self.quarantine.keep_torn(self.log, segment, start, end);
        self.log.cut(segment, start)?;
        Ok(())
    }

    fn note_header(&mut self, segment: u32) -> Result<(), RecoveryError> {
        match self.log.first_group(segment)? {
            Some(first) => self.next_group = self.next_group.max(first),
            None => tracing::error!(segment, "the header of a segment is damaged"),
        }
        Ok(())
    }

    fn load_dead(&mut self) -> Result<(), RecoveryError> {
        for (segment, _) in self.log.segments() {
            let value: Option<Bytes> = self.index.get(Space::Meta, keys::dead(segment))?;
            if let Some(dead) = value.and_then(|value| value[..].try_into().ok()) {
                self.memory.dead.insert(segment, u64::from_le_bytes(dead));
            }
        }
        Ok(())
    }
}

/// Counts what waits.
fn count(index: &Index) -> Result<Queues, RecoveryError> {
    let mut queues = Queues::default();
    for row in index.prefix(Space::Queue, []) {
        let (key, value) = row.into_inner()?;
        let waiting = Waiting::decode(&value);
        if let (Some(destination), Some(lane), Some(waiting)) = (keys::leading_destination(&key), keys::lane(&key), waiting) {
            queues.add(&destination, lane, waiting.bytes);
        }
    }
    for row in index.prefix(Space::Aside, []) {
        if let Some(destination) = keys::leading_destination(&row.key()?) {
            queues.update(&destination, |depth| depth.aside += 1);
        }
    }
    for row in index.prefix(Space::Reports, []) {
        if let Some(destination) = keys::leading_destination(&row.key()?) {
            queues.update(&destination, |depth| depth.reports += 1);
        }
    }
    Ok(queues)
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
