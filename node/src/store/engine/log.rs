//! The log: segments of groups, appended by one writer, read by anybody.
//!
//! The log is the truth; the index is derived from it. A group is acknowledged after [`Log::append`]
//! returns, that is after its fsync.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::apply::Applied;
use super::disk::{Disk, DiskFile};
use super::format::{self, Group, Position, SEGMENT_HEADER, Seed};

/// A segment is closed when the next group would make it longer.
pub(super) const SEGMENT_BYTES: u64 = 128 * 1024 * 1024;
/// Segment files held open for reading.
const OPEN_SEGMENTS_MAX: usize = 128;
/// Buffers of one write; what Linux takes (`IOV_MAX`).
const BUFFERS_MAX: usize = 1_024;
const SUFFIX: &str = ".log";

/// All segments.
#[derive(Debug)]
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    segments: RwLock<BTreeMap<u32, Segment>>,
    segment_bytes: u64,
    seed: Seed,
}

#[derive(Debug)]
struct Segment {
    /// Invariant: everything below it is fsynced groups, or damage found later.
    length: u64,
    file: Option<Arc<dyn DiskFile>>,
}

/// Where the next group goes. Only the writer has it.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) segment: u32,
    pub(super) length: u64,
    pub(super) next_group: u64,
    file: Arc<dyn DiskFile>,
}

impl Tail {
    /// When all of the log has been applied.
    pub(super) fn applied(&self) -> Applied {
        Applied { segment: self.segment, offset: self.length, next_group: self.next_group }
    }
}

/// Why a group is not in the log.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing of it is there; try again later.
    NoSpace,
    /// Whether it is there is unknown: the process must end.
    Fatal { doing: &'static str, source: io::Error },
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
            let Some(number) = name.strip_suffix(SUFFIX).and_then(|digits| digits.parse().ok()) else { continue };
            let file = disk.open(&name)?;
            segments.insert(number, Segment { length: file.len()?, file: None });
        }
        if let Some((&last, segment)) = segments.last_key_value()
            && segment.length < SEGMENT_HEADER as u64
        {
            disk.remove(&file_name(last))?;
            disk.sync_directory()?;
            segments.remove(&last);
        }
        Ok(Self { disk, segments: RwLock::new(segments), segment_bytes, seed })
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
        self.read_map().iter().map(|(&number, segment)| (number, segment.length)).collect()
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.read_map().values().map(|segment| segment.length).sum()
    }

    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    /// The writer's end of the last segment, cut at `length`; a first segment if there is none.
    pub(super) fn tail(&self, next_group: u64) -> io::Result<Tail> {
        let last = self.read_map().last_key_value().map(|(&number, segment)| (number, segment.length));
        let Some((segment, length)) = last else { return self.start_segment(1, next_group) };
        Ok(Tail { segment, length, next_group, file: self.file(segment)?.expect("it is in the map") })
    }

    /// Cuts a torn end off, durably.
    pub(super) fn cut(&self, segment: u32, length: u64) -> io::Result<()> {
        let file = self.file(segment)?.expect("only existing segments are scanned");
        file.cut(length)?;
        file.sync()?;
        self.write_map().get_mut(&segment).expect("only existing segments are scanned").length = length;
        Ok(())
    }

    /// The group number that a segment's header promises; `None` when the header is damaged.
    pub(super) fn first_group(&self, segment: u32) -> io::Result<Option<u64>> {
        let mut header = [0; SEGMENT_HEADER];
        match self.file(segment)? {
            Some(file) => file.read_at(&mut header, 0).map(|()| format::first_group(&header)),
            None => Ok(None),
        }
    }

    /// Writes a group and fsyncs it once. Returns its segment and offset.
    pub(super) fn append(&self, tail: &mut Tail, group: &Group) -> Result<(u32, u32), AppendError> {
        let bytes = group.total_bytes() as u64;
        if tail.length > SEGMENT_HEADER as u64 && tail.length + bytes > self.segment_bytes {
            *tail = self.next_segment(tail)?;
        }
        let header = group.header();
        let mut buffers = Vec::with_capacity(1 + group.len() * 2);
        buffers.push(IoSlice::new(&header));
        for (head, body) in group.parts() {
            buffers.push(IoSlice::new(head));
            if !body.is_empty() {
                buffers.push(IoSlice::new(body));
            }
        }
        if let Err(error) = write_all(&*tail.file, &mut buffers, tail.length) {
            return Err(self.undo(tail, error));
        }
        // Case 39: a failed fsync is never repeated, a second one could succeed without the data being there.
        tail.file.sync().map_err(|source| AppendError::Fatal { doing: "syncing the log", source })?;
        let offset = u32::try_from(tail.length).expect("a segment is below 4 GiB");
        tail.length += bytes;
        tail.next_group = group.number + 1;
        self.write_map().get_mut(&tail.segment).expect("the tail is in the map").length = tail.length;
        Ok((tail.segment, offset))
    }

    // A write that found no space leaves nothing behind. Any other failure is not understood, so it is fatal.
    fn undo(&self, tail: &Tail, error: io::Error) -> AppendError {
        let fatal = |source| AppendError::Fatal { doing: "writing the log", source };
        if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return fatal(error);
        }
        match tail.file.cut(tail.length) {
            Ok(()) => AppendError::NoSpace,
            Err(source) => fatal(source),
        }
    }

    fn next_segment(&self, tail: &Tail) -> Result<Tail, AppendError> {
        self.start_segment(tail.segment + 1, tail.next_group).map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AppendError::NoSpace,
            _ => AppendError::Fatal { doing: "starting a segment", source },
        })
    }

    fn start_segment(&self, number: u32, next_group: u64) -> io::Result<Tail> {
        let name = file_name(number);
        let file = self.disk.create(&name)?;
        let header = format::segment_header(number, next_group, self.seed);
        let written = write_all(&*file, &mut [IoSlice::new(&header)], 0)
            .and_then(|()| file.sync())
            .and_then(|()| self.disk.sync_directory());
        if let Err(error) = written {
            // Best effort: without it the next attempt finds the name taken and is fatal, which is safe.
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        let length = SEGMENT_HEADER as u64;
        self.write_map().insert(number, Segment { length, file: Some(file.clone()) });
        Ok(Tail { segment: number, length, next_group, file })
    }

    /// The raw bytes of a record, not verified.
    pub(super) fn read(&self, at: Position) -> Result<Bytes, ReadError> {
        let file = self.file(at.segment).map_err(ReadError::Io)?.ok_or(ReadError::Gone)?;
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
            Some(Segment { file: Some(file), .. }) => return Ok(Some(file.clone())),
            Some(Segment { file: None, .. }) => {}
        }
        let mut map = self.write_map();
        if map.values().filter(|segment| segment.file.is_some()).count() >= OPEN_SEGMENTS_MAX {
            let oldest = map.values_mut().find(|segment| segment.file.is_some());
            oldest.expect("some are open").file = None;
        }
        let Some(entry) = map.get_mut(&segment) else { return Ok(None) };
        let file = self.disk.open(&file_name(segment))?;
        entry.file = Some(file.clone());
        Ok(Some(file))
    }

    // A panic while the map is held leaves it whole: each change is one assignment.
    fn read_map(&self) -> RwLockReadGuard<'_, BTreeMap<u32, Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_map(&self) -> RwLockWriteGuard<'_, BTreeMap<u32, Segment>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file_name(segment: u32) -> String {
    format!("{segment:010}{SUFFIX}")
}

fn write_all(file: &dyn DiskFile, mut buffers: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    while !buffers.is_empty() {
        let some = buffers.len().min(BUFFERS_MAX);
        match file.write_at(&buffers[..some], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut buffers, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
