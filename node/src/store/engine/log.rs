//! The log: segments of groups, appended by one writer, read by anybody.
//!
//! The log is the truth; the index is derived from it. A group is acknowledged after [`Log::append`]
//! returns, that is after its fsync.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::format::{self, Group, Position, SEGMENT_HEADER, Seed};
use super::log_tail::Tail;

/// A segment is closed when the next group would make it longer.
pub(super) const SEGMENT_BYTES: u64 = 128 * 1024 * 1024;
/// Segment files held open for reading.
const OPEN_SEGMENTS_MAX: usize = 128;
const SUFFIX: &str = ".log";

/// All segments.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    segments: RwLock<BTreeMap<u32, Segment>>,
    pub(super) segment_bytes: u64,
    pub(super) seed: Seed,
}

#[derive(Debug)]
pub(super) struct Segment {
    /// Invariant: everything below it is fsynced groups, or damage found later.
    pub(super) length: u64,
    pub(super) file: Option<Arc<dyn DiskFile>>,
}

/// Why a record cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// Its segment was compacted away: look its position up again.
    Gone,
    /// The file ends before it does.
    Short,
    /// The disk does not give it.
    Io(io::Error),
}

impl Log {
    /// Takes stock of the segments. A last segment that a crash left without a whole header is removed.
    pub(super) fn open(disk: Arc<dyn Disk>, segment_bytes: u64, seed: Seed) -> io::Result<Self> {
        let mut segments = BTreeMap::new();
        for name in disk.names()? {
            let Some(number) = name
                .strip_suffix(SUFFIX)
                .and_then(|digits| digits.parse().ok())
            else {
                continue;
            };
            let file = disk.open(&name)?;
            segments.insert(
                number,
                Segment {
                    length: file.length()?,
                    file: None,
                },
            );
        }
        if let Some((&last, segment)) = segments.last_key_value()
            && segment.length < SEGMENT_HEADER as u64
        {
            disk.remove(&file_name(last))?;
            disk.sync_directory()?;
            segments.remove(&last);
        }
        Ok(Self {
            disk,
            segments: RwLock::new(segments),
            segment_bytes,
            seed,
        })
    }

    /// What keys the checksums.
    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    /// A group to be filled and appended.
    pub(super) fn group(&self, tail: &Tail, capacity: usize) -> Group {
        Group::new(tail.next_group, self.seed, capacity)
    }

    /// Numbers and lengths, ascending.
    pub(super) fn segments(&self) -> Vec<(u32, u64)> {
        self.read_map()
            .iter()
            .map(|(&number, segment)| (number, segment.length))
            .collect()
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.read_map().values().map(|segment| segment.length).sum()
    }

    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    /// The writer's end of the last segment, cut at `length`; a first segment if there is none.
    pub(super) fn tail(&self, next_group: u64) -> io::Result<Tail> {
        let last = self
            .read_map()
            .last_key_value()
            .map(|(&number, segment)| (number, segment.length));
        let Some((segment, length)) = last else {
            return self.start_segment(1, next_group);
        };
        Ok(Tail {
            segment,
            length,
            next_group,
            file: self.file(segment)?.expect("it is in the map"),
        })
    }

    /// Cuts a torn end off, durably.
    pub(super) fn cut(&self, segment: u32, length: u64) -> io::Result<()> {
        let file = self
            .file(segment)?
            .expect("only existing segments are scanned");
        file.cut(length)?;
        file.sync()?;
        self.write_map()
            .get_mut(&segment)
            .expect("only existing segments are scanned")
            .length = length;
        Ok(())
    }

    /// The group number that a segment's header promises; `None` when the header is damaged.
    pub(super) fn first_group(&self, segment: u32) -> io::Result<Option<u64>> {
        let mut header = [0; SEGMENT_HEADER];
        match self.file(segment)? {
            Some(file) => file
                .read_at(&mut header, 0)
                .map(|()| format::first_group(&header)),
            None => Ok(None),
        }
    }

    /// The raw bytes of a record, not verified.
    pub(super) fn read(&self, at: Position) -> Result<Bytes, ReadError> {
        let file = self
            .file(at.segment)
            .map_err(ReadError::Io)?
            .ok_or(ReadError::Gone)?;
        let mut raw = vec![0; at.length as usize];
        match file.read_at(&mut raw, u64::from(at.offset)) {
            Ok(()) => Ok(raw.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ReadError::Short),
            Err(error) => Err(ReadError::Io(error)),
        }
    }

    /// Deletes a segment that holds nothing any more.
    pub(super) fn remove(&self, segment: u32) -> io::Result<u64> {
        let removed = self.write_map().remove(&segment);
        self.disk.remove(&file_name(segment))?;
        self.disk.sync_directory()?;
        Ok(removed.map_or(0, |segment| segment.length))
    }

    /// A segment's file; `None` when there is no such segment (any more).
    pub(super) fn file(&self, segment: u32) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match self.read_map().get(&segment) {
            None => return Ok(None),
            Some(Segment {
                file: Some(file), ..
            }) => return Ok(Some(file.clone())),
            Some(Segment { file: None, .. }) => {}
        }
        let mut map = self.write_map();
        if map
            .values()
            .filter(|segment| segment.file.is_some())
            .count()
            >= OPEN_SEGMENTS_MAX
        {
            let oldest = map.values_mut().find(|segment| segment.file.is_some());
            oldest.expect("some are open").file = None;
        }
        let Some(entry) = map.get_mut(&segment) else {
            return Ok(None);
        };
        let file = self.disk.open(&file_name(segment))?;
        entry.file = Some(file.clone());
        Ok(Some(file))
    }

    // A panic while the map is held leaves it whole: each change is one assignment.
    fn read_map(&self) -> RwLockReadGuard<'_, BTreeMap<u32, Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_map(&self) -> RwLockWriteGuard<'_, BTreeMap<u32, Segment>> {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn file_name(segment: u32) -> String {
    format!("{segment:010}{SUFFIX}")
}
