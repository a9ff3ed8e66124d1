//! What metas, bodies and index values mean.

use bytes::Bytes;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};
use pli_protocol::limits::RECEIPTS_PER_ENVELOPE_MAX;

use super::cursor::{Fields, Put};
use super::format::{Position, RECORD_HEADER};
use crate::store::{
    AbsenceReason, AccountRecord, DeviceRecord, Entry, Lane, MailboxRecord, Outcome, Place, Report, Sender, Settlement, Usage,
};

/// Everything of an envelope but its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct EnvelopeMeta {
    pub(super) id: EnvelopeId,
    pub(super) accepted_at: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) sender: Sender,
    pub(super) place: Placed,
}

/// A [`Place`] and the number given there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Placed {
    Mailbox { account: AccountId, mailbox: MailboxId, seq: u64 },
    Queue { destination: AuthorityId, lane: Lane, position: u64 },
}

impl EnvelopeMeta {
    pub(super) fn of(entry: &Entry, number: u64) -> Self {
        let place = match &entry.place {
            Place::Mailbox { account, mailbox } => {
                Placed::Mailbox { account: *account, mailbox: *mailbox, seq: number }
            }
            Place::Queue { destination, lane } => {
                Placed::Queue { destination: destination.clone(), lane: *lane, position: number }
            }
        };
        Self { id: entry.id, accepted_at: entry.accepted_at, expires: entry.expires, sender: entry.sender.clone(), place }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put(self.id.as_bytes());
        self.encode_after_id(out);
    }

    /// The times come first, so that a duplicate check reads nothing else.
    fn encode_after_id(&self, out: &mut Vec<u8>) {
        out.put_time(self.accepted_at);
        out.put_time(self.expires);
        match &self.sender {
            Sender::Service(service) => {
                out.put_u8(0);
                out.put_text(&service.to_string());
            }
            Sender::Mailbox(mailbox) => {
                out.put_u8(1);
                out.put_text(&mailbox.to_string());
            }
        }
        match &self.place {
            Placed::Mailbox { account, mailbox, seq } => {
                out.put_u8(0);
                out.put(account.as_bytes());
                out.put(mailbox.as_bytes());
                out.put_u64(*seq);
            }
            Placed::Queue { destination, lane, position } => {
                out.put_u8(1);
                out.put_text(destination.as_str());
                out.put_u8(lane_byte(*lane));
                out.put_u64(*position);
            }
        }
    }

    pub(super) fn decode(meta: &[u8]) -> Option<Self> {
        let mut fields = Fields(meta);
        let id = EnvelopeId::new(fields.array()?);
        Self::decode_after_id(id, &mut fields)
    }

    /// What [`Self::encode`] writes.
    fn encoded_length(&self) -> usize {
        const MAILBOX_TEXT: usize = 2 * 16 + 1;
        let sender = match &self.sender {
            Sender::Service(service) => service.name().len() + 1 + service.authority().as_str().len(),
            Sender::Mailbox(mailbox) => MAILBOX_TEXT + mailbox.home.as_str().len(),
        };
        let place = match &self.place {
            Placed::Mailbox { account, mailbox, .. } => account.as_bytes().len() + mailbox.as_bytes().len() + 8,
            Placed::Queue { destination, .. } => 2 + destination.as_str().len() + 1 + 8,
        };
        self.id.as_bytes().len() + 8 + 8 + 1 + 2 + sender + 1 + place
    }

    /// The length of the envelope in a record of this meta.
    pub(super) fn body_length(&self, at: Position) -> u64 {
        u64::from(at.length) - (RECORD_HEADER + self.encoded_length()) as u64
    }

    fn decode_after_id(id: EnvelopeId, fields: &mut Fields<'_>) -> Option<Self> {
        let (accepted_at, expires) = (fields.time()?, fields.time()?);
        let sender = match fields.u8()? {
            0 => Sender::Service(fields.text()?.parse().ok()?),
            1 => Sender::Mailbox(fields.text()?.parse().ok()?),
            _ => return None,
        };
        let place = match fields.u8()? {
            0 => Placed::Mailbox {
                account: AccountId::new(fields.array()?),
                mailbox: MailboxId::new(fields.array()?),
                seq: fields.u64()?,
            },
            1 => Placed::Queue {
                destination: fields.text()?.parse().ok()?,
                lane: lane_from_byte(fields.u8()?)?,
                position: fields.u64()?,
            },
            _ => return None,
        };
        Some(Self { id, accepted_at, expires, sender, place })
    }
}

pub(super) fn lane_byte(lane: Lane) -> u8 {
    match lane {
        Lane::Priority => 0,
        Lane::Bulk => 1,
    }
}

pub(super) fn lane_from_byte(byte: u8) -> Option<Lane> {
    match byte {
        0 => Some(Lane::Priority),
        1 => Some(Lane::Bulk),
        _ => None,
    }
}

/// The last thing known of an envelope, in the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// Waits, or stands in a mailbox.
    Held,
    /// Its evidence says so; a mailbox item that was retrieved is still held.
    After(Outcome),
    /// Was in a mailbox until it expired.
    Expired,
}

/// The index's row of an envelope id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Known {
    pub(super) state: State,
    /// Where its record is.
    pub(super) at: Position,
    /// The record's body is needed. Afterwards it is a stub, or will be one when its segment is compacted:
    /// only the meta, so that a rebuild still knows the id (CUS-4) until it is forgotten.
    pub(super) kept: bool,
    pub(super) evidence: Vec<EvidenceRef>,
    pub(super) meta: EnvelopeMeta,
}

/// Which leaf of which settlement speaks of an envelope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct EvidenceRef {
    pub(super) settlement: u64,
    pub(super) index: u32,
    pub(super) outcome: Outcome,
}

impl Known {
    pub(super) fn held(meta: EnvelopeMeta, at: Position) -> Self {
        Self { state: State::Held, at, kept: true, evidence: Vec::new(), meta }
    }

    /// May this outcome follow? The first final one stands.
    pub(super) fn may_become(&self, outcome: Outcome) -> bool {
        let queued = matches!(self.meta.place, Placed::Queue { .. });
        self.evidence.len() < RECEIPTS_PER_ENVELOPE_MAX
            && match (self.state, outcome) {
                (_, Outcome::Unchanged) => false,
                (State::Held, Outcome::Retrieved) => true,
                (State::Held, _) => queued,
                (State::After(Outcome::Delivered) | State::Expired, Outcome::Retrieved) => true,
                _ => false,
            }
    }

    pub(super) fn become_settled(&mut self, evidence: EvidenceRef) {
        self.state = State::After(evidence.outcome);
        self.evidence.push(evidence);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        self.meta.encode_after_id(&mut out);
        match self.state {
            State::Held => out.put_u8(0),
            State::Expired => out.put_u8(1),
            State::After(outcome) => {
                out.put_u8(2);
                put_outcome(&mut out, outcome);
            }
        }
        out.put_u8(u8::from(self.kept));
        out.put_position(self.at);
        for evidence in &self.evidence {
            out.put_u64(evidence.settlement);
            out.put_u32(evidence.index);
            put_outcome(&mut out, evidence.outcome);
        }
        out
    }

    pub(super) fn decode(id: EnvelopeId, value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        let meta = EnvelopeMeta::decode_after_id(id, &mut fields)?;
        let state = match fields.u8()? {
            0 => State::Held,
            1 => State::Expired,
            2 => State::After(outcome(&mut fields)?),
            _ => return None,
        };
        let (kept, at) = (fields.u8()? == 1, fields.position()?);
        let mut evidence = Vec::new();
        while !fields.0.is_empty() {
            let (settlement, index) = (fields.u64()?, fields.u32()?);
            evidence.push(EvidenceRef { settlement, index, outcome: outcome(&mut fields)? });
        }
        Some(Self { state, at, kept, evidence, meta })
    }

    /// The length of the envelope where it is now; 0 of a stub.
    pub(super) fn body_length(&self) -> u64 {
        self.meta.body_length(self.at)
    }

    /// Only when it was accepted.
    pub(super) fn decode_accepted_at(value: &[u8]) -> Option<Timestamp> {
        Fields(value).time()
    }
}

fn put_outcome(out: &mut Vec<u8>, outcome: Outcome) {
    match outcome {
        Outcome::Unchanged => out.put_u8(0),
        Outcome::Delivered => out.put_u8(1),
        Outcome::Retrieved => out.put_u8(2),
        Outcome::Refused { code } => {
            out.put_u8(3);
            out.put_u32(code);
        }
        Outcome::Undeliverable { code } => {
            out.put_u8(4);
            out.put_u32(code);
        }
    }
}

fn outcome(fields: &mut Fields<'_>) -> Option<Outcome> {
    let tag = fields.u8()?;
    outcome_of(tag, fields)
}

fn outcome_of(tag: u8, fields: &mut Fields<'_>) -> Option<Outcome> {
    Some(match tag {
        0 => Outcome::Unchanged,
        1 => Outcome::Delivered,
        2 => Outcome::Retrieved,
        3 => Outcome::Refused { code: fields.u32()? },
        4 => Outcome::Undeliverable { code: fields.u32()? },
        _ => return None,
    })
}

/// Marks an item of a settlement that changed nothing when it came: a rebuild must not let it change anything either.
const WITHOUT_EFFECT: u8 = 0x80;

/// The body of a settlement record: the leaves once, then the receipts.
pub(super) fn encode_settlement(settlement: &Settlement, effective: &[bool]) -> Bytes {
    const ITEM_EXPECTED: usize = 33;
    let mut out = Vec::with_capacity(4 + settlement.items.len() * ITEM_EXPECTED + settlement.receipts.len());
    out.put_u32(u32::try_from(settlement.items.len()).expect("bounded by a group"));
    for ((id, item), effective) in settlement.items.iter().zip(effective) {
        out.put(id.as_bytes());
        let at = out.len();
        put_outcome(&mut out, *item);
        if !effective {
            out[at] |= WITHOUT_EFFECT;
        }
    }
    out.put(&settlement.receipts);
    out.into()
}

/// The settlement, and which of its items had an effect.
pub(super) fn decode_settlement(body: &Bytes) -> Option<(Settlement, Vec<bool>)> {
    let mut fields = Fields(body);
    let count = fields.u32()?;
    let (mut items, mut effective) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let id = EnvelopeId::new(fields.array()?);
        let tag = fields.u8()?;
        effective.push(tag & WITHOUT_EFFECT == 0);
        items.push((id, outcome_of(tag & !WITHOUT_EFFECT, &mut fields)?));
    }
    Some((Settlement { receipts: body.slice_ref(fields.0), items }, effective))
}

/// An account's numbering and what its mailboxes hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) last_seq: u64,
    pub(super) usage: Vec<(MailboxId, Usage)>,
}

impl Row {
    pub(super) fn usage_of(&mut self, mailbox: MailboxId) -> &mut Usage {
        let at = self.usage.iter().position(|(id, _)| *id == mailbox).unwrap_or_else(|| {
            self.usage.push((mailbox, Usage::default()));
            self.usage.len() - 1
        });
        &mut self.usage[at].1
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.usage.len() * 32);
        out.put_u64(self.last_seq);
        for (mailbox, usage) in self.usage.iter().filter(|(_, usage)| usage.envelopes > 0) {
            out.put(mailbox.as_bytes());
            out.put_u64(usage.envelopes);
            out.put_u64(usage.bytes);
        }
        out
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        let mut row = Self { last_seq: fields.u64()?, usage: Vec::new() };
        while !fields.0.is_empty() {
            let mailbox = MailboxId::new(fields.array()?);
            row.usage.push((mailbox, Usage { envelopes: fields.u64()?, bytes: fields.u64()? }));
        }
        Some(row)
    }
}

pub(super) fn encode_account(account: &AccountRecord) -> Vec<u8> {
    let mut out = Vec::new();
    out.put(account.id.as_bytes());
    out.put_time(account.enrolled_at);
    for device in &account.devices {
        out.put(device.key.as_bytes());
        out.put(&device.public_key);
        out.put_time(device.added_at);
    }
    out
}

pub(super) fn decode_account(value: &[u8]) -> Option<AccountRecord> {
    let mut fields = Fields(value);
    let (id, enrolled_at) = (AccountId::new(fields.array()?), fields.time()?);
    let mut devices = Vec::new();
    while !fields.0.is_empty() {
        let (key, public_key) = (KeyId::new(fields.array()?), fields.array()?);
        devices.push(DeviceRecord { key, public_key, added_at: fields.time()? });
    }
    Some(AccountRecord { id, enrolled_at, devices })
}

pub(super) fn encode_mailbox(mailbox: &MailboxRecord) -> Vec<u8> {
    let mut out = Vec::new();
    out.put(mailbox.mailbox.as_bytes());
    out.put(mailbox.account.as_bytes());
    out.put_text(mailbox.authority.as_str());
    out.put_time(mailbox.published_at);
    out.put(&mailbox.grant);
    out
}

pub(super) fn decode_mailbox(value: &[u8]) -> Option<MailboxRecord> {
    let mut fields = Fields(value);
    let (mailbox, account) = (MailboxId::new(fields.array()?), AccountId::new(fields.array()?));
    let authority = fields.text()?.parse().ok()?;
    let published_at = fields.time()?;
    Some(MailboxRecord { mailbox, account, authority, published_at, grant: Bytes::copy_from_slice(fields.0) })
}

/// The meta of a report record; its bytes are the body.
#[derive(Clone, Debug)]
pub(super) struct ReportMeta {
    pub(super) destination: AuthorityId,
    pub(super) position: u64,
    pub(super) expires: Timestamp,
}

impl ReportMeta {
    pub(super) fn encode(report: &Report, position: u64, out: &mut Vec<u8>) {
        out.put_text(report.destination.as_str());
        out.put_u64(position);
        out.put_time(report.expires);
    }

    pub(super) fn decode(meta: &[u8]) -> Option<Self> {
        let mut fields = Fields(meta);
        let destination = fields.text()?.parse().ok()?;
        Some(Self { destination, position: fields.u64()?, expires: fields.time()? })
    }
}

/// What stands at a sequence number, in the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Slot {
    Envelope(Position),
    /// All numbers from here to the one of the key.
    Absent { from: u64, reason: AbsenceReason },
}

impl Slot {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12);
        match self {
            Self::Envelope(at) => out.put_position(at),
            Self::Absent { from, reason } => {
                out.put_u64(from);
                out.put_u8(match reason {
                    AbsenceReason::Expired => 0,
                    AbsenceReason::Damaged => 1,
                });
            }
        }
        out
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        match value.len() {
            12 => Some(Self::Envelope(fields.position()?)),
            9 => Some(Self::Absent {
                from: fields.u64()?,
                reason: match fields.u8()? {
                    0 => AbsenceReason::Expired,
                    _ => AbsenceReason::Damaged,
                },
            }),
            _ => None,
        }
    }
}

/// What waits at a position of a queue, or was set aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) at: Position,
    pub(super) id: EnvelopeId,
    pub(super) accepted_at: Timestamp,
    /// Of the envelope.
    pub(super) bytes: u64,
}

impl Waiting {
    pub(super) fn of(known: &Known) -> Self {
        let Known { at, meta, .. } = known;
        Self { at: *at, id: meta.id, accepted_at: meta.accepted_at, bytes: known.body_length() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(60);
        out.put_position(self.at);
        out.put(self.id.as_bytes());
        out.put_time(self.accepted_at);
        out.put_u64(self.bytes);
        out
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        let (at, id) = (fields.position()?, EnvelopeId::new(fields.array()?));
        Some(Self { at, id, accepted_at: fields.time()?, bytes: fields.u64()? })
    }
}
