//! What is known of an envelope: the meta of its record, and its row in the index.

use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, MailboxId, Timestamp};

use super::cursor::{Fields, Put};
use super::format::{Position, RECORD_HEADER};
use super::keys::{lane_byte, lane_from_byte};
use super::values::{outcome, put_outcome};
use crate::store::{Entry, Lane, Outcome, Place, Sender};

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
    Mailbox {
        account: AccountId,
        mailbox: MailboxId,
        seq: u64,
    },
    Queue {
        destination: AuthorityId,
        lane: Lane,
        position: u64,
    },
}

impl Placed {
    /// Without its number.
    pub(super) fn given(&self) -> Place {
        match self {
            Self::Mailbox {
                account, mailbox, ..
            } => Place::Mailbox {
                account: *account,
                mailbox: *mailbox,
            },
            Self::Queue {
                destination, lane, ..
            } => Place::Queue {
                destination: destination.clone(),
                lane: *lane,
            },
        }
    }
}

impl EnvelopeMeta {
    pub(super) fn of(entry: &Entry, number: u64) -> Self {
        let place = match &entry.place {
            Place::Mailbox { account, mailbox } => Placed::Mailbox {
                account: *account,
                mailbox: *mailbox,
                seq: number,
            },
            Place::Queue { destination, lane } => Placed::Queue {
                destination: destination.clone(),
                lane: *lane,
                position: number,
            },
        };
        Self {
            id: entry.id,
            accepted_at: entry.accepted_at,
            expires: entry.expires,
            sender: entry.sender.clone(),
            place,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put(self.id.as_bytes());
        self.encode_after_id(out);
    }

    /// In a list of metas, whose ids stand elsewhere: sender and place only where they change.
    pub(super) fn encode_after(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        let same = before.is_some_and(|before| before.with_number(self.number()).is_alike(self));
        out.put_u8(u8::from(same));
        if same {
            out.put_time(self.accepted_at);
            out.put_time(self.expires);
            out.put_u64(self.number());
        } else {
            self.encode_after_id(out);
        }
    }

    pub(super) fn decode_after(
        id: EnvelopeId,
        before: Option<&Self>,
        fields: &mut Fields<'_>,
    ) -> Option<Self> {
        if fields.u8()? == 0 {
            return Self::decode_after_id(id, fields);
        }
        let (accepted_at, expires) = (fields.time()?, fields.time()?);
        let like = before?.with_number(fields.u64()?);
        Some(Self {
            id,
            accepted_at,
            expires,
            ..like
        })
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.sender == other.sender && self.place == other.place
    }

    fn number(&self) -> u64 {
        match &self.place {
            Placed::Mailbox { seq, .. } => *seq,
            Placed::Queue { position, .. } => *position,
        }
    }

    fn with_number(&self, number: u64) -> Self {
        let mut other = self.clone();
        match &mut other.place {
            Placed::Mailbox { seq, .. } => *seq = number,
            Placed::Queue { position, .. } => *position = number,
        }
        other
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
            Placed::Mailbox {
                account,
                mailbox,
                seq,
            } => {
                out.put_u8(0);
                out.put(account.as_bytes());
                out.put(mailbox.as_bytes());
                out.put_u64(*seq);
            }
            Placed::Queue {
                destination,
                lane,
                position,
            } => {
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
            Sender::Service(service) => {
                service.name().len() + 1 + service.authority().as_str().len()
            }
            Sender::Mailbox(mailbox) => MAILBOX_TEXT + mailbox.home.as_str().len(),
        };
        let place = match &self.place {
            Placed::Mailbox {
                account, mailbox, ..
            } => account.as_bytes().len() + mailbox.as_bytes().len() + 8,
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
        Some(Self {
            id,
            accepted_at,
            expires,
            sender,
            place,
        })
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
    /// Where its record is, while it is kept.
    pub(super) at: Position,
    /// The record is needed. Afterwards a rebuild knows the id from what settled it (CUS-4), until it is
    /// forgotten; of a letter that nobody fetched before it expired only the number is left then.
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
    /// Of which a rebuild finds only the settlement.
    pub(super) fn remembered(meta: EnvelopeMeta) -> Self {
        let at = Position {
            segment: 0,
            offset: 0,
            length: 0,
        };
        Self {
            kept: false,
            ..Self::held(meta, at)
        }
    }

    pub(super) fn held(meta: EnvelopeMeta, at: Position) -> Self {
        Self {
            state: State::Held,
            at,
            kept: true,
            evidence: Vec::new(),
            meta,
        }
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
            evidence.push(EvidenceRef {
                settlement,
                index,
                outcome: outcome(&mut fields)?,
            });
        }
        Some(Self {
            state,
            at,
            kept,
            evidence,
            meta,
        })
    }

    /// The length of the envelope.
    pub(super) fn body_length(&self) -> u64 {
        self.meta.body_length(self.at)
    }

    /// Only when it was accepted.
    pub(super) fn decode_accepted_at(value: &[u8]) -> Option<Timestamp> {
        Fields(value).time()
    }
}
