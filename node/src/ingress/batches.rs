//! A stream of envelope batches: through every stage, then one signature for what was stored.
//! Spec: CUS-3, CUS-4, CUS-5.
//!
//! ```text
//! frames ──▶ received ▶ verified ▶ admitted ──▶ commit (fsync) ──▶ acknowledgement
//!            └── this task, batch after batch ─┘  └ its thread ┘    └ the other task ┘
//! ```
//!
//! The reading task goes on while the disk works; the acknowledging task takes the batches in
//! order and signs for all that are done. At most `BATCHES_IN_FLIGHT_MAX` are between the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use pli_protocol::code::{Blame, Code};
use pli_protocol::codec;
use pli_protocol::custody::Step;
use pli_protocol::custody::pipeline::Receiving;
use pli_protocol::id::Timestamp;
use pli_protocol::limits::{BAD_ENVELOPES_MAX, BATCHES_IN_FLIGHT_MAX, FRAME_MAX};
use pli_protocol::wire;
use pli_transport::{FrameReader, FrameWriter};
use tokio::sync::mpsc;

use super::acknowledge::{Acknowledger, Answered, Waiting};
use super::calls::CallEnd;
use super::received::{Received, Refused, Way};
use crate::admit::{Admission, Admitted};
use crate::metrics;
use crate::relay::Relay;
use crate::shutdown::Shutdown;
use crate::verify::{is_of_its_sender, is_of_the_directory, verify};

/// Takes batches until the peer ends the call, then finishes the acknowledgements.
pub async fn run(
    relay: Arc<Relay>,
    way: Way,
    recv: FrameReader,
    send: FrameWriter,
    bad: Arc<AtomicU32>,
    shutdown: Shutdown,
) -> (Result<(), CallEnd>, FrameWriter) {
    let (waiting, to_acknowledge) = mpsc::channel(BATCHES_IN_FLIGHT_MAX as usize);
    let answered = Arc::new(AtomicU64::new(0));
    let reader = Reader {
        relay: Arc::clone(&relay),
        way: way.clone(),
        answered: Arc::clone(&answered),
        bad,
    };
    let step = match way {
        Way::Submit(_) => Step::Accepted,
        Way::Forward(_) => Step::Stored,
    };
    let mut acknowledger = Acknowledger {
        issuer: relay.issuer(step),
        relay,
        answered,
        send,
    };
    let (read, acknowledged) = tokio::join!(
        reader.run(recv, waiting, shutdown),
        acknowledger.run(to_acknowledge),
    );
    let end = match acknowledged.and(read) {
        Ok(()) => acknowledger.send.finish().await.map_err(CallEnd::from),
        end => end,
    };
    // What was stored is acknowledged before the peer hears why there will be no more.
    (end, acknowledger.send)
}

struct Reader {
    relay: Arc<Relay>,
    way: Way,
    /// The last batch whose acknowledgement is on its way to the peer.
    answered: Arc<AtomicU64>,
    /// Of the whole connection.
    bad: Arc<AtomicU32>,
}

impl Reader {
    async fn run(
        mut self,
        mut recv: FrameReader,
        waiting: mpsc::Sender<Waiting>,
        mut shutdown: Shutdown,
    ) -> Result<(), CallEnd> {
        let mut order = Receiving::default();
        loop {
            let frame = tokio::select! {
                // First, or a peer that always has a frame ready would never hear of the stop.
                biased;
                // SES-7.5: what was taken is acknowledged, and nothing more is taken.
                () = shutdown.begun() => {
                    recv.stop(Code::ShuttingDown);
                    return Err(CallEnd::Refuse(Code::ShuttingDown));
                }
                frame = recv.next() => frame?,
            };
            let Some(frame) = frame else { return Ok(()) };
            let batch: wire::EnvelopeBatch = codec::decode_canonical(&frame, FRAME_MAX)
                .map_err(|error| CallEnd::Cut(error.code()))?;
            order.acknowledge(self.answered.load(Ordering::Acquire));
            order
                .receive(batch.seq, batch.envelopes.len())
                .map_err(|error| CallEnd::Cut(error.code()))?;
            let next = self.take(batch).await?;
            if waiting.send(next).await.is_err() {
                // The acknowledger ended, and says why.
                return Ok(());
            }
            if self.bad.load(Ordering::Relaxed) >= BAD_ENVELOPES_MAX {
                return Err(CallEnd::Cut(Code::PeerCut));
            }
        }
    }

    /// Takes one batch through the stages up to the disk. One bad envelope spoils no other (R1, CUS-1.4).
    async fn take(&mut self, batch: wire::EnvelopeBatch) -> Result<Waiting, CallEnd> {
        let way = self.way_label();
        let ingress = &self.relay.metrics.ingress;
        ingress
            .envelopes_total
            .of(way)
            .increment(batch.envelopes.len() as u64);
        let directory = self.relay.directory();
        let now = self.relay.clock.now();
        let admission = Admission {
            own: &self.relay.authority,
            directory: &directory,
            mailboxes: &self.relay.mailboxes,
            quotas: &self.relay.quotas,
            unwitnessed: self.relay.witnessed.refuses(&directory, now).is_some(),
            now,
        };
        let mut admitted = Vec::with_capacity(batch.envelopes.len());
        let mut answered = Vec::with_capacity(batch.envelopes.len());
        let mut bytes = 0;
        for encoded in batch.envelopes {
            bytes += encoded.len() as u64;
            match self.pass(encoded, &admission) {
                Ok(envelope) => {
                    admitted.push(envelope);
                    answered.push(None);
                }
                Err(answer) => answered.push(Some(answer)),
            }
        }
        ingress.bytes_total.of(way).increment(bytes);
        let refused = answered.iter().flatten().filter_map(|answer| match answer {
            Answered::Refused(refusal) => Some(refusal.code),
            Answered::Known(..) => None,
        });
        if refused.clone().any(is_of_the_directory) {
            // CUS-6.8: the sender's node may know a newer one.
            self.relay.directory.want_newer();
        }
        let bad = refused.filter(|code| is_bad(*code)).count();
        self.bad
            .fetch_add(u32::try_from(bad).unwrap_or(u32::MAX), Ordering::Relaxed);
        let committed = if admitted.is_empty() {
            None
        } else {
            Some(
                self.relay
                    .committer
                    .commit(admitted)
                    .await
                    .map_err(CallEnd::Refuse)?,
            )
        };
        Ok(Waiting {
            seq: batch.seq,
            answered,
            committed,
        })
    }

    fn pass<M: crate::admit::Mailboxes>(
        &self,
        encoded: Bytes,
        admission: &Admission<'_, M>,
    ) -> Result<Admitted, Answered> {
        let metrics = &self.relay.metrics;
        let span = tracing::debug_span!("envelope", id = tracing::field::Empty);
        let _inside = span.enter();
        let received = Received::decode(encoded)
            .inspect_err(|refused| metrics.ingress.refused_total.of(refused.code).increment(1))
            .map_err(refusal)?;
        span.record("id", tracing::field::display(received.letter().id()));
        tracing::debug!("received");
        let may_ask = is_of_its_sender(&received, &self.way, admission.own);
        self.judge(received, admission).map_err(|mut refused| {
            // Case 17: nothing is final that a clock in doubt says.
            if matches!(refused.code, Code::Expired | Code::NotYetValid)
                && self.is_doubtful(admission.now)
            {
                refused.code = Code::Overloaded;
            }
            // CUS-5.3: the clock, the directory and the citizen move on; a receipt that was given stays.
            let took = admission.mailboxes.took(&refused.id);
            match took {
                Ok(Some(at)) if may_ask && !is_bad(refused.code) => {
                    metrics.store.duplicates_total.increment(1);
                    tracing::debug!(code = %refused.code, "known, though it would be refused now");
                    Answered::Known(refused.id, at)
                }
                _ => refusal(refused),
            }
        })
    }

    fn judge<M: crate::admit::Mailboxes>(
        &self,
        received: Received,
        admission: &Admission<'_, M>,
    ) -> Result<Admitted, Refused> {
        let metrics = &self.relay.metrics;
        let way = self.way_label();
        let verified = verify(
            received,
            &self.way,
            admission.own,
            admission.directory,
            &self.relay.roots,
            admission.now,
        )
        .inspect_err(|refused| metrics.verify.refused_total.of(refused.code).increment(1))?;
        metrics.verify.verified_total.of(way).increment(1);
        tracing::debug!("verified");
        let admitted = admission
            .admit(verified, &self.way)
            .inspect_err(|refused| metrics.admit.refused_total.of(refused.code).increment(1))?;
        metrics.admit.admitted_total.of(way).increment(1);
        tracing::debug!("admitted");
        Ok(admitted)
    }

    fn is_doubtful(&self, now: Timestamp) -> bool {
        self.relay.clock_watch.doubt(Instant::now(), now).is_some()
    }

    fn way_label(&self) -> metrics::Way {
        match self.way {
            Way::Submit(_) => metrics::Way::Submit,
            Way::Forward(_) => metrics::Way::Forward,
        }
    }
}

fn refusal(refused: Refused) -> Answered {
    if refused.code.retryable() {
        // It comes again and again.
        tracing::debug!(envelope = %refused.id, code = %refused.code, "refused for now");
    } else {
        tracing::info!(envelope = %refused.id, code = %refused.code, "refused");
    }
    Answered::Refused(refused)
}

// SES-5.4, case 55: what only a broken or hostile peer sends. A revoked key or a full quota is neither.
pub(super) fn is_bad(code: Code) -> bool {
    matches!(code.blame(), Blame::Malformed | Blame::Misbehaved)
}
