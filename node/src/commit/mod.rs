//! Commit: [`Admitted`] envelopes become [`Stored`], many by one fsync. Spec: CUS-1.2, CUS-5.6.
//!
//! One thread owns the writing side of the store. It takes whatever has gathered while the disk
//! was busy, so that under load a group is large and alone an envelope waits for nobody. What it
//! gives back is on disk; only that can be acknowledged (P3).

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use pli_protocol::code::Code;
use pli_protocol::custody::Disposition;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::limits::{
    BATCH_ENVELOPES_MAX, GROUP_BYTES_MAX, GROUP_ENVELOPES_MAX, PIPELINE_ENVELOPES_MAX,
};
use tokio::sync::{mpsc, oneshot};

use crate::admit::Admitted;
use crate::clock::Clock;
use crate::ingress::received::Refused;
use crate::metrics::{self, Metrics};
use crate::route::Router;
use crate::store::{Appended, Entry, Place, Store};

/// Batches that wait for the disk. Together with their size this bounds the pipeline.
const WAITING_BATCHES: usize = PIPELINE_ENVELOPES_MAX / BATCH_ENVELOPES_MAX;

/// Fourth token: on disk, fsynced. Only [`Committer`] makes one, and only this can be acknowledged.
#[derive(Debug)]
pub struct Stored {
    id: EnvelopeId,
    disposition: Disposition,
    whereto: Whereto,
}

/// Where something now waits to be taken further.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Whereto {
    /// To the devices of an account of this node.
    Account(AccountId),
    /// To another home.
    Peer(AuthorityId),
}

impl Stored {
    /// Which envelope.
    pub fn id(&self) -> EnvelopeId {
        self.id
    }

    /// What to acknowledge: accepted, or when it was accepted before.
    pub fn disposition(&self) -> Disposition {
        self.disposition
    }

    /// Whether it is new here and waits to be routed, and to where.
    pub fn to_route(&self) -> Option<&Whereto> {
        matches!(self.disposition, Disposition::Accepted).then_some(&self.whereto)
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Committed {
    /// The time of acceptance of the whole group; what its receipts say, now and for duplicates.
    pub at: Timestamp,
    /// One per envelope, in order.
    pub envelopes: Vec<Result<Stored, Refused>>,
}

#[derive(Debug)]
struct Batch {
    admitted: Vec<Admitted>,
    reply: oneshot::Sender<Committed>,
}

impl Batch {
    fn bytes(&self) -> usize {
        self.admitted.iter().map(Admitted::encoded_len).sum()
    }
}

/// Hands batches to the writing thread.
#[derive(Clone, Debug)]
pub struct Committer {
    batches: mpsc::Sender<Batch>,
}

impl Committer {
    /// Starts the thread.
    pub fn start(
        store: Arc<dyn Store>,
        router: Arc<Router>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> (Self, thread::JoinHandle<()>) {
        let (batches, waiting) = mpsc::channel(WAITING_BATCHES);
        let writer = Writer {
            store,
            router,
            clock,
            metrics,
        };
        let thread = thread::Builder::new()
            .name("commit".into())
            .spawn(move || writer.run(waiting))
            .expect("the system can start a thread at the start of the node");
        (Self { batches }, thread)
    }

    /// Stores a batch. Waits while the pipeline is full, which holds back the peer; the second
    /// wait, for the disk, is the future that is returned.
    pub async fn commit(
        &self,
        admitted: Vec<Admitted>,
    ) -> Result<oneshot::Receiver<Committed>, Code> {
        let (reply, committed) = oneshot::channel();
        let batch = Batch { admitted, reply };
        self.batches
            .send(batch)
            .await
            .map_err(|_| Code::ShuttingDown)?;
        Ok(committed)
    }
}

struct Writer {
    store: Arc<dyn Store>,
    router: Arc<Router>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(self, mut waiting: mpsc::Receiver<Batch>) {
        let mut held_over = None;
        while let Some(first) = held_over.take().or_else(|| waiting.blocking_recv()) {
            let (mut entries, mut charges) = (Vec::new(), Vec::new());
            let mut replies = Vec::new();
            let mut bytes = 0;
            let at = self.clock.now();
            let mut next = Some(first);
            while let Some(batch) = next {
                bytes += batch.bytes();
                replies.push((batch.reply, batch.admitted.len()));
                for admitted in batch.admitted {
                    let (entry, charge) = admitted.into_entry(at);
                    entries.push(entry);
                    charges.push(charge);
                }
                next = waiting.try_recv().ok();
                // A group over its bounds would be refused as a whole: what does not fit begins the next.
                held_over = next.take_if(|next| {
                    entries.len() + next.admitted.len() > GROUP_ENVELOPES_MAX
                        || bytes + next.bytes() > GROUP_BYTES_MAX
                });
            }
            let outcome = self.append(&entries);
            let mut committed =
                entries
                    .into_iter()
                    .zip(charges)
                    .zip(outcome)
                    .map(|((entry, charge), outcome)| match outcome {
                        Ok(appended) => {
                            self.count(&entry.place, appended);
                            if let (Some(charge), Appended::New { .. }) = (charge, appended) {
                                charge.keep();
                            }
                            stored(&entry, appended)
                        }
                        Err(code) => Err(Refused { id: entry.id, code }),
                    });
            for (reply, count) in replies {
                let envelopes: Vec<_> = committed.by_ref().take(count).collect();
                self.router
                    .route(envelopes.iter().flatten().filter_map(Stored::to_route));
                // A connection that is gone asks again and gets the same receipts.
                drop(reply.send(Committed { at, envelopes }));
            }
        }
    }

    fn count(&self, place: &Place, appended: Appended) {
        let metrics = &self.metrics.store;
        let route = match place {
            Place::Mailbox { .. } => metrics::Route::Mailbox,
            Place::Queue { .. } => metrics::Route::Peer,
        };
        match appended {
            Appended::New { .. } => metrics.stored_total.of(route).increment(1),
            Appended::Duplicate { .. } => metrics.duplicates_total.increment(1),
            // Counted with the refusals of its connection.
            Appended::QueueFull | Appended::MailboxFull => {}
        }
    }

    fn append(&self, entries: &[Entry]) -> Vec<Result<Appended, Code>> {
        let began = Instant::now();
        let outcome = self.store.append(entries);
        let metrics = &self.metrics.store;
        metrics.commit_seconds.record(began.elapsed());
        metrics.commit_size.record(entries.len() as f64);
        match outcome {
            Ok(appended) => {
                metrics.commits_total.of(metrics::Outcome::Ok).increment(1);
                appended.into_iter().map(Ok).collect()
            }
            Err(error) => {
                metrics
                    .commits_total
                    .of(metrics::Outcome::Failed)
                    .increment(1);
                let code = error.code();
                tracing::error!(%error, envelopes = entries.len(), "not stored, not acknowledged");
                entries.iter().map(|_| Err(code)).collect()
            }
        }
    }
}

fn stored(entry: &Entry, appended: Appended) -> Result<Stored, Refused> {
    let refused = |code| Refused { id: entry.id, code };
    let disposition = match appended {
        Appended::New { .. } => Disposition::Accepted,
        Appended::Duplicate { first_accepted_at } => Disposition::Duplicate {
            first_at: first_accepted_at,
        },
        Appended::QueueFull => return Err(refused(Code::Overloaded)),
        Appended::MailboxFull => return Err(refused(Code::MailboxFull)),
    };
    let whereto = match &entry.place {
        Place::Mailbox { account, .. } => Whereto::Account(*account),
        Place::Queue { destination, .. } => Whereto::Peer(destination.clone()),
    };
    tracing::debug!(envelope = %entry.id, ?disposition, "stored");
    Ok(Stored {
        id: entry.id,
        disposition,
        whereto,
    })
}

#[cfg(test)]
mod tests;
