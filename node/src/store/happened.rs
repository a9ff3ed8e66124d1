//! What a store has done, in order, for whoever keeps evidence of it (EVD-1.3).

use bytes::Bytes;
use pli_protocol::id::{EnvelopeId, Timestamp};

use super::Outcome;

/// Where a reader of what happened stands. Ascending; its value means nothing outside of the store that gave it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cursor(pub u64);

/// One thing that this node did, in the order in which it did them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happened {
    /// An envelope was stored.
    Stored {
        /// Which.
        envelope: EnvelopeId,
        /// When it was accepted.
        at: Timestamp,
        /// Where.
        whereto: Kept,
    },
    /// Something became of envelopes, by this node's own word.
    Settled {
        /// The settlement's receipts, opaque to the store.
        receipts: Bytes,
        /// Those of its items that this node itself says, by their place in the settlement.
        items: Vec<(usize, EnvelopeId, Outcome)>,
    },
}

/// Where an envelope was put.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// In the queue of its home.
    Queued,
    /// In a mailbox; its service is one of this node's own authority.
    Consigned,
    /// In a mailbox; another node forwarded it.
    Relayed,
}

/// What happened after a cursor.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HappenedPage {
    /// In order.
    pub items: Vec<Happened>,
    /// Where to go on. The one asked for when nothing happened since.
    pub next: Cursor,
}
