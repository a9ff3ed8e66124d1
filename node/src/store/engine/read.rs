//! Reading mailboxes. Every envelope is checked against its checksum and its id in the read itself (R20).

use bytes::{Buf, Bytes};
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::id::{AccountId, EnvelopeId, Timestamp};
use pli_protocol::signed::leaf_hash;

use super::Engine;
use super::apply::Applier;
use super::format::{Position, Record};
use super::index::{Space, View};
use super::keys;
use super::known::{EnvelopeMeta, Placed};
use super::log::ReadError;
use super::registry::{Numbering, split_row};
use super::values::{Row, Slot};
use crate::store::{AbsenceReason, Item, MailboxItem, Page, PageBound, StoreError};

/// Compaction may move records between the look-up and the read.
pub(super) const READ_TRIES: usize = 5;

/// What a position holds.
pub(super) enum Found {
    Envelope(EnvelopeMeta, Bytes),
    Damaged,
    /// Its segment was compacted away since the look-up.
    Moved,
}

impl Engine {
    pub(super) fn read_page(
        &self,
        account: &AccountId,
        after: u64,
        bound: PageBound,
    ) -> Result<Page, StoreError> {
        for _ in 0..READ_TRIES {
            if let Some(page) = self.try_page(account, after, bound)? {
                return Ok(page);
            }
        }
        Err(self.fatal(
            "reading a mailbox",
            std::io::Error::other("a record's segment is missing"),
        ))
    }

    // One moment of the index: a number below `latest_seq` without a slot is then really absent.
    fn try_page(
        &self,
        account: &AccountId,
        after: u64,
        bound: PageBound,
    ) -> Result<Option<Page>, StoreError> {
        let view = self.index.view();
        let row = self.indexed(view.get(Space::Rows, account.as_bytes()))?;
        let latest_seq = row
            .and_then(|row| Row::decode(&row))
            .unwrap_or_default()
            .last_seq;
        let mut page = PageBuilder {
            items: Vec::new(),
            next: after.saturating_add(1),
            bytes: 0,
            bound,
        };
        if after < latest_seq {
            let slots = view.range(
                Space::Items,
                keys::item(account, page.next),
                keys::item(account, latest_seq),
            );
            for slot in slots {
                let (key, value) = self.indexed(slot.into_inner())?;
                let (Some(seq), Some(slot)) = (keys::trailing_number(&key), Slot::decode(&value))
                else {
                    continue;
                };
                let from = match slot {
                    Slot::Envelope(_) => seq,
                    Slot::Absent { from, .. } => from,
                };
                if from > page.next {
                    self.fill_gap(&view, account, &mut page, from - 1)?;
                }
                if page.is_full() {
                    break;
                }
                match slot {
                    Slot::Absent { reason, .. } => page.absent_to(seq, reason),
                    Slot::Envelope(at) => {
                        match self.envelope_at(at, |meta| is_item(meta, account, seq))? {
                            Found::Moved if !self.still_has(Space::Items, &key, &value)? => {
                                return Ok(None);
                            }
                            Found::Moved | Found::Damaged => {
                                self.mark_damaged(account, seq, at)?;
                                page.absent_to(seq, AbsenceReason::Damaged);
                            }
                            Found::Envelope(meta, bytes) => {
                                if !page.envelope(seq, meta.id, meta.accepted_at, bytes) {
                                    break;
                                }
                            }
                        }
                    }
                }
                if page.is_full() {
                    break;
                }
            }
            if !page.is_full() && !page.cut_short() {
                self.fill_gap(&view, account, &mut page, latest_seq)?;
            }
        }
        Ok(Some(Page {
            items: page.items,
            latest_seq,
        }))
    }

    // After a rebuild, what had expired has no slot any more: the numbering says up to where.
    fn fill_gap(
        &self,
        view: &View<'_>,
        account: &AccountId,
        page: &mut PageBuilder,
        to: u64,
    ) -> Result<(), StoreError> {
        if page.next > to {
            return Ok(());
        }
        let row = self.indexed(view.get(Space::Registry, keys::numbering(account)))?;
        let numbering = row
            .as_deref()
            .and_then(split_row)
            .and_then(|(_, meta)| Numbering::decode(meta));
        let expired_to = numbering
            .filter(|numbering| numbering.lost_from == 0)
            .map_or(0, |numbering| numbering.to);
        page.absent_to(to.min(expired_to), AbsenceReason::Expired);
        page.absent_to(to, AbsenceReason::Damaged);
        Ok(())
    }

    fn mark_damaged(&self, account: &AccountId, seq: u64, at: Position) -> Result<(), StoreError> {
        self.quarantine.keep_from_log(&self.log, at);
        let mut writer = self.writer();
        let key = keys::item(account, seq);
        let slot = self
            .indexed(self.index.get(Space::Items, &key))?
            .and_then(|value| Slot::decode(&value));
        // Another reader was first, or the envelope expired meanwhile.
        if slot != Some(Slot::Envelope(at)) {
            return Ok(());
        }
        let mut applier = Applier::new(self.index.change(2), &mut writer.memory, 0);
        applier.absent_range(account, seq, seq, AbsenceReason::Damaged);
        self.indexed(applier.finish(None))
    }

    pub(super) fn envelope_at(
        &self,
        at: Position,
        expected: impl FnOnce(&EnvelopeMeta) -> bool,
    ) -> Result<Found, StoreError> {
        let raw = match self.log.read(at) {
            Ok(raw) => raw,
            Err(ReadError::Gone) => return Ok(Found::Moved),
            Err(ReadError::Short) => return Ok(Found::Damaged),
            Err(ReadError::Io(source)) => return Err(self.fatal("reading the log", source)),
        };
        let record = Record::parse(&raw, self.log.seed());
        let found =
            record.and_then(|record| Some((EnvelopeMeta::decode(&record.meta)?, record.body)));
        Ok(match found {
            Some((meta, bytes)) if expected(&meta) && has_id(&bytes, &meta.id) => {
                Found::Envelope(meta, bytes)
            }
            _ => Found::Damaged,
        })
    }
}

fn is_item(meta: &EnvelopeMeta, account: &AccountId, seq: u64) -> bool {
    matches!(&meta.place, Placed::Mailbox { account: a, seq: s, .. } if a == account && *s == seq)
}

/// Is this `Signed` an envelope of this id? Its payload is field 1, which canonical form puts first.
fn has_id(signed: &Bytes, id: &EnvelopeId) -> bool {
    const PAYLOAD_TAG: u8 = 0x0a;
    let mut rest = signed.clone();
    if rest.is_empty() || rest.get_u8() != PAYLOAD_TAG {
        return false;
    }
    let Ok(length) = prost::decode_length_delimiter(&mut rest) else {
        return false;
    };
    length <= rest.len() && leaf_hash(ENVELOPE, &rest[..length]) == *id.as_bytes()
}

/// A page being filled, number by number.
struct PageBuilder {
    items: Vec<MailboxItem>,
    next: u64,
    bytes: usize,
    bound: PageBound,
}

impl PageBuilder {
    fn is_full(&self) -> bool {
        self.items.len() >= self.bound.items
    }

    /// An envelope did not fit any more.
    fn cut_short(&self) -> bool {
        self.bytes > self.bound.bytes
    }

    fn absent_to(&mut self, to: u64, reason: AbsenceReason) {
        // MBX-5.2: one item for all of them.
        if reason == AbsenceReason::Skipped {
            self.next = to;
        }
        while self.next <= to && !self.is_full() {
            self.items.push(MailboxItem {
                seq: self.next,
                item: Item::Absent { reason },
            });
            self.next += 1;
        }
    }

    /// `false`: it does not fit.
    fn envelope(&mut self, seq: u64, id: EnvelopeId, stored_at: Timestamp, bytes: Bytes) -> bool {
        let has_envelope = self.bytes > 0;
        self.bytes += bytes.len();
        if has_envelope && self.cut_short() {
            return false;
        }
        self.items.push(MailboxItem {
            seq,
            item: Item::Envelope {
                id,
                stored_at,
                bytes,
            },
        });
        self.next = seq + 1;
        true
    }
}
