//! The log's records, applied again: its end after a crash, or all of it when the index is lost.

use std::cmp::Ordering;

use bytes::Bytes;

use super::apply::{Applied, Applier, Memory};
use super::cursor::Fields;
use super::format::{Kind, Position, Record, SEGMENT_HEADER};
use super::index::{Index, Space};
use super::keys;
use super::known::EnvelopeMeta;
use super::log::Log;
use super::quarantine::Quarantine;
use super::queues::Queues;
use super::recover::RecoveryError;
use super::scan::{Scanned, scan};
use super::values::Waiting;

/// Settlements applied at once by a rebuild.
const SETTLEMENTS_PER_CHANGE: usize = 64;

pub(super) struct Replay<'a> {
    log: &'a Log,
    quarantine: &'a Quarantine,
    index: &'a Index,
    memory: &'a mut Memory,
    next_group: u64,
    damaged: bool,
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        log: &'a Log,
        quarantine: &'a Quarantine,
        index: &'a Index,
        memory: &'a mut Memory,
    ) -> Self {
        Self {
            log,
            quarantine,
            index,
            memory,
            next_group: 1,
            damaged: false,
        }
    }

    /// What came after the index's last change. Returns the number of the next group.
    pub(super) fn tail(mut self, start: Applied) -> Result<u64, RecoveryError> {
        let Applied {
            segment: first,
            offset,
            next_group,
        } = start;
        self.next_group = next_group;
        self.load_dead()?;
        self.young_rows(&start)?;
        let segments = self.log.segments();
        let last = segments.last().map(|&(segment, _)| segment);
        for &(segment, _) in segments.iter().filter(|&&(segment, _)| segment >= first) {
            let from = if segment == first {
                offset
            } else {
                SEGMENT_HEADER as u64
            };
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

    /// Letters that were young when the process ended, and so had no row. Before the tail, which may settle them.
    fn young_rows(&mut self, applied: &Applied) -> Result<(), RecoveryError> {
        let first: Option<Bytes> = self.index.get(Space::Meta, keys::YOUNG)?;
        let Some(first) = first.as_deref().and_then(Applied::decode) else {
            return Ok(());
        };
        let end = (applied.segment, applied.offset);
        for (segment, _) in self.log.segments() {
            let from = match segment.cmp(&first.segment) {
                Ordering::Less => continue,
                Ordering::Equal => first.offset,
                Ordering::Greater => SEGMENT_HEADER as u64,
            };
            if (segment, from) >= end {
                break;
            }
            scan(self.log, segment, from, |scanned| {
                if (segment, scanned.start) >= end {
                    return Ok(());
                }
                let change = self.index.change(scanned.records.len() * 2);
                let mut applier = Applier::new(change, self.memory, 0);
                for (at, record) in &scanned.records {
                    let Some(record) = record else {
                        self.quarantine.keep_from_log(self.log, *at);
                        continue;
                    };
                    if record.kind == Kind::Envelope
                        && let Some(meta) = EnvelopeMeta::decode(&record.meta)
                    {
                        applier.lost_row(meta, *at)?;
                    }
                }
                applier.finish(None)
            })?;
        }
        Ok(())
    }

    /// Everything. Settlements come second and in the order of their numbers: compaction may have moved an
    /// envelope behind what settled it, or one settlement behind the next.
    /// Returns the number of the next group, and whether there was damage.
    pub(super) fn rebuild(mut self) -> Result<(u64, bool), RecoveryError> {
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
                        Some(record) if record.kind == Kind::ReportsSettled => {
                            settling.push((u64::MAX, *at))
                        }
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
            applier.finish(Some(Applied {
                segment,
                offset: length,
                next_group: self.next_group,
            }))?;
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
        self.next_group = self
            .next_group
            .max(scanned.number.map_or(0, |number| number + 1));
        // A number that no group gets, for the rows that are named after the group.
        let number = scanned.number.unwrap_or(u64::MAX - scanned.start);
        let mut applier = Applier::new(
            self.index.change(scanned.records.len() * 4),
            self.memory,
            number,
        );
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
            tracing::error!(
                segment,
                end = scanned.end,
                "the header of a group is damaged; its whole records were kept"
            );
        }
        let applied = Applied {
            segment,
            offset: scanned.end,
            next_group: self.next_group,
        };
        applier.finish(advance.then_some(applied))?;
        Ok(())
    }

    // Never acknowledged: its fsync did not return. A copy is kept all the same.
    fn cut(&mut self, segment: u32, torn: &Scanned) -> Result<(), RecoveryError> {
        let Scanned { start, end, .. } = *torn;
        tracing::info!(
            segment,
            start,
            end,
            "cutting what a crash left of an unacknowledged group"
        );
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
                self.memory.dead.load(segment, u64::from_le_bytes(dead));
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
        let (destination, lane) = (keys::leading_destination(&key), keys::lane(&key));
        let position = keys::trailing_number(&key);
        if let (Some(destination), Some(lane), Some(position), Some(waiting)) =
            (destination, lane, position, waiting)
        {
            queues.add(&destination, lane, position, waiting.bytes);
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
