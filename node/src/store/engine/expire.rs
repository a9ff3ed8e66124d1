//! Expiry: rows of the expiry index in time order, each a list of ids.
//!
//! A row is looked at once all of its bucket of time is over.
//!
//! `Due` → a mailbox item becomes an absence, a settled envelope moves to `Forget`, an unsettled one is
//! handed to the node and stays listed. `Forget` → the id is dropped. Nothing of this is logged: after a
//! power loss it is simply done again.

use std::collections::BTreeMap;

use pli_protocol::id::{EnvelopeId, Timestamp};

use super::Engine;
use super::apply::{Applier, Memory};
use super::cursor::{Fields, Put};
use super::index::{Reading, Result, Space};
use super::keys::{self, Stage};
use super::known::{Known, Placed, State};
use super::values::Slot;
use super::young::Leaving;
use crate::store::{AbsenceReason, Due, Expiry, Outcome, StoreError, Untaken};

const ID_LENGTH: usize = 32;

impl Engine {
    pub(super) fn expire_round(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> std::result::Result<Expiry, StoreError> {
        let reading = self.read_due(now, limit)?;
        let mut writer = self.writer();
        let applied = writer.tail.applied();
        let memory = &mut writer.memory;
        let (first, end) = memory.due_by(now);
        let mut applier = Applier::new(self.index.change(limit.min(4_096) * 2), memory, 0);
        applier.change.ahead = reading.finish();
        let mut round = Round {
            applier,
            now,
            left: limit,
            overdue: None,
            first_left: None,
            unhandled: None,
            result: Expiry::default(),
            forget: BTreeMap::new(),
        };
        for row in self.index.view().range(Space::Expiry, first, end.clone()) {
            let (key, value) = self.indexed(row.into_inner())?;
            let Some((bucket, stage)) = keys::parse_expiry(&key) else {
                continue;
            };
            if round.left == 0 {
                round.unseen(&key, bucket);
                break;
            }
            self.indexed(round.row(&key, &value, bucket, stage))?;
        }
        let upto = round.expired_upto();
        let first_left = round.first_left.take();
        let (mut applier, result) = round.finish();
        // Recovery must not take a letter without a row, because it was forgotten, for a young one.
        applier.change.leaving = match result.forgotten {
            0 => Leaving::Aged,
            _ => Leaving::All,
        };
        self.indexed(applier.finish(Some(applied)))?;
        memory.first_due = first_left.unwrap_or(end);
        memory.expired_upto = memory.expired_upto.max(upto);
        self.note_queued(memory);
        Ok(result)
    }
}

impl Engine {
    // Rows of a while ago have left memory. What a round looks at is read while others may write, in the order of
    // the keys: neighbours share most of the way.
    fn read_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> std::result::Result<Reading<'_>, StoreError> {
        let writer = self.writer();
        let (first, end) = writer.memory.due_by(now);
        let mut reading = self.index.read_ahead();
        drop(writer);
        let mut due = Vec::new();
        for row in self.index.view().range(Space::Expiry, first, end) {
            let (key, ids) = self.indexed(row.into_inner())?;
            if due.len() >= limit {
                break;
            }
            if matches!(keys::parse_expiry(&key), Some((_, Stage::Due))) {
                let ids = ids.chunks_exact(ID_LENGTH).take(limit - due.len());
                due.extend(ids.map(|id| EnvelopeId::from_slice(id).expect("of an id's length")));
            }
        }
        due.sort_unstable();
        let mut items = Vec::new();
        for id in due {
            let known = self.indexed(reading.get(Space::Ids, id.as_bytes()))?;
            let known = known.and_then(|known| Known::decode(id, &known));
            if let Some(known) = known
                && known.kept
                && let Placed::Mailbox { account, seq, .. } = known.meta.place
            {
                // The one before is looked at to join what is absent.
                items.extend([seq.saturating_sub(1), seq].map(|seq| keys::item(&account, seq)));
            }
        }
        items.sort_unstable();
        items.dedup();
        for key in items {
            self.indexed(reading.get(Space::Items, &key))?;
        }
        Ok(reading)
    }
}

impl Memory {
    // Not from the first key: what stands before has been removed, and looking for it is slow.
    fn due_by(&self, now: Timestamp) -> (Vec<u8>, Vec<u8>) {
        let end = keys::bucket(now).to_be_bytes().to_vec();
        (self.first_due.clone().min(end.clone()), end)
    }
}

struct Round<'a> {
    applier: Applier<'a>,
    now: Timestamp,
    /// Ids that this round may still handle.
    left: usize,
    /// The earliest time at which something undelivered would have been forgotten, had it been settled.
    overdue: Option<Timestamp>,
    /// The first row that another round has to look at.
    first_left: Option<Vec<u8>>,
    /// The first bucket of which this round left something unseen.
    unhandled: Option<u64>,
    result: Expiry,
    forget: BTreeMap<u64, (Timestamp, Vec<u8>)>,
}

impl<'a> Round<'a> {
    fn row(&mut self, key: &[u8], value: &[u8], bucket: u64, stage: Stage) -> Result<()> {
        match stage {
            Stage::Due => self.ids(key, value, bucket, Self::due),
            Stage::Forget => self.ids(key, value, bucket, Self::forget),
            // Not before a rebuild would know that all its envelopes are forgotten, or it would deliver them again.
            // Those of this bucket stand before it.
            Stage::Settlement
                if self
                    .overdue
                    .is_some_and(|overdue| keys::bucket(overdue) <= bucket) =>
            {
                self.stays(key);
                Ok(())
            }
            Stage::Settlement => {
                self.left -= 1;
                let row = self.applier.change.get(Space::Settlements, value)?;
                if let Some(at) = row.and_then(|row| Fields(&row).position()) {
                    self.applier.bury(at);
                    self.applier
                        .change
                        .remove(Space::Settlements, value.to_vec());
                }
                self.applier.change.remove(Space::Expiry, key.to_vec());
                Ok(())
            }
            Stage::Report => {
                self.left -= 1;
                self.applier.drop_report(value)?;
                self.applier.change.remove(Space::Expiry, key.to_vec());
                Ok(())
            }
        }
    }

    fn stays(&mut self, key: &[u8]) {
        self.first_left.get_or_insert_with(|| key.to_vec());
    }

    fn unseen(&mut self, key: &[u8], bucket: u64) {
        self.result.more = true;
        if self.unhandled.is_none() {
            self.unhandled = Some(bucket);
            self.result.behind_ms = self.now.since_ms(keys::end_of_bucket(bucket));
        }
        self.stays(key);
    }

    /// Up to when everything has been seen, and nothing undelivered would have been forgotten.
    fn expired_upto(&self) -> Timestamp {
        let first = self.unhandled.unwrap_or(keys::bucket(self.now));
        let seen = keys::before_bucket(first);
        self.overdue.map_or(seen, |overdue| {
            Timestamp::from_ms(overdue.as_ms().saturating_sub(1)).min(seen)
        })
    }

    /// Handles the ids of a row; keeps those that `handle` says to keep.
    fn ids(
        &mut self,
        key: &[u8],
        value: &[u8],
        bucket: u64,
        handle: impl Fn(&mut Self, EnvelopeId) -> Result<bool>,
    ) -> Result<()> {
        let mut kept = Vec::new();
        let mut ids = value.chunks_exact(ID_LENGTH);
        for raw in ids.by_ref().take(self.left) {
            let id = EnvelopeId::from_slice(raw).expect("chunks of an id's length");
            if handle(self, id)? {
                kept.put(raw);
            }
        }
        let handled = (value.len() - ids.len() * ID_LENGTH) / ID_LENGTH;
        self.left -= handled.min(self.left);
        // What was not looked at comes first the next time: what has to be settled holds back nothing.
        let mut rest = Vec::with_capacity(value.len());
        for raw in ids {
            rest.put(raw);
        }
        let rotated = !rest.is_empty();
        if rotated {
            self.unseen(key, bucket);
        }
        rest.put(&kept);
        let kept = rest;
        if kept.is_empty() {
            self.applier.change.remove(Space::Expiry, key.to_vec());
            return Ok(());
        }
        self.stays(key);
        if rotated || kept.len() != value.len() {
            self.applier.change.put(Space::Expiry, key.to_vec(), kept);
        }
        Ok(())
    }

    fn due(&mut self, id: EnvelopeId) -> Result<bool> {
        let known = self.applier.change.get(Space::Ids, id.as_bytes())?;
        let Some(mut known) = known.and_then(|known| Known::decode(id, &known)) else {
            return Ok(false);
        };
        if known.meta.expires > self.now {
            return Ok(true);
        }
        match (known.state, &known.meta.place) {
            (State::Held, Placed::Queue { destination, .. }) => {
                let forget_at = known.meta.expires.plus_ms(self.applier.memory.retention_ms);
                self.overdue = Some(
                    self.overdue
                        .map_or(forget_at, |earlier| earlier.min(forget_at)),
                );
                self.result.undelivered.push(Due {
                    id: known.meta.id,
                    destination: destination.clone(),
                    sender: known.meta.sender,
                });
                return Ok(true);
            }
            (State::Held | State::Expired, Placed::Mailbox { .. }) => {
                self.empty_slot(&mut known)?;
                return self.untaken(known);
            }
            (State::After(_), Placed::Mailbox { .. }) => self.empty_slot(&mut known)?,
            (State::After(Outcome::Refused { .. }), Placed::Queue { .. }) => {
                self.drop_aside(&mut known)
            }
            _ => {}
        }
        self.forget_later(known)
    }

    /// CUS-6.6: nobody fetched it. Listed until that is settled, so that it is said however often the node falls.
    fn untaken(&mut self, known: Known) -> Result<bool> {
        let forget_at = known.meta.expires.plus_ms(self.applier.memory.retention_ms);
        if forget_at <= self.now {
            return self.forget(known.meta.id);
        }
        self.result.untaken.push(Untaken {
            id: known.meta.id,
            sender: known.meta.sender,
            forget_at,
        });
        Ok(true)
    }

    fn forget_later(&mut self, known: Known) -> Result<bool> {
        let forget_at = known.meta.expires.plus_ms(self.applier.memory.retention_ms);
        if forget_at <= self.now {
            return self.forget(known.meta.id);
        }
        let (_, ids) = self
            .forget
            .entry(keys::bucket(forget_at))
            .or_insert_with(|| (forget_at, Vec::new()));
        ids.put(known.meta.id.as_bytes());
        Ok(false)
    }

    fn empty_slot(&mut self, known: &mut Known) -> Result<()> {
        let Placed::Mailbox { account, seq, .. } = known.meta.place else {
            return Ok(());
        };
        if !known.kept {
            return Ok(());
        }
        self.applier.leave_room(known)?;
        self.applier.release(known);
        let slot = self
            .applier
            .change
            .get(Space::Items, &keys::item(&account, seq))?;
        // A damaged item is absent already, for its own reason.
        if let Some(Slot::Envelope(_)) = slot.and_then(|slot| Slot::decode(&slot)) {
            self.applier.absent(&account, seq, AbsenceReason::Expired)?;
        }
        if known.state == State::Held {
            known.state = State::Expired;
        }
        self.applier.put_known(known);
        self.result.absent += 1;
        Ok(())
    }

    fn drop_aside(&mut self, known: &mut Known) {
        let Placed::Queue {
            destination,
            position,
            ..
        } = &known.meta.place
        else {
            return;
        };
        if !known.kept {
            return;
        }
        self.applier
            .change
            .remove(Space::Aside, keys::numbered(destination, *position));
        self.applier.memory.queues.update(destination, |depth| {
            depth.aside = depth.aside.saturating_sub(1)
        });
        self.applier.release(known);
        self.applier.put_known(known);
    }

    // Nothing is read: whatever is listed to be forgotten has been settled, and its time is over.
    fn forget(&mut self, id: EnvelopeId) -> Result<bool> {
        self.applier
            .change
            .remove(Space::Ids, id.as_bytes().to_vec());
        self.result.forgotten += 1;
        Ok(false)
    }

    fn finish(mut self) -> (Applier<'a>, Expiry) {
        for (time, ids) in std::mem::take(&mut self.forget).into_values() {
            // The first id is as good as random, so two rounds do not write the same row.
            let number = u64::from_be_bytes(ids[..8].try_into().expect("an id has 32 bytes"));
            self.applier
                .will_be_due(keys::expiry(time, Stage::Forget, number), ids);
        }
        (self.applier, self.result)
    }
}
