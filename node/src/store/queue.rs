//! What waits for other nodes, what became of it, and the evidence.

use bytes::Bytes;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, Timestamp};

use super::entry::{Lane, Place, Sender};

/// An envelope that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pending {
    /// Its position in the lane; ascending, never reused.
    pub position: u64,
    /// Its id. What is read from a disk is checked against it in this very read.
    pub id: EnvelopeId,
    /// The exact bytes.
    pub bytes: Bytes,
}

/// A part of a queue.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PendingPage {
    /// Ascending positions.
    pub items: Vec<Pending>,
    /// CUS-6.7: records that failed their checksum or id, put aside in this read. They must be settled as
    /// [`Outcome::GivenUp`], since they were acknowledged (P3). The id is the one that was accepted.
    pub damaged: Vec<EnvelopeId>,
    /// The position to ask after for the next page; the one asked for when nothing follows.
    pub next_after: u64,
}

/// What waits for one destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DestinationState {
    /// Whose node.
    pub destination: AuthorityId,
    /// Envelopes waiting in the priority lane.
    pub priority: u64,
    /// Envelopes waiting in the bulk lane.
    pub bulk: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Reports waiting.
    pub reports: u64,
    /// Envelopes set aside.
    pub set_aside: u64,
    /// When the oldest waiting envelope was accepted.
    pub oldest: Option<Timestamp>,
}

/// One piece of evidence and what it says of each envelope it covers. Stored once, however many they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement {
    /// Opaque to the store: an `AckBatch`, a `Handover`, a signed receipt.
    pub receipts: Bytes,
    /// The leaves in their order, so that the tree can be built again. An id that the store does not know,
    /// or whose state may not change that way, keeps its place here and is otherwise ignored.
    pub items: Vec<(EnvelopeId, Outcome)>,
}

/// What became of an envelope.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// The home has it on disk. Leaves the queue.
    Delivered,
    /// A device has it.
    Retrieved,
    /// The peer refused it, with this wire code. Leaves the queue, is set aside.
    Refused { code: u32 },
    /// Its home says that nobody took it, or that it cannot be had any more, with this wire code.
    Undeliverable { code: u32 },
    /// This node will not deliver it: expired, damaged or given up, with this wire code. Leaves the queue; a letter that
    /// waits in none any more, perhaps because its home took it at that very moment, is not changed.
    GivenUp { code: u32 },
    /// Only a leaf of the tree; nothing changes.
    Unchanged,
}

/// How many items of the settlements changed something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settled {
    /// Applied.
    pub applied: usize,
    /// Unknown ids, repeated outcomes, transitions that make no sense.
    pub ignored: usize,
}

/// Receipts that this home sends back to an origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The origin.
    pub destination: AuthorityId,
    /// Opaque to the store.
    pub bytes: Bytes,
    /// After this it is dropped.
    pub expires: Timestamp,
}

/// A report that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportEntry {
    /// Ascending, never reused.
    pub position: u64,
    /// Opaque to the store; empty if the record was damaged.
    pub bytes: Bytes,
    /// After this it is dropped.
    pub expires: Timestamp,
}

/// What is known of an envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Custody {
    /// Who may ask.
    pub sender: Sender,
    /// When this node accepted it.
    pub accepted_at: Timestamp,
    /// The header's expiry.
    pub expires: Timestamp,
    /// Where it was put, whatever became of it.
    pub place: Place,
    /// The last thing known.
    pub state: CustodyState,
    /// Everything that says so, oldest first; at most `RECEIPTS_PER_ENVELOPE_MAX`.
    pub evidence: Vec<Evidence>,
}

/// The last thing known of an envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CustodyState {
    /// Waits for its destination.
    Queued {
        destination: AuthorityId,
        lane: Lane,
    },
    /// In a mailbox of this node.
    Stored { account: AccountId, seq: u64 },
    /// The other home has it.
    Delivered,
    /// A device has it.
    Retrieved,
    /// The other home refused it.
    Refused { code: u32 },
    /// It will not be delivered.
    Undeliverable { code: u32 },
    /// It was in a mailbox of this node until it expired.
    Expired,
}

/// One settlement that covers an envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// What it says of this envelope.
    pub outcome: Outcome,
    /// Which leaf this envelope is.
    pub index: usize,
    /// The settlement as it was given: receipts and all leaves in order.
    pub settlement: Settlement,
}

/// The result of a round of expiry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expiry {
    /// Queue items whose time is over: sign `undeliverable` and settle them.
    pub undelivered: Vec<Due>,
    /// Letters that expired in a mailbox and that no device took: sign `undeliverable`, settle and report them.
    /// Returned each time again until they are settled, or forgotten.
    pub untaken: Vec<Untaken>,
    /// Mailbox items that became absences.
    pub absent: usize,
    /// Ids forgotten.
    pub forgotten: usize,
    /// More is due: call again after settling.
    pub more: bool,
    /// How long ago the first thing became due that is still to be looked at; 0 if there is none.
    pub behind_ms: u64,
}

/// An undelivered envelope whose time is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due {
    /// Its id.
    pub id: EnvelopeId,
    /// Where it was meant to go.
    pub destination: AuthorityId,
    /// Who gets to know.
    pub sender: Sender,
}

/// A letter of a mailbox that no device took in time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Untaken {
    /// Its id.
    pub id: EnvelopeId,
    /// Who gets to know.
    pub sender: Sender,
    /// Until then its origin knows it too, if it keeps ids as long.
    pub forget_at: Timestamp,
}
