//! The end of the log, where the one writer appends.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::apply::Applied;
use super::disk::DiskFile;
use super::format::{self, Group, SEGMENT_HEADER};
use super::log::{Log, Segment, file_name};

/// Buffers of one write; what Linux takes (`IOV_MAX`).
const BUFFERS_MAX: usize = 1_024;

/// Where the next group goes. Only the writer has it.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) segment: u32,
    pub(super) length: u64,
    pub(super) next_group: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

impl Tail {
    /// When all of the log has been applied.
    pub(super) fn applied(&self) -> Applied {
        Applied {
            segment: self.segment,
            offset: self.length,
            next_group: self.next_group,
        }
    }
}

/// Why a group is not in the log.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing of it is there; try again later.
    NoSpace,
    /// Whether it is there is unknown: the process must end.
    Fatal {
        doing: &'static str,
        source: io::Error,
    },
}

impl Log {
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
        tail.file.sync().map_err(|source| AppendError::Fatal {
            doing: "syncing the log",
            source,
        })?;
        let offset = u32::try_from(tail.length).expect("a segment is below 4 GiB");
        tail.length += bytes;
        tail.next_group = group.number + 1;
        self.write_map()
            .get_mut(&tail.segment)
            .expect("the tail is in the map")
            .length = tail.length;
        Ok((tail.segment, offset))
    }

    // A write that found no space leaves nothing behind. Any other failure is not understood, so it is fatal.
    fn undo(&self, tail: &Tail, error: io::Error) -> AppendError {
        let fatal = |source| AppendError::Fatal {
            doing: "writing the log",
            source,
        };
        if !matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return fatal(error);
        }
        match tail.file.cut(tail.length) {
            Ok(()) => AppendError::NoSpace,
            Err(source) => fatal(source),
        }
    }

    fn next_segment(&self, tail: &Tail) -> Result<Tail, AppendError> {
        self.start_segment(tail.segment + 1, tail.next_group)
            .map_err(|source| match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AppendError::NoSpace,
                _ => AppendError::Fatal {
                    doing: "starting a segment",
                    source,
                },
            })
    }

    pub(super) fn start_segment(&self, number: u32, next_group: u64) -> io::Result<Tail> {
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
        self.write_map().insert(
            number,
            Segment {
                length,
                file: Some(file.clone()),
            },
        );
        Ok(Tail {
            segment: number,
            length,
            next_group,
            file,
        })
    }
}

fn write_all(
    file: &dyn DiskFile,
    mut buffers: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
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
