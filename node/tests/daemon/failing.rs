//! The store as the node has it, but for what a test says: an operation that fails for good, and what a test wants to
//! look at.

use std::sync::Arc;

use pli_node::config::Config;
use pli_node::fatal::Fatal;
use pli_node::run::{self, Opened};
use pli_node::shutdown::{Shutdown, ShutdownTrigger};
use pli_node::store::*;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};
use tokio::task::JoinHandle;

use crate::site::Site;

/// One operation fails as a disk does that refuses to sync.
#[derive(Debug)]
pub(crate) struct Failing {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) operation: &'static str,
}

macro_rules! pass_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        impl Store for Failing {
            $(fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                if self.operation == stringify!($name) {
                    let source = std::io::Error::other("the fault of this test");
                    return Err(StoreError::Fatal { doing: self.operation, source });
                }
                self.store.$name($($argument),*)
            })+

            fn status(&self) -> Status {
                self.store.status()
            }
        }
    };
}

pass_on! {
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

pub(crate) async fn opened(site: &Site) -> Opened {
    let config = Config::load(&site.at("node.toml")).unwrap();
    run::open(config).await.unwrap()
}

pub(crate) fn started(opened: Opened) -> (JoinHandle<Result<(), Fatal>>, Arc<ShutdownTrigger>) {
    let (trigger, shutdown) = Shutdown::new();
    let trigger = Arc::new(trigger);
    (
        tokio::spawn(opened.run(Arc::clone(&trigger), shutdown)),
        trigger,
    )
}
