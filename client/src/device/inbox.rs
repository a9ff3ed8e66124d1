//! The inbox: pages of the home, kept as they came.
//!
//! A page is one file, written whole; its name says which numbers it holds, so the cursor is never
//! ahead of what is on disk (MBX-5.7). Nothing that was opened is kept: a letter is verified and
//! opened again each time it is shown, from the exact bytes.
//!
//! ```text
//! inbox/0000000000000001-0000000000000042.page
//!   one line of JSON (when it came, by which directory), then the bytes of the SyncPage
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pli_protocol::codec;
use pli_protocol::id::Timestamp;
use pli_protocol::limits;
use pli_protocol::trust::Versions;
use pli_protocol::wire;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::cursor::{Cursor, Numbered, PageFault};
use crate::folder::{self, FileError, Secrecy};

const VERSION: u32 = 1;
const SUFFIX: &str = ".page";
/// The line of a page.
const LINE_MAX: usize = 256;
/// A page and its line.
const FILE_MAX: u64 = (limits::FRAME_MAX + LINE_MAX) as u64;

/// When a page came, and by which state of the directory it could be checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// By this device's clock.
    pub received: Timestamp,
    /// The directory in force then; its evidence is kept under these numbers.
    pub directory: Versions,
}

/// A number of the account and how it came.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The number and what is behind it.
    pub numbered: Numbered,
    /// How it came.
    pub arrival: Arrival,
}

/// Why the inbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The files.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that this program did not write, or not whole.
    #[error("{}: {problem}; move it away and run: pli device inbox (the home gives it again)", .path.display())]
    Damaged { path: PathBuf, problem: String },
    /// A file is missing between two others.
    #[error("{}: the file with number {missing} is missing; move the files after it away and run: pli device inbox (the home gives them again)", .folder.display())]
    Missing { folder: PathBuf, missing: u64 },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    version: u32,
    received_ms: u64,
    latest_seq: u64,
    root: u64,
    timestamp: u64,
    snapshot: u64,
    targets: u64,
}

/// A folder of pages.
#[derive(Clone, Debug)]
pub struct Inbox {
    folder: PathBuf,
    /// Ascending, without gaps from 1.
    pages: Vec<(u64, u64)>,
    cursor: Cursor,
}

impl Inbox {
    /// Opens the pages of a folder; what a crash left of a page that was being written is ignored.
    pub fn open(folder: &Path) -> Result<Self, InboxError> {
        folder::create_folder(folder)?;
        let mut pages = Vec::new();
        for entry in fs::read_dir(folder).map_err(FileError::at(folder))? {
            let name = entry.map_err(FileError::at(folder))?.file_name();
            if let Some(range) = name.to_str().and_then(range) {
                pages.push(range);
            }
        }
        pages.sort_unstable();
        let mut inbox = Self {
            folder: folder.to_owned(),
            pages,
            cursor: Cursor::default(),
        };
        let mut due = 1;
        for (first, last) in &inbox.pages {
            if *first != due {
                return Err(InboxError::Missing {
                    folder: folder.to_owned(),
                    missing: due,
                });
            }
            due = last + 1;
        }
        if let Some(last) = inbox.pages.last() {
            let (line, _) = inbox.read(*last)?;
            inbox.cursor = Cursor {
                after: last.1,
                latest: line.latest_seq.max(last.1),
            };
        }
        Ok(inbox)
    }

    /// How far the pages go.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Checks a page of the home and keeps it; durable when it returns. A page without items only
    /// says how far the account goes, and is not kept.
    pub fn take(
        &mut self,
        page: &wire::SyncPage,
        arrival: Arrival,
    ) -> Result<Result<Vec<Entry>, PageFault>, InboxError> {
        let mut cursor = self.cursor;
        let numbered = match cursor.take(page) {
            Ok(numbered) => numbered,
            Err(fault) => return Ok(Err(fault)),
        };
        if !page.items.is_empty() {
            let range = (self.cursor.after + 1, cursor.after);
            let line = Line {
                version: VERSION,
                received_ms: arrival.received.as_ms(),
                latest_seq: page.latest_seq,
                root: arrival.directory.root,
                timestamp: arrival.directory.timestamp,
                snapshot: arrival.directory.snapshot,
                targets: arrival.directory.targets,
            };
            let mut bytes = serde_json::to_vec(&line).expect("numbers are JSON");
            bytes.push(b'\n');
            bytes.extend_from_slice(&codec::encode(page));
            folder::write(&self.path(range), &bytes, Secrecy::Owner)?;
            self.pages.push(range);
        }
        self.cursor = cursor;
        let entry = |numbered| Entry { numbered, arrival };
        Ok(Ok(numbered.into_iter().map(entry).collect()))
    }

    /// Everything, in the order of the numbers; one page in memory at a time. A damaged page is an
    /// error of its own and the next one follows.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, InboxError>> {
        self.pages.iter().flat_map(|range| match self.page(*range) {
            Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// How many pages there are.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// What is on one page, counted from 0.
    pub fn page_at(&self, index: usize) -> Result<Vec<Entry>, InboxError> {
        let range = self.pages.get(index).copied();
        range.map_or(Ok(Vec::new()), |range| self.page(range))
    }

    /// One number.
    pub fn entry(&self, seq: u64) -> Result<Option<Entry>, InboxError> {
        let page = self
            .pages
            .iter()
            .find(|(first, last)| (*first..=*last).contains(&seq));
        let Some(range) = page else { return Ok(None) };
        let mut entries = self.page(*range)?.into_iter();
        Ok(entries.find(|entry| entry.numbered.holds(seq)))
    }

    fn page(&self, range: (u64, u64)) -> Result<Vec<Entry>, InboxError> {
        let (line, page) = self.read(range)?;
        let directory = Versions {
            root: line.root,
            timestamp: line.timestamp,
            snapshot: line.snapshot,
            targets: line.targets,
        };
        let arrival = Arrival {
            received: Timestamp::from_ms(line.received_ms),
            directory,
        };
        let damaged = |problem: String| InboxError::Damaged {
            path: self.path(range),
            problem,
        };
        // The same rules as when it came.
        let mut cursor = Cursor {
            after: range.0 - 1,
            latest: 0,
        };
        let numbered = cursor
            .take(&page)
            .map_err(|fault| damaged(fault.to_string()))?;
        if cursor.after != range.1 {
            return Err(damaged(
                "it does not hold the numbers of its name".to_owned(),
            ));
        }
        let entry = |numbered| Entry { numbered, arrival };
        Ok(numbered.into_iter().map(entry).collect())
    }

    fn read(&self, range: (u64, u64)) -> Result<(Line, wire::SyncPage), InboxError> {
        let path = self.path(range);
        let damaged = |problem: String| InboxError::Damaged {
            path: path.clone(),
            problem,
        };
        let bytes = Bytes::from(folder::read(&path, FILE_MAX)?);
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| damaged("it has no first line".to_owned()))?;
        let line: Line =
            serde_json::from_slice(&bytes[..end]).map_err(|error| damaged(error.to_string()))?;
        if line.version != VERSION {
            return Err(damaged(format!(
                "version {}, expected {VERSION}",
                line.version
            )));
        }
        let page = codec::decode_canonical(&bytes.slice(end + 1..), limits::FRAME_MAX)
            .map_err(|error| damaged(error.to_string()))?;
        Ok((line, page))
    }

    fn path(&self, (first, last): (u64, u64)) -> PathBuf {
        self.folder.join(format!("{first:016}-{last:016}{SUFFIX}"))
    }
}

/// What a page costs on disk: itself and its line.
pub(super) fn size(page: &wire::SyncPage) -> usize {
    page.encoded_len() + LINE_MAX
}

fn range(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (1 <= first && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::verify::tests::letter;

    const DIRECTORY: Versions = Versions {
        root: 1,
        timestamp: 9,
        snapshot: 8,
        targets: 7,
    };

    fn arrival() -> Arrival {
        Arrival {
            received: Timestamp::from_ms(1_795_000_000_000),
            directory: DIRECTORY,
        }
    }

    fn page(seqs: std::ops::RangeInclusive<u64>, latest_seq: u64) -> wire::SyncPage {
        let item = |seq| wire::SyncItem {
            seq,
            stored_ms: 1_795_000_000_000,
            envelope: letter(&format!("Lettre {seq}")),
            ..wire::SyncItem::default()
        };
        wire::SyncPage {
            items: seqs.map(item).collect(),
            latest_seq,
        }
    }

    #[test]
    fn mbx_5_7_the_cursor_is_what_is_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut inbox = Inbox::open(folder.path()).expect("empty");
        assert_eq!(inbox.cursor(), Cursor::default());
        inbox
            .take(&page(1..=3, 5), arrival())
            .expect("written")
            .expect("due");
        let fault = inbox
            .take(&page(5..=5, 5), arrival())
            .expect("readable")
            .expect_err("a gap");
        assert_eq!(
            fault,
            PageFault::Gap {
                expected: 4,
                got: 5
            }
        );
        inbox
            .take(&page(4..=5, 5), arrival())
            .expect("written")
            .expect("due");

        // A crash in the middle of writing leaves a temporary file, which nobody reads.
        fs::write(folder.path().join(".new-abc"), b"half a page").expect("own folder");
        let again = Inbox::open(folder.path()).expect("whole");
        assert_eq!(
            again.cursor(),
            Cursor {
                after: 5,
                latest: 5
            }
        );
        let entries: Vec<Entry> = again.entries().map(|entry| entry.expect("whole")).collect();
        assert_eq!(entries.len(), 5);
        assert_eq!(entries[4].arrival, arrival());
        assert_eq!(
            again
                .entry(4)
                .expect("readable")
                .expect("there")
                .numbered
                .seq,
            4
        );
        assert!(again.entry(6).expect("readable").is_none());
    }

    #[test]
    fn case_41_a_damaged_or_missing_page_is_said_and_the_others_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut inbox = Inbox::open(folder.path()).expect("empty");
        for seq in 1..=3 {
            inbox
                .take(&page(seq..=seq, 3), arrival())
                .expect("written")
                .expect("due");
        }
        let second = inbox.path((2, 2));
        let whole = fs::read(&second).expect("there");
        for cut in [0, 10, whole.len() / 2, whole.len() - 1] {
            fs::write(&second, &whole[..cut]).expect("own file");
            let read: Vec<_> = inbox.entries().collect();
            assert!(read[0].is_ok() && read[2].is_ok());
            assert!(
                matches!(read[1], Err(InboxError::Damaged { .. })),
                "cut at {cut}"
            );
        }
        fs::remove_file(&second).expect("own file");
        let missing = Inbox::open(folder.path()).expect_err("a gap");
        assert!(matches!(missing, InboxError::Missing { missing: 2, .. }));
    }
}
