//! What a mailbox gives out.

use bytes::Bytes;
use pli_protocol::id::{EnvelopeId, Timestamp};

/// How much one page may hold. A page has at least one item when there is one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageBound {
    /// Items.
    pub items: usize,
    /// Bytes of envelopes.
    pub bytes: usize,
}

/// A part of an account's numbering, ascending and without a gap but those that [`AbsenceReason::Skipped`] tells of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// The first has the number after the one asked for.
    pub items: Vec<MailboxItem>,
    /// The last sequence number given out in this account.
    pub latest_seq: u64,
}

/// One sequence number of an account; or the last of those that were skipped together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailboxItem {
    /// The number.
    pub seq: u64,
    /// What is there.
    pub item: Item,
}

/// What stands at a sequence number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// The envelope, its bytes checked against its id in this very read.
    Envelope {
        id: EnvelopeId,
        stored_at: Timestamp,
        bytes: Bytes,
    },
    /// Nothing any more.
    Absent { reason: AbsenceReason },
}

/// Why a number has no envelope.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AbsenceReason {
    /// Its time is over.
    Expired,
    /// The record failed its checksum or its id and was put aside (R20).
    Damaged,
    /// The numbering moved on to here from the item before: a new epoch began (case 43). Nothing of this history had
    /// these numbers; a later one that a backup replaced may have given out some.
    Skipped,
}

/// What a mailbox holds that no device has taken yet: what counts against its room (CUS-5.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Envelopes not expired and not retrieved.
    pub envelopes: u64,
    /// Their bytes.
    pub bytes: u64,
}
