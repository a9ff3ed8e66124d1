//! A settlement record becomes changes of the index.

use bytes::Bytes;
use pli_protocol::id::EnvelopeId;

use super::apply::Applier;
use super::cursor::{Fields, Put};
use super::format::Position;
use super::index::{Result, Space};
use super::keys::{self, Stage};
use super::known::{EnvelopeMeta, EvidenceRef, Known, Placed, State};
use super::values::Waiting;
use crate::store::{Outcome, Settlement};

impl Applier<'_> {
    /// A settlement: evidence once, and what it changes.
    pub(super) fn settlement(
        &mut self,
        number: u64,
        settlement: &Settlement,
        settled: &[Option<EnvelopeMeta>],
        at: Position,
    ) -> Result<()> {
        let key = number.to_be_bytes();
        if let Some(before) = self
            .change
            .get(Space::Settlements, &key)?
            .and_then(|value| Fields(&value).position())
        {
            if before != at {
                self.bury(before);
                self.put_settlement(number, at);
            }
            return Ok(());
        }
        let mut forget_at = None;
        let items = settlement.items.iter().zip(settled).enumerate();
        for (index, ((id, outcome), settled)) in items {
            let Some(meta) = settled else { continue };
            let value = self.known_value(id)?;
            let known = match value.and_then(|value| Known::decode(*id, &value)) {
                None => self.remembered(meta)?,
                known => known,
            };
            let Some(mut known) = known.filter(|known| known.may_become(*outcome)) else {
                continue;
            };
            forget_at = forget_at.max(Some(known.meta.expires.plus_ms(self.memory.retention_ms)));
            self.leave_queue(&mut known, *outcome)?;
            if *outcome == Outcome::Retrieved {
                self.leave_room(&known)?;
            }
            let index = u32::try_from(index).expect("a settlement is one group at most");
            known.become_settled(EvidenceRef {
                settlement: number,
                index,
                outcome: *outcome,
            });
            self.put_known(&known);
        }
        match forget_at {
            Some(forget_at) => {
                self.put_settlement(number, at);
                // A bucket later: the sweep has then left all of its letters' bucket behind, and says so to a rebuild.
                let due = keys::expiry(
                    forget_at.plus_ms(keys::BUCKET_MS),
                    Stage::Settlement,
                    number,
                );
                self.will_be_due(due, key.to_vec());
            }
            None => self.bury(at),
        }
        Ok(())
    }

    // A rebuild: the envelope's record has left the log.
    fn remembered(&mut self, meta: &EnvelopeMeta) -> Result<Option<Known>> {
        if self.is_forgotten(meta) {
            return Ok(None);
        }
        self.only_numbered(meta)?;
        self.is_due(meta);
        Ok(Some(Known::remembered(meta.clone())))
    }

    fn known_value(&self, id: &EnvelopeId) -> Result<Option<Bytes>> {
        if let Some(written) = self.change.written(Space::Ids, id.as_bytes()) {
            return Ok(written);
        }
        match self.prefetched.get(id) {
            Some(value) => Ok(value.clone()),
            None => self.change.get(Space::Ids, id.as_bytes()),
        }
    }

    fn put_settlement(&mut self, number: u64, at: Position) {
        let mut value = Vec::with_capacity(12);
        value.put_position(at);
        self.change
            .put(Space::Settlements, number.to_be_bytes().to_vec(), value);
    }

    fn leave_queue(&mut self, known: &mut Known, outcome: Outcome) -> Result<()> {
        let Placed::Queue {
            destination,
            lane,
            position,
        } = &known.meta.place
        else {
            return Ok(());
        };
        if known.state != State::Held {
            return Ok(());
        }
        if !known.kept {
            return Ok(());
        }
        let bytes = known.body_length();
        self.change
            .remove(Space::Queue, keys::queue(destination, *lane, *position));
        self.memory.queues.remove(destination, *lane, bytes);
        if matches!(outcome, Outcome::Refused { .. }) {
            let aside = keys::numbered(destination, *position);
            self.change
                .put(Space::Aside, aside, Waiting::of(known).encode());
            self.memory
                .queues
                .update(destination, |depth| depth.aside += 1);
        } else {
            self.release(known);
        }
        Ok(())
    }

    /// CUS-5.5: a letter that a device has taken, or that expired, leaves its mailbox's room to others. Before its
    /// state says so: afterwards it counts no more.
    pub(super) fn leave_room(&mut self, known: &Known) -> Result<()> {
        let Placed::Mailbox {
            account, mailbox, ..
        } = known.meta.place
        else {
            return Ok(());
        };
        if !known.takes_room() {
            return Ok(());
        }
        let bytes = known.body_length();
        let usage = self.row(&account)?.usage_of(mailbox);
        usage.envelopes = usage.envelopes.saturating_sub(1);
        usage.bytes = usage.bytes.saturating_sub(bytes);
        Ok(())
    }

    /// The record is not needed any more.
    pub(super) fn release(&mut self, known: &mut Known) {
        if std::mem::take(&mut known.kept) {
            self.bury(known.at);
        }
    }
}
