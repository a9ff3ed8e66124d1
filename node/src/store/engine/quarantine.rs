//! Where damaged records go: files for a human to look at, bounded in number. Nothing reads them back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::format::Position;
use super::log::Log;

/// Files kept; beyond it damage is only counted and logged.
const FILES_MAX: u64 = 1_024;
/// Bytes kept of one torn group.
const TORN_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The directory of damaged records.
#[derive(Debug)]
pub(super) struct Quarantine {
    directory: PathBuf,
    count: AtomicU64,
}

impl Quarantine {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut count = 0;
        for entry in fs::read_dir(directory)? {
            count += u64::from(
                entry?
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "record"),
            );
        }
        Ok(Self {
            directory: directory.into(),
            count: AtomicU64::new(count),
        })
    }

    /// Damaged records put aside so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Copies a damaged record out of the log. The first time for each place counts.
    pub(super) fn keep_from_log(&self, log: &Log, at: Position) {
        let path = self
            .directory
            .join(format!("{}-{}.record", at.segment, at.offset));
        if path.exists() {
            return;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            segment = at.segment,
            offset = at.offset,
            length = at.length,
            "a record is damaged: put aside"
        );
        if count < FILES_MAX {
            let raw = log.read(at).unwrap_or_default();
            self.write(&path, &raw);
        }
    }

    /// Copies what is cut off the log's end.
    pub(super) fn keep_torn(&self, log: &Log, segment: u32, start: u64, end: u64) {
        let length = (end - start).min(TORN_BYTES_MAX);
        let (Ok(offset), Ok(length)) = (u32::try_from(start), u32::try_from(length)) else {
            return;
        };
        if let Ok(raw) = log.read(Position {
            segment,
            offset,
            length,
        }) {
            self.write(&self.directory.join("last.torn"), &raw);
        }
    }

    // Losing the copy loses nothing that the node needs.
    fn write(&self, path: &Path, raw: &[u8]) {
        if let Err(error) = fs::write(path, raw) {
            tracing::warn!(%error, path = %path.display(), "cannot keep a copy of damaged bytes");
        }
    }
}
