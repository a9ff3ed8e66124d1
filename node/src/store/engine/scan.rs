//! Walking a segment after a crash, for a rebuild, or to compact it.
//!
//! Out: every group, each record either verified or named as damaged. Damage never hides what follows
//! it (R20): a group header that does not verify makes the walk search for the next one and for whole
//! records in between.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::DiskFile;
use super::format::{
    GROUP_HEADER, GROUP_MAGIC, GroupHeader, Position, Record, RecordHeader, SEGMENT_HEADER, Seed,
};
use super::log::Log;

/// Bytes searched at once for the next group.
const WINDOW: usize = 1024 * 1024;

/// A stretch of a segment.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The group's number; `None` where its header is damaged.
    pub(super) number: Option<u64>,
    /// The offset of its first byte.
    pub(super) start: u64,
    /// The offset after it.
    pub(super) end: u64,
    /// Its records in order; `None` is a damaged one.
    pub(super) records: Vec<(Position, Option<Record>)>,
    /// Nothing valid follows in this segment, and this stretch is not whole: a crash may have torn it.
    pub(super) torn: bool,
}

impl Scanned {
    fn is_whole(&self) -> bool {
        self.number.is_some() && self.records.iter().all(|(_, record)| record.is_some())
    }
}

/// Calls `visit` for each stretch of a segment from an offset, in order.
pub(super) fn scan<E: From<io::Error>>(
    log: &Log,
    segment: u32,
    from: u64,
    visit: impl FnMut(Scanned) -> Result<(), E>,
) -> Result<(), E> {
    let Some(file) = log.file(segment)? else {
        return Ok(());
    };
    let length = file.length()?;
    scan_to(log, segment, from, length, visit)
}

/// The same as far as an offset at which a group ends.
pub(super) fn scan_to<E: From<io::Error>>(
    log: &Log,
    segment: u32,
    from: u64,
    length: u64,
    mut visit: impl FnMut(Scanned) -> Result<(), E>,
) -> Result<(), E> {
    let Some(file) = log.file(segment)? else {
        return Ok(());
    };
    let walk = Walk {
        segment,
        file,
        length,
        seed: log.seed(),
    };
    let mut offset = from.max(SEGMENT_HEADER as u64);
    while offset < length {
        let mut scanned = match walk.group(offset)? {
            Some(group) => group,
            None => walk.salvage(offset)?,
        };
        offset = scanned.end;
        scanned.torn = !scanned.is_whole() && offset >= length;
        visit(scanned)?;
    }
    Ok(())
}

struct Walk {
    segment: u32,
    file: Arc<dyn DiskFile>,
    length: u64,
    seed: Seed,
}

impl Walk {
    /// The group at an offset, if its header is intact and its records are all within the file.
    fn group(&self, offset: u64) -> io::Result<Option<Scanned>> {
        let Some((header, lengths)) = self.header(offset)? else {
            return Ok(None);
        };
        let end = offset + (GROUP_HEADER + header.bytes) as u64;
        if end > self.length {
            return Ok(None);
        }
        let first = offset + (GROUP_HEADER + header.count * 4) as u64;
        let raw = self.bytes(first, end)?;
        let mut records = Vec::with_capacity(header.count);
        let mut at = 0;
        for length in lengths {
            let next = at + length as usize;
            let position = self.position(first + at as u64, length as usize);
            records.push((position, Record::parse(&raw.slice(at..next), self.seed)));
            at = next;
        }
        Ok(Some(Scanned {
            number: Some(header.number),
            start: offset,
            end,
            records,
            torn: false,
        }))
    }

    fn header(&self, offset: u64) -> io::Result<Option<(GroupHeader, Vec<u32>)>> {
        let raw = self.bytes(offset, (offset + GROUP_HEADER as u64).min(self.length))?;
        let Some(header) = GroupHeader::parse(&raw) else {
            return Ok(None);
        };
        let start = offset + GROUP_HEADER as u64;
        let lengths = self.bytes(start, (start + header.count as u64 * 4).min(self.length))?;
        Ok(header
            .lengths(&lengths, self.seed)
            .map(|lengths| (header, lengths)))
    }

    /// Whole records between a damaged header and the next intact one.
    fn salvage(&self, offset: u64) -> io::Result<Scanned> {
        let end = self.next_group(offset + 1)?.unwrap_or(self.length);
        let raw = self.bytes(offset, end)?;
        let mut records = Vec::new();
        let mut at = 0;
        while at < raw.len() {
            let record = RecordHeader::parse(&raw[at..])
                .filter(|header| header.is_plausible(raw.len() - at))
                .and_then(|header| {
                    Some((
                        header.length(),
                        Record::parse(&raw.slice(at..at + header.length()), self.seed)?,
                    ))
                });
            match record {
                Some((length, record)) => {
                    records.push((self.position(offset + at as u64, length), Some(record)));
                    at += length;
                }
                None => at += 1,
            }
        }
        Ok(Scanned {
            number: None,
            start: offset,
            end,
            records,
            torn: false,
        })
    }

    fn next_group(&self, from: u64) -> io::Result<Option<u64>> {
        let mut start = from;
        while start < self.length {
            let end = (start + WINDOW as u64).min(self.length);
            let window = self.bytes(start, end)?;
            for (at, candidate) in window.windows(GROUP_MAGIC.len()).enumerate() {
                let offset = start + at as u64;
                if candidate == GROUP_MAGIC && self.header(offset)?.is_some() {
                    return Ok(Some(offset));
                }
            }
            // The next window begins early enough to see a magic across the border.
            start = if end == self.length {
                end
            } else {
                end - (GROUP_MAGIC.len() as u64 - 1)
            };
        }
        Ok(None)
    }

    fn bytes(&self, start: u64, end: u64) -> io::Result<Bytes> {
        let length = end.saturating_sub(start);
        let mut raw = vec![0; usize::try_from(length).expect("a segment is below 4 GiB")];
        self.file.read_at(&mut raw, start)?;
        Ok(raw.into())
    }

    fn position(&self, offset: u64, length: usize) -> Position {
        let fit = "a segment is below 4 GiB";
        Position {
            segment: self.segment,
            offset: u32::try_from(offset).expect(fit),
            length: u32::try_from(length).expect(fit),
        }
    }
}
