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
    #[error("{}: numbers {first} to {last} are missing; run: pli device inbox (the home gives again what it still has)", .folder.display())]
    Missing {
        folder: PathBuf,
        first: u64,
        last: u64,
    },
}

/// What was taken of a page.
#[derive(Debug)]
pub struct Taken {
    /// Its new numbers.
    pub entries: Vec<Entry>,
    /// A gap is filled: what the home says next is here already.
    pub asks_anew: bool,
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
    /// Ascending, none over another. A file that was moved away leaves a gap.
    pages: Vec<(u64, u64)>,
    /// The end of what there is without a gap, from 1.
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
        if let Some((one, other)) = inbox.overlap() {
            return Err(InboxError::Damaged {
                path: inbox.path(other),
                problem: format!("it holds numbers of {} too", inbox.path(one).display()),
            });
        }
        if let Some(last) = inbox.pages.last() {
            // A damaged one is said where it stands; what the home gave out is then known from the next answer.
            let latest = inbox.read(*last).map_or(0, |(line, _)| line.latest_seq);
            inbox.cursor = Cursor {
                after: 0,
                latest: latest.max(last.1),
            };
        }
        inbox.move_on();
        Ok(inbox)
    }

    fn overlap(&self) -> Option<((u64, u64), (u64, u64))> {
        let mut pairs = self.pages.windows(2).map(|pair| (pair[0], pair[1]));
        pairs.find(|(one, other)| other.0 <= one.1)
    }

    /// The next page after the gap behind the cursor.
    fn beyond_gap(&self) -> Option<(u64, u64)> {
        let at = self
            .pages
            .partition_point(|page| page.0 <= self.cursor.after);
        self.pages.get(at).copied()
    }

    /// Past everything that follows without a gap. Whether there was anything.
    fn move_on(&mut self) -> bool {
        let before = self.cursor.after;
        while let Some((first, last)) = self.beyond_gap()
            && first == self.cursor.after + 1
        {
            self.cursor.after = last;
        }
        self.cursor.after > before
    }

    /// How far the pages go.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Checks a page of the home and keeps it; durable when it returns. A page without items only
    /// says how far the account goes, and is not kept.
    ///
    /// Of a page that fills a gap, what is here already is left out, and the cursor moves past it: then the home has to
    /// be asked anew from there on ([`Taken::asks_anew`]).
    pub fn take(
        &mut self,
        page: &wire::SyncPage,
        arrival: Arrival,
    ) -> Result<Result<Taken, PageFault>, InboxError> {
        let mut cursor = self.cursor;
        let mut page = page.clone();
        let mut numbered = match cursor.take(&page) {
            Ok(numbered) => numbered,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Some((first, _)) = self.beyond_gap()
            && cursor.after >= first
        {
            let kept = numbered.partition_point(|numbered| numbered.seq < first);
            // Of numbers that were never used, those up to what is here.
            let crosses = |numbered: &&mut Numbered| numbered.holds(first - 1);
            let crossing = numbered.get_mut(kept).filter(crosses);
            let kept = kept + usize::from(crossing.is_some());
            if let Some(crossing) = crossing {
                crossing.seq = first - 1;
                page.items[kept - 1].seq = first - 1;
            }
            numbered.truncate(kept);
            page.items.truncate(kept);
            cursor.after = first - 1;
        }
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
            bytes.extend_from_slice(&codec::encode(&page));
            folder::write(&self.path(range), &bytes, Secrecy::Owner)?;
            let at = self.pages.partition_point(|page| *page < range);
            self.pages.insert(at, range);
        }
        self.cursor = cursor;
        let asks_anew = self.move_on();
        let entry = |numbered| Entry { numbered, arrival };
        let entries = numbered.into_iter().map(entry).collect();
        Ok(Ok(Taken { entries, asks_anew }))
    }

    /// Everything, in the order of the numbers; one page in memory at a time. A damaged page and a gap are errors of
    /// their own, and the next page follows.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, InboxError>> {
        (0..self.parts()).flat_map(|part| match self.part(part) {
            Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// How many parts there are: before each page, what is missing there.
    pub fn parts(&self) -> usize {
        self.pages.len() * 2
    }

    /// What is on one of them, counted from 0.
    pub fn part(&self, part: usize) -> Result<Vec<Entry>, InboxError> {
        let index = part / 2;
        let Some(range) = self.pages.get(index).copied() else {
            return Ok(Vec::new());
        };
        if part % 2 == 1 {
            return self.page(range);
        }
        let before = index
            .checked_sub(1)
            .map_or(0, |before| self.pages[before].1);
        match before + 1 < range.0 {
            true => Err(InboxError::Missing {
                folder: self.folder.clone(),
                first: before + 1,
                last: range.0 - 1,
            }),
            false => Ok(Vec::new()),
        }
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
        // Moved away, it is given again; nothing else is hidden meanwhile, and nothing is asked for twice.
        fs::remove_file(&second).expect("own file");
        let mut inbox = Inbox::open(folder.path()).expect("with a gap");
        let read: Vec<_> = inbox.entries().collect();
        assert!(read[0].is_ok() && read[2].is_ok());
        assert!(matches!(
            read[1],
            Err(InboxError::Missing {
                first: 2,
                last: 2,
                ..
            })
        ));
        assert_eq!(
            inbox.cursor().after,
            1,
            "the home is asked for what is missing"
        );
        let taken = inbox
            .take(&page(2..=3, 3), arrival())
            .expect("written")
            .expect("due");
        assert_eq!((taken.entries.len(), taken.asks_anew), (1, true));
        assert_eq!(inbox.cursor().after, 3);
        let again = Inbox::open(folder.path()).expect("whole");
        assert_eq!(
            again
                .entries()
                .map(|entry| entry.expect("whole").numbered.seq)
                .collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    #[test]
    fn case_41_numbers_that_were_never_used_fill_a_gap_up_to_what_is_here() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut inbox = Inbox::open(folder.path()).expect("empty");
        for seqs in [1..=1, 2..=4, 5..=5] {
            inbox
                .take(&page(seqs, 5), arrival())
                .expect("written")
                .expect("due");
        }
        fs::remove_file(inbox.path((2, 4))).expect("own file");
        let mut inbox = Inbox::open(folder.path()).expect("with a gap");
        let skipped = wire::SyncPage {
            items: vec![wire::SyncItem {
                seq: 9,
                absence: wire::Absence::Skipped as i32,
                ..wire::SyncItem::default()
            }],
            latest_seq: 9,
        };
        let taken = inbox
            .take(&skipped, arrival())
            .expect("written")
            .expect("due");
        assert!(taken.asks_anew);
        assert_eq!(inbox.cursor().after, 5, "the letter that is here stays");
        let again = Inbox::open(folder.path()).expect("whole");
        assert!(
            again
                .entry(3)
                .expect("readable")
                .is_some_and(|entry| entry.numbered.holds(2))
        );
        assert!(matches!(
            again
                .entry(5)
                .expect("readable")
                .expect("there")
                .numbered
                .body,
            crate::device::cursor::Body::Envelope { .. }
        ));
    }
}
