//! What goes in: one admitted envelope and where it belongs.

use std::fmt;

use bytes::Bytes;
use pli_protocol::id::{
    AccountId, AuthorityId, EnvelopeId, MailboxAddress, MailboxId, ServiceId, Timestamp,
};

/// One envelope of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The leaf hash of its payload.
    pub id: EnvelopeId,
    /// The exact bytes of the `Signed`; they come out again as they are (R1).
    pub bytes: Bytes,
    /// When the node accepted it; the time of its first receipt.
    pub accepted_at: Timestamp,
    /// The header's expiry. Until then the id is remembered.
    pub expires: Timestamp,
    /// Who may ask what became of it.
    pub sender: Sender,
    /// Where it belongs.
    pub place: Place,
}

/// Who signed an envelope's header.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Sender {
    /// An authority's service.
    Service(ServiceId),
    /// A citizen who answers.
    Mailbox(MailboxAddress),
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

/// Where an envelope belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// This node is the home: the next gap-free sequence number of the account.
    Mailbox {
        /// Whose numbering.
        account: AccountId,
        /// The pairwise mailbox, whose usage grows.
        mailbox: MailboxId,
    },
    /// Another node is the home.
    Queue {
        /// Whose node.
        destination: AuthorityId,
        /// Which of its two lanes.
        lane: Lane,
    },
}

/// The two lanes of a queue. Priority overtakes bulk.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Lane {
    /// Alerts and high urgency.
    Priority,
    /// Everything else.
    Bulk,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Appended {
    /// Stored and fsynced. `seq` is the account's sequence number, or the position in the queue's lane.
    New { seq: u64 },
    /// The id was known; nothing was stored. The receipt to give is that of the first time.
    Duplicate { first_accepted_at: Timestamp },
    /// The destination's queue, or all queues together, hold as much as they may: OVERLOADED.
    QueueFull,
    /// The mailbox holds as much as it may until its citizen takes some: MAILBOX_FULL (CUS-5.5).
    MailboxFull,
}
