//! Case 39: whichever operation meets the first fatal error, the node hears of it and ends (CUS-1.5).
//!
//! In: any [`Store`]. Out: the same one, and a channel that says once why it must not be used any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};
use tokio::sync::oneshot;

use super::{
    AccountRecord, Appended, Custody, DestinationState, Enrolment, Entry, Expiry, InvitationId,
    Lane, MailboxRecord, Page, PageBound, PendingPage, Report, ReportEntry, Settled, Settlement,
    Status, Store, StoreError, Usage,
};

/// A store whose first fatal error is announced.
#[derive(Debug)]
pub struct Watched {
    store: Arc<dyn Store>,
    failed: AtomicBool,
    announce: std::sync::Mutex<Option<oneshot::Sender<String>>>,
}

impl Watched {
    /// The store, and who hears of its failure.
    pub fn over(store: Arc<dyn Store>) -> (Arc<dyn Store>, oneshot::Receiver<String>) {
        let (announce, failed) = oneshot::channel();
        let watched = Self {
            store,
            failed: AtomicBool::new(false),
            announce: std::sync::Mutex::new(Some(announce)),
        };
        (Arc::new(watched), failed)
    }

    fn look<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome
            && error.is_fatal()
        {
            self.failed.store(true, Ordering::Release);
            let mut announce = self
                .announce
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(announce) = announce.take() {
                // Whoever does not listen any more is ending already.
                drop(announce.send(error.to_string()));
            }
        }
        outcome
    }
}

macro_rules! looked_at {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
            self.look(self.store.$name($($argument),*))
        })+
    };
}

impl Store for Watched {
    looked_at! {
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
        let status = self.store.status();
        Status {
            failed: status.failed || self.failed.load(Ordering::Acquire),
            ..status
        }
    }
}
