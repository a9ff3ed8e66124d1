//! What every room of the node shares.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pli_protocol::account::SignedGrant;
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::ack::Issuer;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId, MailboxId, Timestamp};
use pli_protocol::trust::Directory;
use pli_transport::Dialler;
use tokio::task::JoinHandle;

use crate::admit::{Mailbox, Mailboxes, Quotas};
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::clock::sync::{ClockState, ClockWatch};
use crate::commit::Committer;
use crate::deliver::neighbours::Neighbours;
use crate::evidence::recorder::Refusals;
use crate::evidence::witness::Witnessed;
use crate::evidence::{self, Keeper};
use crate::federation::DirectoryWatch;
use crate::live::{Destinations, Sessions};
use crate::metrics::{AlarmKind, Metrics};
use crate::recent::Recent;
use crate::route::Router;
use crate::store::{Store, StoreError};
use crate::verify::RootMemory;

/// Mailboxes kept in memory: about 100 bytes each.
const MAILBOXES_REMEMBERED: usize = 100_000;

/// The node, as its calls and tasks see it.
#[derive(Debug)]
pub struct Relay {
    /// Whose node.
    pub authority: AuthorityId,
    /// The node's key: its sessions, its receipts, its invitations.
    pub key: SigningKey,
    /// The directory of this moment; a refresh replaces it.
    pub directory: DirectoryWatch,
    /// The files it was made of, verified, for whoever asks.
    pub mirror: PathBuf,
    /// What is on disk.
    pub store: Arc<dyn Store>,
    /// The only way to write envelopes to it.
    pub committer: Committer,
    /// Who waits for what.
    pub router: Arc<Router>,
    /// Dials other nodes, where the operator lets it.
    pub dialler: Dialler,
    /// Who is asked questions.
    pub neighbours: Neighbours,
    /// The log of what happened; `None` where the operator wants none.
    pub evidence: Option<Arc<Keeper>>,
    /// Where refusals become events.
    pub refusals: Refusals,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What a person should look at.
    pub alarms: Alarms,
    /// What peers say of our clock.
    pub clock_watch: Arc<ClockWatch>,
    /// Open sessions.
    pub sessions: Arc<Sessions>,
    /// How destinations answer.
    pub destinations: Arc<Destinations>,
    /// Signatures that were checked.
    pub roots: RootMemory,
    /// What senders have used up.
    pub quotas: Quotas,
    /// When other nodes last cosigned this node's log.
    pub witnessed: Arc<Witnessed>,
    /// Mailboxes asked for lately.
    pub mailboxes: KnownMailboxes,
}

impl Relay {
    /// The directory of this moment.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.current()
    }

    /// What this node's acknowledgements say of an accepted envelope.
    pub fn issuer(&self, step: Step) -> Issuer {
        Issuer {
            node: self.authority.clone(),
            step,
        }
    }

    /// A receipt of this node.
    pub fn receipt(&self, envelope: EnvelopeId, step: Step, at: Timestamp) -> Receipt {
        Receipt {
            step,
            node: self.authority.clone(),
            envelope,
            at,
        }
    }

    /// Raises or clears the alarm of a clock that peers contradict, or that jumped. Case 76.
    pub fn watch_clock(&self, at: Instant) {
        let now = self.clock.now();
        if let Some(jump_ms) = self.clock_watch.step(at, now) {
            tracing::warn!(jump_ms, "the clock was set while the node runs");
        }
        let state = self.clock_watch.state(at);
        if let ClockState::Agrees { offset_ms } | ClockState::Unsynchronised { offset_ms } = state {
            self.metrics.process.clock_offset_ms.set(offset_ms as f64);
        }
        // Case 17
        let wrong = self
            .clock_watch
            .doubt(at, now)
            .map(|doubt| doubt.to_string());
        self.alarms.set(AlarmKind::ClockUnsynchronised, now, wrong);
    }

    /// EVD-3.1: raises or clears the alarm of a log whose key the directory does not list for this node.
    pub fn watch_log_key(&self) {
        let Some(keeper) = &self.evidence else { return };
        let now = self.clock.now();
        let key = keeper.key().public();
        let wrong = evidence::not_listed(&self.directory(), &self.authority, key, now);
        self.alarms.set(AlarmKind::LogKeyNotListed, now, wrong);
    }

    /// Runs something that may wait for the disk, off the tasks that must not.
    pub async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.begin_on_store(work)
            .await
            .expect("store calls do not panic and are not cancelled")
    }

    /// The same, under way at once and whether it is waited for or not.
    pub fn begin_on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> JoinHandle<Result<T, StoreError>> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(store.as_ref()))
    }
}

/// The mailboxes of the store, with those of late in memory.
#[derive(Debug)]
pub struct KnownMailboxes {
    store: Arc<dyn Store>,
    /// Only mailboxes that there are: of the others there is no end.
    recent: Recent<MailboxId, Mailbox>,
    /// How often a grant was published; what was read before must not be remembered after.
    published: Mutex<u64>,
    /// MBX-4.2, MBX-4.3: a grant is compared with the pinned one and written as one step.
    publishing: Mutex<()>,
    clock: Arc<dyn Clock>,
}

impl KnownMailboxes {
    /// Nothing in memory yet.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            recent: Recent::new(MAILBOXES_REMEMBERED),
            published: Mutex::default(),
            publishing: Mutex::default(),
            clock,
        }
    }

    /// Decides about a grant and writes it, one grant at a time. Waits for the disk.
    pub fn publish<T>(
        &self,
        mailbox: &MailboxId,
        decide: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _alone = lock(&self.publishing);
        let decided = decide(self.store.as_ref());
        let mut published = lock(&self.published);
        *published += 1;
        self.recent.forget(mailbox);
        decided
    }

    fn read(&self, id: &MailboxId) -> Result<Option<Mailbox>, Code> {
        let Some(record) = self.store.mailbox(id).map_err(|error| error.code())? else {
            return Ok(None);
        };
        // Checked when it was published; checked again because a disk may lie.
        let grant =
            SignedGrant::verify(record.grant, self.clock.now()).map_err(|_| Code::Damaged)?;
        let accepts = grant
            .grant()
            .accepts
            .iter()
            .map(|class| class.number())
            .collect();
        Ok(Some(Mailbox {
            account: record.account,
            authority: record.authority,
            accepts,
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailboxes for KnownMailboxes {
    fn mailbox(&self, id: &MailboxId) -> Result<Option<Mailbox>, Code> {
        if let Some(known) = self.recent.lookup(id) {
            return Ok(Some(known));
        }
        let before = *lock(&self.published);
        let read = self.read(id)?;
        if let Some(mailbox) = &read {
            let published = lock(&self.published);
            if *published == before {
                self.recent.insert(*id, mailbox.clone());
            }
        }
        Ok(read)
    }

    fn took(&self, envelope: &EnvelopeId) -> Result<Option<Timestamp>, Code> {
        let known = self
            .store
            .known(&[*envelope])
            .map_err(|error| error.code())?;
        Ok(known.into_iter().flatten().next())
    }
}
