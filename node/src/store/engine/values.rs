//! What bodies and index values mean, apart from an envelope's own ([`known`](super::known)).

use bytes::Bytes;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};

use super::cursor::{Fields, Put};
use super::format::Position;
use super::known::{EnvelopeMeta, Known};
use crate::store::{
    AbsenceReason, AccountRecord, DeviceRecord, MailboxRecord, Outcome, Report, Settlement, Usage,
};

pub(super) fn put_outcome(out: &mut Vec<u8>, outcome: Outcome) {
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
        Outcome::GivenUp { code } => {
            out.put_u8(5);
            out.put_u32(code);
        }
    }
}

pub(super) fn outcome(fields: &mut Fields<'_>) -> Option<Outcome> {
    let tag = fields.u8()?;
    outcome_of(tag, fields)
}

fn outcome_of(tag: u8, fields: &mut Fields<'_>) -> Option<Outcome> {
    Some(match tag {
        0 => Outcome::Unchanged,
        1 => Outcome::Delivered,
        2 => Outcome::Retrieved,
        3 => Outcome::Refused {
            code: fields.u32()?,
        },
        4 => Outcome::Undeliverable {
            code: fields.u32()?,
        },
        5 => Outcome::GivenUp {
            code: fields.u32()?,
        },
        _ => return None,
    })
}

/// Marks an item of a settlement that changed nothing when it came: a rebuild must not let it change
/// anything either.
const WITHOUT_EFFECT: u8 = 0x80;

/// The body of a settlement record: the leaves once, each with the meta of the envelope that it settled,
/// then the receipts.
pub(super) fn encode_settlement(
    settlement: &Settlement,
    settled: &[Option<EnvelopeMeta>],
) -> Bytes {
    const ITEM_EXPECTED: usize = 60;
    let items = settlement.items.len();
    let mut out = Vec::with_capacity(4 + items * ITEM_EXPECTED + settlement.receipts.len());
    out.put_u32(u32::try_from(items).expect("bounded by a group"));
    let mut before = None;
    for ((id, item), settled) in settlement.items.iter().zip(settled) {
        out.put(id.as_bytes());
        let at = out.len();
        put_outcome(&mut out, *item);
        match settled {
            Some(meta) => {
                meta.encode_after(before, &mut out);
                before = Some(meta);
            }
            None => out[at] |= WITHOUT_EFFECT,
        }
    }
    out.put(&settlement.receipts);
    out.into()
}

/// The settlement, and the metas of the envelopes on which it had an effect.
pub(super) fn decode_settlement(body: &Bytes) -> Option<(Settlement, Vec<Option<EnvelopeMeta>>)> {
    let mut fields = Fields(body);
    let count = fields.u32()?;
    let (mut items, mut settled) = (Vec::new(), Vec::<Option<EnvelopeMeta>>::new());
    let mut before = None;
    for index in 0..count as usize {
        let id = EnvelopeId::new(fields.array()?);
        let tag = fields.u8()?;
        items.push((id, outcome_of(tag & !WITHOUT_EFFECT, &mut fields)?));
        if tag & WITHOUT_EFFECT == 0 {
            let last = before.and_then(|at: usize| settled[at].as_ref());
            let meta = EnvelopeMeta::decode_after(id, last, &mut fields)?;
            settled.push(Some(meta));
            before = Some(index);
        } else {
            settled.push(None);
        }
    }
    let receipts = body.slice_ref(fields.0);
    Some((Settlement { receipts, items }, settled))
}

/// An account's numbering and what its mailboxes hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) last_seq: u64,
    pub(super) usage: Vec<(MailboxId, Usage)>,
}

impl Row {
    pub(super) fn usage_of(&mut self, mailbox: MailboxId) -> &mut Usage {
        let at = self
            .usage
            .iter()
            .position(|(id, _)| *id == mailbox)
            .unwrap_or_else(|| {
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
        let mut row = Self {
            last_seq: fields.u64()?,
            usage: Vec::new(),
        };
        while !fields.0.is_empty() {
            let mailbox = MailboxId::new(fields.array()?);
            row.usage.push((
                mailbox,
                Usage {
                    envelopes: fields.u64()?,
                    bytes: fields.u64()?,
                },
            ));
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
        devices.push(DeviceRecord {
            key,
            public_key,
            added_at: fields.time()?,
        });
    }
    Some(AccountRecord {
        id,
        enrolled_at,
        devices,
    })
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
    let (mailbox, account) = (
        MailboxId::new(fields.array()?),
        AccountId::new(fields.array()?),
    );
    let authority = fields.text()?.parse().ok()?;
    let published_at = fields.time()?;
    Some(MailboxRecord {
        mailbox,
        account,
        authority,
        published_at,
        grant: Bytes::copy_from_slice(fields.0),
    })
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
        Some(Self {
            destination,
            position: fields.u64()?,
            expires: fields.time()?,
        })
    }
}

/// What stands at a sequence number, in the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Slot {
    Envelope(Position),
    /// All numbers from here to the one of the key.
    Absent {
        from: u64,
        reason: AbsenceReason,
    },
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
                    AbsenceReason::Skipped => 2,
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
                    2 => AbsenceReason::Skipped,
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
        Self {
            at: *at,
            id: meta.id,
            accepted_at: meta.accepted_at,
            bytes: known.body_length(),
        }
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
        Some(Self {
            at,
            id,
            accepted_at: fields.time()?,
            bytes: fields.u64()?,
        })
    }
}
