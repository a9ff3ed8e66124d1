//! One record of the log becomes changes of the index: the same code when it is written, when the end of
//! the log is replayed after a crash, and when the index is rebuilt.
//!
//! Every step may run again on an index that has it already. A record that was moved by compaction finds
//! its envelope known and only changes its position.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use pli_protocol::id::{AccountId, EnvelopeId, Timestamp};

use super::cursor::{Fields, Put};
use super::dead::Dead;
use super::format::{Kind, Position, Record};
use super::index::{Change, Result, Space};
use super::keys::{self, Stage};
use super::known::{EnvelopeMeta, Known, Placed};
use super::queues::Queues;
use super::rows::Rows;
use super::values::{Row, Slot, Waiting};
use super::young::YoungLetter;
use crate::store::AbsenceReason;

/// What the writer knows besides the index.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) rows: Rows,
    pub(super) queues: Queues,
    pub(super) dead: Dead,
    /// Every id whose retention ended up to this time has been forgotten.
    pub(super) expired_upto: Timestamp,
    /// No key of the expiry index is lower.
    pub(super) first_due: Vec<u8>,
    pub(super) retention_ms: u64,
}

impl Memory {
    /// Before the index is built again.
    pub(super) fn forget_index(&mut self) {
        *self = Self {
            expired_upto: self.expired_upto,
            retention_ms: self.retention_ms,
            ..Self::default()
        };
    }
}

/// How far the log has been applied to the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applied {
    pub(super) segment: u32,
    pub(super) offset: u64,
    /// Group numbers are never used again: settlements and queue positions are named after them.
    pub(super) next_group: u64,
}

impl Applied {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20);
        out.put_u32(self.segment);
        out.put_u64(self.offset);
        out.put_u64(self.next_group);
        out
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        Some(Self {
            segment: fields.u32()?,
            offset: fields.u64()?,
            next_group: fields.u64()?,
        })
    }
}

/// Applies records to one change of the index.
pub(super) struct Applier<'a> {
    pub(super) change: Change<'a>,
    pub(super) memory: &'a mut Memory,
    /// The group's number; keeps the rows of the expiry index apart.
    number: u64,
    /// Rows of ids that the caller has read already.
    pub(super) prefetched: HashMap<EnvelopeId, Option<Bytes>>,
    changed_rows: HashSet<AccountId>,
    changed_dead: HashSet<u32>,
    due: BTreeMap<u64, (Timestamp, Vec<u8>)>,
}

impl<'a> Applier<'a> {
    pub(super) fn new(change: Change<'a>, memory: &'a mut Memory, number: u64) -> Self {
        Self {
            change,
            memory,
            number,
            prefetched: HashMap::new(),
            changed_rows: HashSet::new(),
            changed_dead: HashSet::new(),
            due: BTreeMap::new(),
        }
    }

    /// Applies any record. `None` in the result: its fields make no sense, so it counts as damaged.
    pub(super) fn record(&mut self, record: &Record, at: Position) -> Result<Option<()>> {
        let meta = &record.meta[..];
        match record.kind {
            Kind::Envelope => {
                let Some(meta) = EnvelopeMeta::decode(meta) else {
                    return Ok(None);
                };
                self.envelope(meta, at)?;
            }
            Kind::Settlement => {
                let number = Fields(meta).u64();
                let settlement = super::values::decode_settlement(&record.body);
                let (Some(number), Some((settlement, settled))) = (number, settlement) else {
                    return Ok(None);
                };
                self.settlement(number, &settlement, &settled, at)?;
            }
            _ => return self.registry(record, at),
        }
        Ok(Some(()))
    }

    /// An envelope that was written before, perhaps at another place.
    fn envelope(&mut self, meta: EnvelopeMeta, at: Position) -> Result<()> {
        if let Some(value) = self.change.get(Space::Ids, meta.id.as_bytes())?
            && let Some(known) = Known::decode(meta.id, &value)
        {
            return self.moved(known, at);
        }
        if self.is_forgotten(&meta) {
            self.bury(at);
            return self.only_numbered(&meta);
        }
        let known = Known::held(meta, at);
        self.place(&known)?;
        self.count(&known)?;
        self.is_due(&known.meta);
        self.put_known(&known);
        Ok(())
    }

    /// An envelope whose id the caller has just seen to be unknown, and where its group begins.
    pub(super) fn fresh(
        &mut self,
        meta: EnvelopeMeta,
        at: Position,
        bytes: &Bytes,
        group: (u32, u64),
    ) -> Result<()> {
        let known = Known::held(meta, at);
        self.count(&known)?;
        self.is_due(&known.meta);
        let (id, row) = (known.meta.id, known.encode().into());
        match &known.meta.place {
            Placed::Mailbox { account, seq, .. } => {
                let slot = Slot::Envelope(at).encode();
                self.change
                    .put_once(Space::Items, keys::item(account, *seq), slot);
                self.change.put_once(Space::Ids, *id.as_bytes(), row);
            }
            Placed::Queue {
                destination,
                lane,
                position,
            } => self.change.put_young(YoungLetter {
                id,
                known: row,
                key: keys::queue(destination, *lane, *position),
                waiting: Waiting::of(&known).encode().into(),
                // A copy: the frame that it came in is larger.
                bytes: Some(Bytes::copy_from_slice(bytes)),
                group,
            }),
        }
        Ok(())
    }

    /// A queued letter whose rows a crash may have lost: they were in memory only.
    pub(super) fn lost_row(&mut self, meta: EnvelopeMeta, at: Position) -> Result<()> {
        let row = self.change.get(Space::Ids, meta.id.as_bytes())?;
        if row.is_some() || !matches!(meta.place, Placed::Queue { .. }) {
            return Ok(());
        }
        let known = Known::held(meta, at);
        self.place(&known)?;
        self.put_known(&known);
        Ok(())
    }

    /// A row of the expiry index.
    pub(super) fn will_be_due(&mut self, key: Vec<u8>, value: Vec<u8>) {
        if key < self.memory.first_due {
            self.memory.first_due.clone_from(&key);
        }
        self.change.put(Space::Expiry, key, value);
    }

    // In a rebuild: it had been forgotten before.
    pub(super) fn is_forgotten(&self, meta: &EnvelopeMeta) -> bool {
        meta.expires.plus_ms(self.memory.retention_ms) <= self.memory.expired_upto
    }

    /// Expiry will look at it.
    pub(super) fn is_due(&mut self, meta: &EnvelopeMeta) {
        let bucket = keys::bucket(meta.expires);
        let (_, ids) = self
            .due
            .entry(bucket)
            .or_insert_with(|| (meta.expires, Vec::new()));
        ids.put(meta.id.as_bytes());
    }

    fn count(&mut self, known: &Known) -> Result<()> {
        let bytes = known.body_length();
        match &known.meta.place {
            Placed::Mailbox {
                account,
                mailbox,
                seq,
            } => {
                let row = self.row(account)?;
                row.last_seq = row.last_seq.max(*seq);
                let usage = row.usage_of(*mailbox);
                usage.envelopes += 1;
                usage.bytes += bytes;
            }
            Placed::Queue {
                destination,
                lane,
                position,
            } => {
                let queues = &mut self.memory.queues;
                queues.add(destination, *lane, *position, bytes);
            }
        }
        Ok(())
    }

    // Of what has expired only the sequence number remains.
    pub(super) fn only_numbered(&mut self, meta: &EnvelopeMeta) -> Result<()> {
        let Placed::Mailbox { account, seq, .. } = &meta.place else {
            return Ok(());
        };
        let row = self.row(account)?;
        row.last_seq = row.last_seq.max(*seq);
        self.absent(account, *seq, AbsenceReason::Expired)
    }

    // Compaction wrote it again, or a replay sees what the index has.
    fn moved(&mut self, mut known: Known, at: Position) -> Result<()> {
        if known.at == at {
            return Ok(());
        }
        if !known.kept {
            self.bury(at);
            return Ok(());
        }
        self.bury(known.at);
        known.at = at;
        self.place(&known)?;
        self.put_known(&known);
        Ok(())
    }

    /// Points the mailbox or the queue at the record.
    fn place(&mut self, known: &Known) -> Result<()> {
        let Known { meta, at, .. } = known;
        match &meta.place {
            Placed::Mailbox { account, seq, .. } => {
                let slot = Slot::Envelope(*at).encode();
                self.change
                    .put(Space::Items, keys::item(account, *seq), slot);
            }
            Placed::Queue {
                destination,
                lane,
                position,
            } => {
                // A set-aside envelope may be moved too.
                let aside = keys::numbered(destination, *position);
                let (space, key) = if self.change.get(Space::Aside, &aside)?.is_some() {
                    (Space::Aside, aside)
                } else {
                    (Space::Queue, keys::queue(destination, *lane, *position))
                };
                self.change.put(space, key, Waiting::of(known).encode());
            }
        }
        Ok(())
    }

    pub(super) fn put_known(&mut self, known: &Known) {
        self.change.put(
            Space::Ids,
            known.meta.id.as_bytes().to_vec(),
            known.encode(),
        );
    }

    /// A sequence number without an envelope; joined with the absence before it.
    pub(super) fn absent(
        &mut self,
        account: &AccountId,
        seq: u64,
        reason: AbsenceReason,
    ) -> Result<()> {
        let mut from = seq;
        if seq > 1 {
            let before = keys::item(account, seq - 1);
            let slot = self
                .change
                .get(Space::Items, &before)?
                .and_then(|value| Slot::decode(&value));
            if let Some(Slot::Absent {
                from: earlier,
                reason: same,
            }) = slot
                && same == reason
            {
                from = earlier;
                self.change.remove(Space::Items, before);
            }
        }
        self.absent_range(account, from, seq, reason);
        Ok(())
    }

    pub(super) fn absent_range(
        &mut self,
        account: &AccountId,
        from: u64,
        to: u64,
        reason: AbsenceReason,
    ) {
        self.change.put(
            Space::Items,
            keys::item(account, to),
            Slot::Absent { from, reason }.encode(),
        );
    }

    /// The record at this position is not needed any more.
    pub(super) fn bury(&mut self, at: Position) {
        self.memory.dead.bury(at);
        self.changed_dead.insert(at.segment);
    }

    /// A row to be changed.
    pub(super) fn row(&mut self, account: &AccountId) -> Result<&mut Row> {
        self.changed_rows.insert(*account);
        self.memory.rows.row(account, &self.change)
    }

    /// Makes everything visible, together with how far the log has been applied.
    pub(super) fn finish(mut self, applied: Option<Applied>) -> Result<()> {
        for account in std::mem::take(&mut self.changed_rows) {
            let row = self.memory.rows.row(&account, &self.change)?.encode();
            self.change.put_once(Space::Rows, *account.as_bytes(), row);
        }
        for (time, ids) in std::mem::take(&mut self.due).into_values() {
            self.will_be_due(keys::expiry(time, Stage::Due, self.number), ids);
        }
        for segment in std::mem::take(&mut self.changed_dead) {
            let dead = self.memory.dead.bytes(segment);
            self.change.put_once(
                Space::Meta,
                keys::dead(segment),
                dead.to_le_bytes().to_vec(),
            );
        }
        self.change.commit(applied)
    }
}
