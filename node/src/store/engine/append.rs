//! Append: one group, one write, one fsync, then the index.

use std::collections::HashMap;
use std::collections::hash_map;

use bytes::Bytes;
use pli_protocol::id::{AccountId, EnvelopeId, MailboxId, Timestamp};
use pli_protocol::limits::{ENVELOPE_MAX, GROUP_BYTES_MAX, GROUP_ENVELOPES_MAX};

use super::apply::{Applier, Memory};
use super::format::{Group, Kind};
use super::index::{Change, Space};
use super::known::{EnvelopeMeta, Known};
use super::queues::Reserved;
use super::{Engine, ReserveShare, follow};
use crate::store::{Appended, Entry, Place, StoreError, Usage};

/// Index changes per envelope: id, item or queue, row.
const CHANGES_PER_ENVELOPE: usize = 3;

impl Engine {
    pub(super) fn append_group(&self, entries: &[Entry]) -> Result<Vec<Appended>, StoreError> {
        check_bounds(entries)?;
        let mut writer = self.writer();
        let writer = &mut *writer;
        let mut group = self.log.group(&writer.tail, entries.len());
        let change = self.index.change(entries.len() * CHANGES_PER_ENVELOPE + 8);
        let accepted = self.accepted_in_order(entries)?;
        let mut plan = Plan::new(&change, &self.options.limits, entries.len());
        let mut outcomes = Vec::with_capacity(entries.len());
        for (entry, accepted) in entries.iter().zip(accepted) {
            outcomes.push(self.indexed(plan.decide(
                entry,
                accepted,
                &mut writer.memory,
                &mut group,
            ))?);
        }
        let Plan { taken, .. } = plan;
        if taken.is_empty() {
            return Ok(outcomes);
        }
        let (segment, offset) = self.write(&mut writer.tail, &group, ReserveShare::None)?;
        self.note_happened((segment, offset), group.total_bytes(), || {
            let own = &self.options.authority;
            taken
                .iter()
                .map(|(meta, _)| follow::stored(meta, own))
                .collect()
        });
        let mut applier = Applier::new(change, &mut writer.memory, group.number);
        let begins = (segment, u64::from(offset));
        for ((meta, bytes), at) in taken.into_iter().zip(group.positions(segment, offset)) {
            self.indexed(applier.fresh(meta, at, bytes, begins))?;
        }
        self.indexed(applier.finish(Some(writer.tail.applied())))?;
        self.note_queued(&writer.memory);
        Ok(outcomes)
    }

    // Looked up in the order of the ids: neighbours share most of the way.
    fn accepted_in_order(&self, entries: &[Entry]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by_key(|&at| entries[at].id);
        let mut accepted = vec![None; entries.len()];
        for at in order {
            accepted[at] = self.accepted_at(&entries[at].id)?;
        }
        Ok(accepted)
    }

    pub(super) fn note_queued(&self, memory: &Memory) {
        self.queued_bytes
            .store(memory.queues.bytes, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn accepted_at(&self, id: &EnvelopeId) -> Result<Option<Timestamp>, StoreError> {
        let value = self.indexed(self.index.get(Space::Ids, id.as_bytes()))?;
        Ok(value.as_deref().and_then(Known::decode_accepted_at))
    }
}

fn check_bounds(entries: &[Entry]) -> Result<(), StoreError> {
    let bytes: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
    let longest = entries
        .iter()
        .map(|entry| entry.bytes.len())
        .max()
        .unwrap_or_default();
    for (what, got, max) in [
        ("envelopes of a group", entries.len(), GROUP_ENVELOPES_MAX),
        ("bytes of a group", bytes, GROUP_BYTES_MAX),
        ("bytes of an envelope", longest, ENVELOPE_MAX),
    ] {
        if got > max {
            return Err(StoreError::Misuse {
                what,
                got: got as u64,
                max: max as u64,
            });
        }
    }
    Ok(())
}

/// What a group will change, before any of it is written.
struct Plan<'c, 'a> {
    change: &'c Change<'c>,
    limits: &'c crate::store::Limits,
    seen: HashMap<EnvelopeId, Timestamp>,
    numbers: HashMap<AccountId, u64>,
    reserved: Reserved,
    /// What the group has put in mailboxes so far.
    mailboxes: HashMap<(AccountId, MailboxId), Usage>,
    taken: Vec<(EnvelopeMeta, &'a Bytes)>,
}

impl<'c, 'a> Plan<'c, 'a> {
    fn new(change: &'c Change<'c>, limits: &'c crate::store::Limits, capacity: usize) -> Self {
        Self {
            change,
            limits,
            seen: HashMap::with_capacity(capacity),
            numbers: HashMap::new(),
            reserved: Reserved::default(),
            mailboxes: HashMap::new(),
            taken: Vec::with_capacity(capacity),
        }
    }

    fn decide(
        &mut self,
        entry: &'a Entry,
        accepted: Option<Timestamp>,
        memory: &mut Memory,
        group: &mut Group,
    ) -> super::index::Result<Appended> {
        if let Some(first_accepted_at) = accepted.or_else(|| self.seen.get(&entry.id).copied()) {
            return Ok(Appended::Duplicate { first_accepted_at });
        }
        let seq = match &entry.place {
            Place::Mailbox { account, mailbox } => {
                if !self.has_room(account, mailbox, entry.bytes.len() as u64, memory)? {
                    return Ok(Appended::MailboxFull);
                }
                let number = match self.numbers.entry(*account) {
                    hash_map::Entry::Occupied(entry) => entry.into_mut(),
                    hash_map::Entry::Vacant(entry) => {
                        entry.insert(memory.rows.row(account, self.change)?.last_seq)
                    }
                };
                *number += 1;
                *number
            }
            Place::Queue { destination, .. } => {
                let bytes = entry.bytes.len() as u64;
                if !self
                    .reserved
                    .take(&memory.queues, self.limits, destination, bytes)
                {
                    return Ok(Appended::QueueFull);
                }
                group.next_position()
            }
        };
        let meta = EnvelopeMeta::of(entry, seq);
        group.push(Kind::Envelope, entry.bytes.clone(), |out| meta.encode(out));
        self.seen.insert(entry.id, entry.accepted_at);
        self.taken.push((meta, &entry.bytes));
        Ok(Appended::New { seq })
    }

    /// Takes one envelope's share of its mailbox's room, unless there is none (CUS-5.5).
    fn has_room(
        &mut self,
        account: &AccountId,
        mailbox: &MailboxId,
        bytes: u64,
        memory: &mut Memory,
    ) -> super::index::Result<bool> {
        let held = *memory.rows.row(account, self.change)?.usage_of(*mailbox);
        let taken = self.mailboxes.entry((*account, *mailbox)).or_default();
        let fits = held.envelopes + taken.envelopes < self.limits.mailbox_envelopes
            && held.bytes + taken.bytes + bytes <= self.limits.mailbox_bytes;
        if fits {
            taken.envelopes += 1;
            taken.bytes += bytes;
        }
        Ok(fits)
    }
}
