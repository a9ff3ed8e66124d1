//! Reading queues, what was set aside, and reports.

use bytes::Bytes;
use pli_protocol::id::{AuthorityId, Timestamp};

use super::Engine;
use super::format::Record;
use super::index::{Space, WaitingRow};
use super::keys;
use super::log::ReadError;
use super::read::{Found, READ_TRIES};
use super::registry::report_row;
use super::values::Waiting;
use crate::store::{
    DestinationState, Lane, PageBound, Pending, PendingPage, ReportEntry, StoreError,
};

impl Engine {
    pub(super) fn pending_page(
        &self,
        destination: &AuthorityId,
        lane: Lane,
        after: u64,
        bound: PageBound,
    ) -> Result<PendingPage, StoreError> {
        let start = keys::queue(destination, lane, after.saturating_add(1));
        self.waiting_page(
            Space::Queue,
            start,
            keys::queue(destination, lane, u64::MAX),
            after,
            bound,
        )
    }

    pub(super) fn set_aside_page(
        &self,
        destination: &AuthorityId,
        after: u64,
        bound: PageBound,
    ) -> Result<PendingPage, StoreError> {
        let start = keys::numbered(destination, after.saturating_add(1));
        self.waiting_page(
            Space::Aside,
            start,
            keys::numbered(destination, u64::MAX),
            after,
            bound,
        )
    }

    fn waiting_page(
        &self,
        space: Space,
        start: Vec<u8>,
        end: Vec<u8>,
        after: u64,
        bound: PageBound,
    ) -> Result<PendingPage, StoreError> {
        for _ in 0..READ_TRIES {
            if let Some(page) =
                self.try_waiting_page(space, start.clone(), end.clone(), after, bound)?
            {
                return Ok(page);
            }
        }
        Err(self.fatal(
            "reading a queue",
            std::io::Error::other("a record's segment is missing"),
        ))
    }

    fn try_waiting_page(
        &self,
        space: Space,
        start: Vec<u8>,
        end: Vec<u8>,
        after: u64,
        bound: PageBound,
    ) -> Result<Option<PendingPage>, StoreError> {
        let mut page = PendingPage {
            next_after: after,
            ..PendingPage::default()
        };
        let mut bytes = 0;
        let rows = self.index.waiting(space, (start, end), bound.items);
        for WaitingRow {
            key,
            value,
            bytes: young,
        } in self.indexed(rows)?
        {
            let (Some(position), Some(waiting)) =
                (keys::trailing_number(&key), Waiting::decode(&value))
            else {
                continue;
            };
            let length = usize::try_from(waiting.bytes).unwrap_or(usize::MAX);
            if !page.items.is_empty() && length.saturating_add(bytes) > bound.bytes {
                break;
            }
            page.next_after = position;
            let envelope = match young {
                Some(envelope) => envelope,
                None => match self.envelope_at(waiting.at, |meta| meta.id == waiting.id)? {
                    Found::Envelope(_, envelope) => envelope,
                    Found::Moved if !self.still_has(space, &key, &value)? => return Ok(None),
                    Found::Moved | Found::Damaged => {
                        self.quarantine.keep_from_log(&self.log, waiting.at);
                        page.damaged.push(waiting.id);
                        continue;
                    }
                },
            };
            bytes += envelope.len();
            page.items.push(Pending {
                position,
                id: waiting.id,
                bytes: envelope,
            });
        }
        Ok(Some(page))
    }

    // A row that still points to a missing segment was not moved: its record was damaged when the segment went.
    pub(super) fn still_has(
        &self,
        space: Space,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, StoreError> {
        Ok(self.indexed(self.index.get(space, key))?.as_deref() == Some(value))
    }

    pub(super) fn report_page(
        &self,
        destination: &AuthorityId,
        after: u64,
        bound: PageBound,
    ) -> Result<Vec<ReportEntry>, StoreError> {
        for _ in 0..READ_TRIES {
            if let Some(page) = self.try_report_page(destination, after, bound)? {
                return Ok(page);
            }
        }
        Err(self.fatal(
            "reading reports",
            std::io::Error::other("a record's segment is missing"),
        ))
    }

    fn try_report_page(
        &self,
        destination: &AuthorityId,
        after: u64,
        bound: PageBound,
    ) -> Result<Option<Vec<ReportEntry>>, StoreError> {
        let start = keys::numbered(destination, after.saturating_add(1));
        let end = keys::numbered(destination, u64::MAX);
        let mut page: Vec<ReportEntry> = Vec::new();
        let mut bytes = 0;
        for row in self.index.view().range(Space::Reports, start, end) {
            let (key, value) = self.indexed(row.into_inner())?;
            let (Some(position), Some((at, expires))) =
                (keys::trailing_number(&key), report_row(&value))
            else {
                continue;
            };
            if page.len() >= bound.items {
                break;
            }
            let raw = match self.log.read(at) {
                Ok(raw) => raw,
                Err(ReadError::Gone) if !self.still_has(Space::Reports, &key, &value)? => {
                    return Ok(None);
                }
                Err(ReadError::Gone | ReadError::Short) => Bytes::new(),
                Err(ReadError::Io(source)) => return Err(self.fatal("reading the log", source)),
            };
            let body = match Record::parse(&raw, self.log.seed()) {
                Some(record) => record.body,
                // Put aside; what is left of it is settled like the others, and not read again.
                None => {
                    self.quarantine.keep_from_log(&self.log, at);
                    Bytes::new()
                }
            };
            if !page.is_empty() && bytes + body.len() > bound.bytes {
                break;
            }
            bytes += body.len();
            page.push(ReportEntry {
                position,
                bytes: body,
                expires,
            });
        }
        Ok(Some(page))
    }

    pub(super) fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        let depths = self.writer().memory.queues.destinations.clone();
        let mut states = Vec::with_capacity(depths.len());
        for (destination, depth) in depths {
            let mut oldest = None;
            for lane in [Lane::Priority, Lane::Bulk] {
                let first = self.oldest(&destination, lane, depth.floor(lane))?;
                oldest = oldest.into_iter().chain(first).min();
            }
            let [priority, bulk] = depth.lanes;
            states.push(DestinationState {
                priority,
                bulk,
                bytes: depth.bytes,
                reports: depth.reports,
                set_aside: depth.aside,
                oldest,
                destination,
            });
        }
        Ok(states)
    }

    fn oldest(
        &self,
        destination: &AuthorityId,
        lane: Lane,
        floor: u64,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (start, end) = (
            keys::queue(destination, lane, floor),
            keys::queue(destination, lane, u64::MAX),
        );
        let first = self.indexed(self.index.waiting(Space::Queue, (start, end), 1))?;
        let Some(WaitingRow { key, value, .. }) = first.into_iter().next() else {
            return Ok(None);
        };
        if let Some(position) = keys::trailing_number(&key) {
            let queues = &mut self.writer().memory.queues;
            queues.raise_floor(destination, lane, position);
        }
        Ok(Waiting::decode(&value).map(|waiting| waiting.accepted_at))
    }
}
