//! Store: an admitted envelope becomes durable, or the group is refused. Spec: CUS-4, MBX-5.
//!
//! In: groups of [`Entry`], in the order of acceptance. Out: [`Appended`] per entry, only after an
//! fsync covers it; pages of a mailbox or of a queue; what is due at expiry.
//!
//! The [`Store`] trait has the node's own operations. An engine is chosen by URL ([`open()`]); every
//! engine passes the conformance suite in `node/tests`. Calls block: run them on a thread that may wait for a disk.

mod between;
pub mod engine;
mod entry;
mod error;
mod happened;
mod mailbox;
mod open;
mod queue;
mod registry;
mod watched;

use std::fmt::Debug;

use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};

pub use between::{Between, Through};
pub use entry::{Appended, Entry, Lane, Place, Sender};
pub use error::StoreError;
pub use happened::{Cursor, Happened, HappenedPage, Kept};
pub use mailbox::{AbsenceReason, Item, MailboxItem, Page, PageBound, Usage};
pub use open::{COPIED, Epoch, Limits, Look, OpenOptions, Status, look, open};
pub use queue::{
    Custody, CustodyState, DestinationState, Due, Evidence, Expiry, Outcome, Pending, PendingPage,
    Report, ReportEntry, Settled, Settlement, Untaken,
};
pub use registry::{AccountRecord, DeviceRecord, Enrolment, InvitationId, MailboxRecord};
pub use watched::Watched;

/// What the node asks of its disk.
///
/// Every `Ok` of a changing call means: on disk, fsynced. After [`StoreError::Fatal`] the process must
/// end; the store answers nothing else any more (case 39).
pub trait Store: Debug + Send + Sync {
    /// Stores a group atomically per envelope and durably as a whole; one outcome per entry, in order.
    ///
    /// A known id gives [`Appended::Duplicate`], also within one group. A full queue gives
    /// [`Appended::QueueFull`] and a full mailbox [`Appended::MailboxFull`] to that entry alone (R1). `Err(ReadOnly)` refuses the whole group and
    /// passes when space returns (case 40).
    fn append(&self, group: &[Entry]) -> Result<Vec<Appended>, StoreError>;

    /// Which of these ids are remembered, and since when. For a cheap duplicate check before
    /// signatures are verified; [`Store::append`] decides.
    fn known(&self, ids: &[EnvelopeId]) -> Result<Vec<Option<Timestamp>>, StoreError>;

    /// The account's items after a sequence number, without a gap: each number is an envelope, an absence, or skipped.
    fn read(
        &self,
        account: &AccountId,
        after_seq: u64,
        bound: PageBound,
    ) -> Result<Page, StoreError>;

    /// The last sequence number given out in this account; 0 before the first.
    fn latest_seq(&self, account: &AccountId) -> Result<u64, StoreError>;

    /// What a mailbox holds now that no device has taken, for its quota. [`Store::append`] decides.
    fn usage(&self, account: &AccountId, mailbox: &MailboxId) -> Result<Usage, StoreError>;

    /// Unsettled envelopes of one queue after a position, oldest first.
    fn pending(
        &self,
        destination: &AuthorityId,
        lane: Lane,
        after: u64,
        bound: PageBound,
    ) -> Result<PendingPage, StoreError>;

    /// Every destination that has something waiting or set aside.
    fn destinations(&self) -> Result<Vec<DestinationState>, StoreError>;

    /// Envelopes that a peer refused or that were given up, still kept for the operator; oldest first.
    fn set_aside(
        &self,
        destination: &AuthorityId,
        after: u64,
        bound: PageBound,
    ) -> Result<PendingPage, StoreError>;

    /// Records what became of envelopes and queues the reports that follow from it; all of it or nothing.
    fn settle(&self, settlements: &[Settlement], reports: &[Report])
    -> Result<Settled, StoreError>;

    /// The reports that wait for one destination after a position, oldest first.
    fn pending_reports(
        &self,
        destination: &AuthorityId,
        after: u64,
        bound: PageBound,
    ) -> Result<Vec<ReportEntry>, StoreError>;

    /// The reports at these positions have been delivered or given up.
    fn settle_reports(
        &self,
        destination: &AuthorityId,
        positions: &[u64],
    ) -> Result<(), StoreError>;

    /// What is known of an envelope, until [`OpenOptions::custody_retention_ms`] after its expiry.
    ///
    /// One exception: a letter that expired in a mailbox and that nothing ever settled. Compaction may drop its
    /// record then and keep its number alone, so an index that is rebuilt from the log does not know its id any more.
    /// CUS-5.3 asks for the id until the expiry, which every rebuild knows.
    fn custody(&self, id: &EnvelopeId) -> Result<Option<Custody>, StoreError>;

    /// Handles up to `limit` envelopes whose time is over, by a second and a little at most: mailbox items become absences, ids past
    /// their retention are forgotten, undelivered queue items and mailbox items that nobody took are returned,
    /// each time again until they are settled, as [`Outcome::GivenUp`] and as [`Outcome::Undeliverable`].
    fn expire(&self, now: Timestamp, limit: usize) -> Result<Expiry, StoreError>;

    /// Frees space: at most one segment is compacted or deleted. Returns the bytes freed; 0 when there
    /// is nothing to do. Call it now and then from the same timer as [`Store::expire`].
    fn compact(&self) -> Result<u64, StoreError>;

    /// What this node did after a cursor, oldest first: each thing once, and none that is not on disk. From
    /// `Cursor::default()` on it gives what is left of everything.
    fn happened(&self, after: Cursor) -> Result<HappenedPage, StoreError>;

    /// From now on [`Store::compact`] leaves alone what happened after this cursor, until it is moved on.
    fn hold_from(&self, cursor: Cursor) -> Result<(), StoreError>;

    /// Uses an invitation once and creates the account with its first device. The same device with the
    /// same invitation gets the same account again.
    fn enrol(
        &self,
        invitation: &InvitationId,
        account: &AccountRecord,
    ) -> Result<Enrolment, StoreError>;

    /// An account by id.
    fn account(&self, account: &AccountId) -> Result<Option<AccountRecord>, StoreError>;

    /// Which account a device key belongs to.
    fn account_of_device(&self, device: &KeyId) -> Result<Option<AccountId>, StoreError>;

    /// Replaces an account's record (devices added or removed).
    fn put_account(&self, account: &AccountRecord) -> Result<(), StoreError>;

    /// Stores or replaces a mailbox with its grant.
    fn put_mailbox(&self, mailbox: &MailboxRecord) -> Result<(), StoreError>;

    /// A mailbox by id.
    fn mailbox(&self, mailbox: &MailboxId) -> Result<Option<MailboxRecord>, StoreError>;

    /// The mailboxes of an account.
    fn mailboxes(&self, account: &AccountId) -> Result<Vec<MailboxRecord>, StoreError>;

    /// Case 17: `now` is the time beyond doubt. A later start compares its clock with the last one that was
    /// confirmed ([`Status::confirmed`]).
    fn confirm_time(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Epoch, format, counters.
    fn status(&self) -> Status;
}
