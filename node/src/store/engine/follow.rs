//! Following the log: what this node did, read in order by the keeper of its evidence.
//!
//! The log is the only source, so nothing that was acknowledged is missing, whatever is killed. What is read soon
//! comes out of memory ([`Latest`]): the recorder of a busy node would otherwise read every letter again.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use pli_protocol::id::{AuthorityId, EnvelopeId};

use super::Engine;
use super::format::{Kind, Record, SEGMENT_HEADER};
use super::known::{EnvelopeMeta, Placed};
use super::scan::scan_to;
use super::values::decode_settlement;
use crate::store::{Cursor, Happened, HappenedPage, Kept, Outcome, Sender, StoreError};

/// Bytes of the log that one page reads at least, where there are so many.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;
/// Things that happened and are kept in memory until they are read: about 100 bytes each.
const LATEST_MAX: usize = 65_536;
/// Nobody follows.
pub(super) const NOBODY: u64 = u64::MAX;

impl Cursor {
    fn new(segment: u32, offset: u64) -> Self {
        Self(u64::from(segment) << 32 | offset)
    }

    fn segment(self) -> u32 {
        u32::try_from(self.0 >> 32).expect("32 bits are left")
    }

    fn offset(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

/// What the last groups did, until it is read.
#[derive(Debug, Default)]
pub(super) struct Latest {
    groups: VecDeque<Group>,
    items: usize,
}

#[derive(Debug)]
struct Group {
    from: Cursor,
    to: Cursor,
    items: Vec<Happened>,
}

impl Latest {
    fn push(&mut self, group: Group) {
        self.items += group.items.len();
        self.groups.push_back(group);
        while self.items > LATEST_MAX {
            let Some(oldest) = self.groups.pop_front() else {
                return;
            };
            self.items -= oldest.items.len();
        }
    }

    /// What follows on a cursor without a gap; forgets what came before it.
    fn take(&mut self, after: Cursor) -> Option<HappenedPage> {
        while self.groups.front().is_some_and(|group| group.from < after) {
            self.pop();
        }
        let mut page = HappenedPage {
            items: Vec::new(),
            next: after,
        };
        while self
            .groups
            .front()
            .is_some_and(|group| group.from == page.next)
        {
            let group = self.pop();
            page.items.extend(group.items);
            page.next = group.to;
        }
        (page.next != after).then_some(page)
    }

    fn pop(&mut self) -> Group {
        let group = self.groups.pop_front().expect("the caller saw one");
        self.items -= group.items.len();
        group
    }
}

/// Why a walk ended early.
enum Stop {
    Enough,
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Engine {
    pub(super) fn happened_after(&self, after: Cursor) -> Result<HappenedPage, StoreError> {
        let before = {
            let mut latest = self.latest.lock();
            if let Some(page) = latest.take(after) {
                return Ok(page);
            }
            latest.groups.front().map(|group| group.from)
        };
        self.happened_in_log(after, before)
            .map_err(|source| self.fatal("reading the log", source))
    }

    /// Keeps a group's doings in memory for [`Engine::happened_after`]. Only if somebody follows.
    pub(super) fn note_happened(
        &self,
        (segment, offset): (u32, u32),
        bytes: usize,
        items: impl FnOnce() -> Vec<Happened>,
    ) {
        if self.held_from.load(Ordering::Relaxed) == NOBODY {
            return;
        }
        let from = Cursor::new(segment, u64::from(offset));
        let group = Group {
            from,
            to: Cursor(from.0 + bytes as u64),
            items: items(),
        };
        let mut latest = self.latest.lock();
        latest.push(group);
    }

    fn happened_in_log(&self, after: Cursor, before: Option<Cursor>) -> io::Result<HappenedPage> {
        let mut page = HappenedPage {
            items: Vec::new(),
            next: after,
        };
        let mut read = 0;
        for (segment, length) in self.log.segments() {
            if segment < after.segment() || before.is_some_and(|end| segment > end.segment()) {
                continue;
            }
            let from = match segment == after.segment() {
                true => after.offset(),
                false => SEGMENT_HEADER as u64,
            };
            // The length that the map knows: what is beyond is not synced yet.
            let end = match before {
                Some(before) if before.segment() == segment => before.offset(),
                _ => length,
            };
            let walked = scan_to(&self.log, segment, from, end, |scanned| {
                for (_, record) in &scanned.records {
                    let own = &self.options.authority;
                    page.items
                        .extend(record.as_ref().and_then(|record| of(record, own)));
                }
                page.next = Cursor::new(segment, scanned.end);
                read += scanned.end - scanned.start;
                if read >= PAGE_BYTES {
                    Err(Stop::Enough)
                } else {
                    Ok(())
                }
            });
            match walked {
                Ok(()) => {}
                Err(Stop::Enough) => return Ok(page),
                Err(Stop::Io(error)) => return Err(error),
            }
        }
        // Nothing is left before what is in memory.
        page.next = page.next.max(before.unwrap_or_default());
        Ok(page)
    }

    /// Compaction leaves alone what comes after a cursor, as long as somebody follows.
    pub(super) fn is_released(&self, segment: u32) -> bool {
        let held = self.held_from.load(Ordering::Relaxed);
        held == NOBODY || segment < Cursor(held).segment()
    }
}

/// What a record says that this node did.
fn of(record: &Record, own: &AuthorityId) -> Option<Happened> {
    // What compaction moved was read where it stood before.
    if record.moved {
        return None;
    }
    match record.kind {
        Kind::Envelope => EnvelopeMeta::decode(&record.meta).map(|meta| stored(&meta, own)),
        Kind::Settlement => {
            let (settlement, metas) = decode_settlement(&record.body)?;
            settled(settlement.receipts, &settlement.items, &metas)
        }
        _ => None,
    }
}

/// An envelope was stored.
pub(super) fn stored(meta: &EnvelopeMeta, own: &AuthorityId) -> Happened {
    let whereto = match (&meta.place, &meta.sender) {
        (Placed::Queue { .. }, _) => Kept::Queued,
        (Placed::Mailbox { .. }, Sender::Service(service)) if service.authority() == own => {
            Kept::Consigned
        }
        (Placed::Mailbox { .. }, _) => Kept::Relayed,
    };
    Happened::Stored {
        envelope: meta.id,
        at: meta.accepted_at,
        whereto,
    }
}

/// What of a settlement is this node's own word: that it gave up, and what became of letters in its mailboxes. The rest
/// is the word of a home, which is in that home's log.
pub(super) fn settled(
    receipts: Bytes,
    items: &[(EnvelopeId, Outcome)],
    metas: &[Option<EnvelopeMeta>],
) -> Option<Happened> {
    let own = items.iter().zip(metas).enumerate();
    let own = own.filter_map(|(index, ((id, outcome), meta))| {
        let gave_up = matches!(outcome, Outcome::GivenUp { .. });
        let became = matches!(outcome, Outcome::Retrieved | Outcome::Undeliverable { .. });
        let here = matches!(meta.as_ref()?.place, Placed::Mailbox { .. });
        let is_own = gave_up || became && here;
        is_own.then_some((index, *id, *outcome))
    });
    let items: Vec<_> = own.collect();
    (!items.is_empty()).then_some(Happened::Settled { receipts, items })
}
