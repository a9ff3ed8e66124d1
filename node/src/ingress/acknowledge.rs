//! What a batch came to, and one signature for all that one fsync has brought. Spec: CUS-3, CUS-5.3.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pli_protocol::code::Code;
use pli_protocol::custody::ack::{self, Issuer};
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::evidence::EventKind;
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::limits::ACK_DISPOSITIONS_MAX;
use pli_protocol::wire;
use pli_transport::FrameWriter;
use tokio::sync::{mpsc, oneshot};

use super::batches::is_bad;
use super::calls::CallEnd;
use super::received::Refused;
use crate::commit::{Committed, Stored};
use crate::evidence::recorder::Refusal;
use crate::relay::Relay;

/// One batch on its way: what was answered before the disk, and the answer of the disk.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) seq: u64,
    /// One per envelope, in order; `None` where the answer is in `committed`.
    pub(super) answered: Vec<Option<Answered>>,
    pub(super) committed: Option<oneshot::Receiver<Committed>>,
}

/// What needs no writing.
#[derive(Debug)]
pub(super) enum Answered {
    Refused(Refused),
    /// On disk since then, and acknowledged (CUS-5.3).
    Known(EnvelopeId, Timestamp),
}

/// One or more batches, consecutive and of one group commit: one time, one signature.
#[derive(Debug)]
struct Settled {
    seqs: RangeInclusive<u64>,
    /// `None` where nothing reached the disk.
    at: Option<Timestamp>,
    envelopes: Vec<(EnvelopeId, Disposition)>,
}

pub(super) struct Acknowledger {
    pub(super) relay: Arc<Relay>,
    pub(super) issuer: Issuer,
    pub(super) answered: Arc<AtomicU64>,
    pub(super) send: FrameWriter,
}

impl Acknowledger {
    pub(super) async fn run(
        &mut self,
        mut waiting: mpsc::Receiver<Waiting>,
    ) -> Result<(), CallEnd> {
        let mut held = None;
        loop {
            let mut group = match held.take() {
                Some(Held::Settled(settled)) => settled,
                Some(Held::Waiting(next)) => next.settle().await?,
                None => match waiting.recv().await {
                    Some(next) => next.settle().await?,
                    None => break,
                },
            };
            // Whatever else the same fsync has brought goes under the same signature.
            while let Ok(next) = waiting.try_recv() {
                match next.try_settle()? {
                    Held::Settled(settled) if group.has_room_for(&settled) => group.join(settled),
                    other => {
                        held = Some(other);
                        break;
                    }
                }
            }
            self.acknowledge(group).await?;
        }
        Ok(())
    }

    async fn acknowledge(&mut self, group: Settled) -> Result<(), CallEnd> {
        let at = group.at.unwrap_or_else(|| self.relay.clock.now());
        let last = *group.seqs.end();
        let ack = ack::sign(
            &self.issuer,
            group.seqs,
            at,
            &group.envelopes,
            &self.relay.key,
        )
        .expect("a batch has envelopes, and together they fit one acknowledgement");
        self.record_refusals(&group.envelopes, at);
        let reply = wire::CallReply {
            kind: Some(wire::call_reply::Kind::Ack(ack)),
        };
        // Before the peer can know: its next batch may come at once.
        self.answered.store(last, Ordering::Release);
        self.send.send_message(&reply).await?;
        Ok(())
    }
}

impl Acknowledger {
    /// EVD-1.3: what is refused for good is said so in the log too; the store knows nothing of it.
    fn record_refusals(&self, envelopes: &[(EnvelopeId, Disposition)], at: Timestamp) {
        for (envelope, disposition) in envelopes {
            let Disposition::Refused(code) = *disposition else {
                continue;
            };
            if code.retryable() || is_bad(code) {
                continue;
            }
            let kind = match self.issuer.step {
                Step::Accepted => EventKind::SubmissionRejection(code),
                _ => EventKind::RelayRejection(code),
            };
            let refusal = Refusal {
                envelope: *envelope,
                kind,
                at,
            };
            if !self.relay.refusals.record(refusal) {
                self.relay
                    .metrics
                    .evidence
                    .refusals_dropped_total
                    .increment(1);
            }
        }
    }
}

/// A batch that was taken out of the queue too early.
enum Held {
    Waiting(Waiting),
    Settled(Settled),
}

impl Waiting {
    /// Waits for the disk.
    async fn settle(self) -> Result<Settled, CallEnd> {
        let committed = match self.committed {
            Some(committed) => Some(
                committed
                    .await
                    .map_err(|_| CallEnd::Refuse(Code::ShuttingDown))?,
            ),
            None => None,
        };
        Ok(Settled::new(self.seq, self.answered, committed))
    }

    /// The same if the disk has answered already.
    fn try_settle(mut self) -> Result<Held, CallEnd> {
        let committed = match self.committed.as_mut().map(oneshot::Receiver::try_recv) {
            None => None,
            Some(Ok(committed)) => Some(committed),
            Some(Err(oneshot::error::TryRecvError::Empty)) => return Ok(Held::Waiting(self)),
            Some(Err(oneshot::error::TryRecvError::Closed)) => {
                return Err(CallEnd::Refuse(Code::ShuttingDown));
            }
        };
        Ok(Held::Settled(Settled::new(
            self.seq,
            self.answered,
            committed,
        )))
    }
}

impl Settled {
    fn new(seq: u64, answered: Vec<Option<Answered>>, committed: Option<Committed>) -> Self {
        let at = committed.as_ref().map(|committed| committed.at);
        let mut answers = committed
            .into_iter()
            .flat_map(|committed| committed.envelopes);
        let envelopes = answered.into_iter().map(|answered| {
            let refused = match answered {
                Some(Answered::Known(id, first_at)) => {
                    return (id, Disposition::Duplicate { first_at });
                }
                Some(Answered::Refused(refused)) => Err(refused),
                None => answers.next().expect("one answer per envelope committed"),
            };
            match refused {
                Ok(stored) => accepted(&stored),
                Err(Refused { id, code }) => (id, Disposition::Refused(code)),
            }
        });
        Self {
            seqs: seq..=seq,
            at,
            envelopes: envelopes.collect(),
        }
    }

    // CUS-3.8: one time stands in an acknowledgement, and a duplicate must get the receipt of its first
    // time: only what was accepted at one moment goes together.
    fn has_room_for(&self, next: &Self) -> bool {
        let one_time = match (self.at, next.at) {
            (Some(mine), Some(other)) => mine == other,
            _ => true,
        };
        one_time && self.envelopes.len() + next.envelopes.len() <= ACK_DISPOSITIONS_MAX
    }

    fn join(&mut self, next: Self) {
        self.seqs = *self.seqs.start()..=*next.seqs.end();
        self.at = self.at.or(next.at);
        self.envelopes.extend(next.envelopes);
    }
}

// P3: the only place where something new is said to be accepted, and it asks for a `Stored`.
fn accepted(stored: &Stored) -> (EnvelopeId, Disposition) {
    (stored.id(), stored.disposition())
}
