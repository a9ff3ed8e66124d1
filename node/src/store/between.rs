//! Between a node and its store: whoever stands there hears of every operation before and after it.
//!
//! In: any [`Store`]. Out: the same one, whose answers pass by a [`Between`]. The node puts its watch for fatal errors
//! there (`watched`), a test a fault.

use std::fmt::Debug;
use std::sync::Arc;

use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};

use super::{
    AccountRecord, Appended, Cursor, Custody, DestinationState, Enrolment, Entry, Expiry,
    HappenedPage, InvitationId, Lane, MailboxRecord, Page, PageBound, PendingPage, Report,
    ReportEntry, Settled, Settlement, Status, Store, StoreError, Usage,
};

/// Hears of operations by the names of [`Store`]'s methods. By default it changes nothing.
pub trait Between: Debug + Send + Sync {
    /// Before an operation on these arguments; an error is answered in the store's place.
    fn before(&self, operation: &'static str, asked: &dyn Debug) -> Result<(), StoreError> {
        let _ = (operation, asked);
        Ok(())
    }

    /// What came of it, before whoever asked hears of it.
    fn after(&self, operation: &'static str, outcome: Result<(), &StoreError>) {
        let _ = (operation, outcome);
    }

    /// What the store says of itself.
    fn status(&self, status: Status) -> Status {
        status
    }
}

/// A store with something between it and whoever asks.
#[derive(Debug)]
pub struct Through<B> {
    store: Arc<dyn Store>,
    between: B,
}

impl<B: Between + 'static> Through<B> {
    /// Puts it there.
    pub fn over(store: Arc<dyn Store>, between: B) -> Arc<dyn Store> {
        Arc::new(Self { store, between })
    }
}

macro_rules! passed_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
            let name = stringify!($name);
            let outcome = self
                .between
                .before(name, &($(&$argument,)*))
                .and_then(|()| self.store.$name($($argument),*));
            self.between.after(name, outcome.as_ref().map(|_| ()));
            outcome
        })+
    };
}

impl<B: Between> Store for Through<B> {
    passed_on! {
        fn append(group: &[Entry]) -> Vec<Appended>;
        fn known(ids: &[EnvelopeId]) -> Vec<Option<Timestamp>>;
        fn read(account: &AccountId, after_seq: u64, bound: PageBound) -> Page;
        fn latest_seq(account: &AccountId) -> u64;
        fn usage(account: &AccountId, mailbox: &MailboxId) -> Usage;
        fn pending(destination: &AuthorityId, lane: Lane, after: u64, bound: PageBound) -> PendingPage;
        fn destinations() -> Vec<DestinationState>;
        fn set_aside(destination: &AuthorityId, after: u64, bound: PageBound) -> PendingPage;
        fn settle(settlements: &[Settlement], reports: &[Report]) -> Settled;
        fn pending_reports(destination: &AuthorityId, after: u64, bound: PageBound) -> Vec<ReportEntry>;
        fn settle_reports(destination: &AuthorityId, positions: &[u64]) -> ();
        fn custody(id: &EnvelopeId) -> Option<Custody>;
        fn expire(now: Timestamp, limit: usize) -> Expiry;
        fn compact() -> u64;
        fn happened(after: Cursor) -> HappenedPage;
        fn hold_from(cursor: Cursor) -> ();
        fn enrol(invitation: &InvitationId, account: &AccountRecord) -> Enrolment;
        fn account(account: &AccountId) -> Option<AccountRecord>;
        fn account_of_device(device: &KeyId) -> Option<AccountId>;
        fn put_account(account: &AccountRecord) -> ();
        fn put_mailbox(mailbox: &MailboxRecord) -> ();
        fn mailbox(mailbox: &MailboxId) -> Option<MailboxRecord>;
        fn mailboxes(account: &AccountId) -> Vec<MailboxRecord>;
        fn confirm_time(now: Timestamp) -> ();
    }

    fn status(&self) -> Status {
        self.between.status(self.store.status())
    }
}
