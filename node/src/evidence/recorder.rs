//! Records: what the store has done becomes events of the log, in order, each once (EVD-1.3, EVD-2.1).
//!
//! One thread follows the store's log. It holds no state that matters: each batch names the place in the store's log
//! where it ended, so that after a crash it goes on exactly there.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use pli_protocol::code::Code;
use pli_protocol::custody::Receipt;
use pli_protocol::evidence::{Event, EventKind};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::limits::{EVENT_BATCH_MS, TREE_LEAVES_MAX};
use pli_protocol::merkle::Hash;

use super::folder::Keeper;
use super::log::Closed;
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::deliver::evidence::Rebuilt;
use crate::federation::DirectoryWatch;
use crate::metrics::{AlarmKind, Metrics};
use crate::shutdown::Shutdown;
use crate::store::{Cursor, Evidence, Happened, Kept, Outcome, Settlement, Store, StoreError};

/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Refusals that wait to be recorded. Whoever makes more of them has the signed refusals all the same.
const REFUSALS_MAX: usize = 4_096;
/// Full batches that are written down before their second is over.
const TOGETHER: usize = 32;
/// The disk of the log refused: not tried again before.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// An envelope that was refused for good, which no store remembers.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Which.
    pub envelope: EnvelopeId,
    /// By which right: `SubmissionRejection`, `RelayRejection` or `ContentConsignmentFailure`.
    pub kind: EventKind,
    /// The time of the signed refusal.
    pub at: Timestamp,
}

/// Where refusals are handed in.
#[derive(Clone, Debug)]
pub struct Refusals(Option<SyncSender<Refusal>>);

impl Refusals {
    /// Nobody records.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// Hands one in; whether there was room.
    pub fn record(&self, refusal: Refusal) -> bool {
        let Some(sender) = &self.0 else { return true };
        !matches!(sender.try_send(refusal), Err(TrySendError::Full(_)))
    }
}

/// What the recorder works with.
#[derive(Debug)]
pub struct Recorder {
    /// Whose node.
    pub authority: AuthorityId,
    /// What it follows.
    pub store: Arc<dyn Store>,
    /// Where it writes.
    pub keeper: Arc<Keeper>,
    /// How many witnesses the federation demands.
    pub directory: DirectoryWatch,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is wrong.
    pub alarms: Alarms,
}

impl Recorder {
    /// Starts the thread, which ends with the node: it records what happened until then.
    pub fn start(
        self,
        shutdown: Shutdown,
    ) -> Result<(Refusals, thread::JoinHandle<()>), StoreError> {
        let (sender, refusals) = mpsc::sync_channel(REFUSALS_MAX);
        let (cursor, skip) = self.keeper.log().resume();
        self.store.hold_from(cursor)?;
        let open = Open::new(cursor, skip);
        let thread = thread::Builder::new()
            .name("evidence".into())
            .spawn(move || self.run(open, &refusals, &shutdown))
            .expect("the system can start a thread at the start of the node");
        Ok((Refusals(Some(sender)), thread))
    }

    fn run(self, mut open: Open, refusals: &Receiver<Refusal>, shutdown: &Shutdown) {
        loop {
            let ending = shutdown.is_stopping();
            match self.round(&mut open, refusals, ending) {
                Ok(true) => continue,
                Ok(false) if ending => return,
                Ok(false) => thread::sleep(LOOK_EVERY),
                Err(error) => {
                    // Nothing is lost: what the log does not have is still in the store's log.
                    let detail = format!("events are not recorded: {error}");
                    self.alarms
                        .raise(AlarmKind::EvidenceBehind, self.clock.now(), detail);
                    if ending {
                        return;
                    }
                    let (cursor, skip) = self.keeper.log().resume();
                    open = Open::new(cursor, skip);
                    thread::sleep(TRY_AGAIN);
                }
            }
        }
    }

    /// Reads once and writes what is full or due; whether there may be more to read at once.
    fn round(
        &self,
        open: &mut Open,
        refusals: &Receiver<Refusal>,
        ending: bool,
    ) -> Result<bool, RecordError> {
        for refusal in refusals.try_iter().take(REFUSALS_MAX) {
            open.add(&Event {
                kind: refusal.kind,
                node: self.authority.clone(),
                envelope: refusal.envelope,
                at: refusal.at,
            });
        }
        let page = self.store.happened(open.read_to)?;
        let more = page.next != open.read_to;
        let mut skip = std::mem::take(&mut open.skip);
        let mut taken = 0;
        for happened in &page.items {
            for event in self.events(happened) {
                taken += 1;
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                open.mark(taken);
                open.add(&event);
            }
        }
        open.read_to = page.next;
        open.mark_page();
        let due = ending || open.is_due();
        let closed = open.close(due);
        if !closed.is_empty() {
            let events: u64 = closed.iter().map(|one| one.leaves.len() as u64).sum();
            let log = self.keeper.log();
            log.append(closed, self.clock.now())?;
            // EVD-7.7: where the federation demands witnesses, they come first.
            let demanded = self.directory.current().policy().witnesses;
            if let Some(head) = log.newest().filter(|_| demanded == 0) {
                log.publish(head)?;
            }
            let (cursor, _) = log.resume();
            self.store.hold_from(cursor)?;
            self.metrics.evidence.events_total.increment(events);
            self.metrics.evidence.entries.set(log.size() as f64);
            self.alarms.clear(AlarmKind::EvidenceBehind);
        }
        Ok(more)
    }

    /// The events of one thing that happened. EVD-1.3.
    fn events(&self, happened: &Happened) -> Vec<Event> {
        let event = |envelope, at, kind| Event {
            kind,
            node: self.authority.clone(),
            envelope,
            at,
        };
        match happened {
            Happened::Stored {
                envelope,
                at,
                whereto,
            } => {
                let kinds: &[EventKind] = match whereto {
                    Kept::Queued => &[EventKind::SubmissionAcceptance],
                    Kept::Consigned => &[
                        EventKind::SubmissionAcceptance,
                        EventKind::ContentConsignment,
                    ],
                    Kept::Relayed => &[EventKind::RelayAcceptance, EventKind::ContentConsignment],
                };
                kinds
                    .iter()
                    .map(|kind| event(*envelope, *at, *kind))
                    .collect()
            }
            Happened::Settled { receipts, items } => {
                let mut rebuilt = Rebuilt::default();
                let settlement = Settlement {
                    receipts: receipts.clone(),
                    items: Vec::new(),
                };
                let of_item = |(index, envelope, outcome): &(usize, EnvelopeId, Outcome)| {
                    let kind = kind_of(*outcome)?;
                    let evidence = Evidence {
                        outcome: *outcome,
                        index: *index,
                        settlement: settlement.clone(),
                    };
                    let (receipt, _) = Receipt::decode(rebuilt.receipt(&evidence)?).ok()?;
                    let said = receipt.node == self.authority && receipt.envelope == *envelope;
                    said.then(|| event(*envelope, receipt.at, kind))
                };
                items.iter().filter_map(of_item).collect()
            }
        }
    }
}

/// What this node's own word about a letter is called.
pub fn kind_of(outcome: Outcome) -> Option<EventKind> {
    let code = |number| Code::from_number(number).unwrap_or(Code::Internal);
    match outcome {
        Outcome::Retrieved => Some(EventKind::ContentHandover),
        Outcome::Undeliverable { code: why } => Some(EventKind::ContentHandoverFailure(code(why))),
        Outcome::GivenUp { code: why } => Some(EventKind::RelayFailure(code(why))),
        Outcome::Delivered | Outcome::Refused { .. } | Outcome::Unchanged => None,
    }
}

/// Why events are not recorded now.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] std::io::Error),
}

/// Leaves that are not in the log yet, in the order in which they will be.
#[derive(Debug)]
struct Open {
    /// How far the store was read.
    read_to: Cursor,
    /// Events after that cursor that are in the log already.
    skip: u64,
    leaves: Vec<(Hash, Timestamp, Cursor, u64)>,
    /// Where the store's log goes on after the event that is added next, and how many after that are taken.
    place: (Cursor, u64),
    since: Option<Instant>,
    /// Full batches that are written down before their second is over.
    together: usize,
}

impl Open {
    fn new(cursor: Cursor, skip: u64) -> Self {
        Self {
            together: TOGETHER,
            read_to: cursor,
            skip,
            leaves: Vec::new(),
            place: (cursor, skip),
            since: None,
        }
    }

    /// So many events of the page that is read are taken with the next one.
    fn mark(&mut self, taken: u64) {
        self.place = (self.read_to, taken);
    }

    /// All of the page is taken.
    fn mark_page(&mut self) {
        self.place = (self.read_to, self.skip);
        if let Some((_, _, cursor, skip)) = self.leaves.last_mut() {
            (*cursor, *skip) = self.place;
        }
    }

    fn add(&mut self, event: &Event) {
        let (cursor, skip) = self.place;
        self.leaves.push((event.leaf(), event.at, cursor, skip));
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_due(&self) -> bool {
        self.since
            .is_some_and(|since| since.elapsed() >= Duration::from_millis(EVENT_BATCH_MS))
    }

    /// Everything if it is due; full batches before that only when there are many: each time costs a sync, which the
    /// store's own wait for.
    fn close(&mut self, due: bool) -> Vec<Closed> {
        let full = self.leaves.len() / TREE_LEAVES_MAX * TREE_LEAVES_MAX;
        let upto = match due {
            true => self.leaves.len(),
            false if full >= self.together * TREE_LEAVES_MAX => full,
            false => 0,
        };
        let rest = self.leaves.split_off(upto);
        let taken = std::mem::replace(&mut self.leaves, rest);
        if !taken.is_empty() {
            self.since = (!self.leaves.is_empty()).then(Instant::now);
        }
        taken.chunks(TREE_LEAVES_MAX).map(closed).collect()
    }
}

fn closed(leaves: &[(Hash, Timestamp, Cursor, u64)]) -> Closed {
    let times = leaves.iter().map(|(_, at, ..)| *at);
    let (_, _, cursor, skip) = leaves[leaves.len() - 1];
    Closed {
        leaves: leaves.iter().map(|(leaf, ..)| *leaf).collect(),
        earliest: times.clone().min().unwrap_or_default(),
        latest: times.max().unwrap_or_default(),
        cursor,
        skip,
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
