//! One connection's worth of forwarding to one home (CUS-6).
//!
//! Envelopes are read from the store page by page, priority first, and leave it when the home's
//! signed acknowledgement has been checked and written down. Whatever breaks off stays queued.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::custody::ack::{Acknowledged, Issuer};
use pli_protocol::custody::pipeline::Sending;
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::{BATCH_ENVELOPES_MAX, FRAME_MAX};
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{DialledConnection, FrameReader, FrameWriter};
use prost::Message;
use tokio::sync::Notify;

use super::{evidence, undeliverable};
use crate::metrics;
use crate::relay::Relay;
use crate::store::{Lane, Outcome, PageBound, Pending, Settlement, StoreError};

/// Room for the envelopes of one frame; the rest is for tags and lengths.
const FRAME_ROOM: usize = FRAME_MAX - BATCH_ENVELOPES_MAX * 4 - 64;

/// Read from the store at once: a task of its own for every frame would cost more than the frame.
const READ_AHEAD: PageBound = PageBound {
    items: 1_024,
    bytes: 4 << 20,
};
/// Acknowledgements written down by one fsync.
const SETTLED_AT_ONCE: usize = 64;

/// Why forwarding stopped.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection, or the peer's answers, cannot be used further.
    #[error("{0}")]
    Peer(String),
    /// The peer refused the call.
    #[error("the peer refuses with {0}")]
    Refused(Code),
    /// This node's disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How forwarding goes on after something went wrong.
#[derive(Debug, Default)]
pub struct Caution {
    /// Envelopes that were alone on their way when the connection broke, and how often.
    pub tries: HashMap<EnvelopeId, u32>,
    /// Something was answered since the connection was made.
    pub progress: bool,
    /// So many envelopes go one at a time: those that were together on their way when the
    /// connection broke. Whoever breaks it is found among them.
    pub one_at_a_time: usize,
}

/// Forwards over one connection.
#[derive(Debug)]
pub struct Forwarding<'a> {
    relay: &'a Arc<Relay>,
    home: &'a AuthorityId,
    key: PublicKey,
    wake: &'a Notify,
    caution: &'a mut Caution,
    sending: Sending,
    /// How far each lane has been read on this connection.
    after: HashMap<Lane, u64>,
    /// Read and not sent yet; bounded by [`READ_AHEAD`].
    urgent: VecDeque<Pending>,
    bulk: VecDeque<Pending>,
    /// The priority lane may hold what was not read.
    news: bool,
    /// Something was refused for now and must be read again later.
    deferred: bool,
}

impl<'a> Forwarding<'a> {
    /// A fresh connection: whatever is not settled is read again.
    pub fn new(
        relay: &'a Arc<Relay>,
        home: &'a AuthorityId,
        connection: &DialledConnection,
        wake: &'a Notify,
        caution: &'a mut Caution,
    ) -> Self {
        let granted = connection.welcome().max_batches_in_flight;
        Self {
            relay,
            home,
            key: connection.server().key,
            wake,
            caution,
            sending: Sending::new(granted),
            after: HashMap::new(),
            urgent: VecDeque::new(),
            bulk: VecDeque::new(),
            news: true,
            deferred: false,
        }
    }

    /// Forwards for as long as the connection holds. Returns only when it has to be made anew,
    /// or (`Ok`) when something was put off and the caller should wait before the next attempt;
    /// with the envelopes that were on their way then.
    pub async fn run(
        mut self,
        connection: &DialledConnection,
    ) -> (Result<(), Broken>, Vec<EnvelopeId>) {
        let outcome = self.forward(connection).await;
        (outcome, self.sending.into_unsettled().collect())
    }

    async fn forward(&mut self, connection: &DialledConnection) -> Result<(), Broken> {
        let mut stream = connection.open_call().await.map_err(peer)?;
        let opening = wire::Call {
            kind: Some(call::Kind::Forward(wire::Forward {})),
        };
        stream.send.send_message(&opening).await.map_err(peer)?;
        loop {
            self.fill(&mut stream.send).await?;
            if self.sending.is_settled() {
                if self.deferred {
                    return Ok(());
                }
                self.send_reports(connection).await?;
            }
            tokio::select! {
                reply = next_reply(&mut stream.recv), if !self.sending.is_settled() => {
                    self.settle(reply?, &mut stream.recv).await?;
                }
                () = self.wake.notified(), if self.has_room() => self.news = true,
                lost = connection.closed(), if self.sending.is_settled() => return Err(peer(lost)),
            }
        }
    }

    fn has_room(&self) -> bool {
        self.sending.has_room() && (self.caution.one_at_a_time == 0 || self.sending.is_settled())
    }

    /// Sends batches while there is something to send and room for it.
    async fn fill(&mut self, send: &mut FrameWriter) -> Result<(), Broken> {
        while self.has_room() {
            let batch = self.next_batch().await?;
            if batch.is_empty() {
                return Ok(());
            }
            let ids = batch.iter().map(|pending| pending.id).collect();
            let seq = self
                .sending
                .send(ids)
                .expect("there was room, and a page is a batch");
            let envelopes = batch.into_iter().map(|pending| pending.bytes).collect();
            let batch = wire::EnvelopeBatch { seq, envelopes };
            send.send_message(&batch).await.map_err(peer)?;
        }
        Ok(())
    }

    /// The next envelopes, as many as a frame takes: the priority lane first, always (CUS-6.2).
    async fn next_batch(&mut self) -> Result<Vec<Pending>, Broken> {
        if self.urgent.is_empty() && self.news {
            self.urgent = self.read(Lane::Priority).await?;
            self.news = !self.urgent.is_empty();
        }
        if self.urgent.is_empty() && self.bulk.is_empty() {
            self.bulk = self.read(Lane::Bulk).await?;
        }
        let careful = self.caution.one_at_a_time > 0;
        let (lane, ready) = if self.urgent.is_empty() {
            (Lane::Bulk, &mut self.bulk)
        } else {
            (Lane::Priority, &mut self.urgent)
        };
        let mut room = FRAME_ROOM;
        let mut batch = Vec::new();
        let most = if careful { 1 } else { BATCH_ENVELOPES_MAX };
        while batch.len() < most {
            match ready.pop_front_if(|next| next.bytes.len() <= room) {
                Some(next) => {
                    room -= next.bytes.len();
                    batch.push(next);
                }
                None => break,
            }
        }
        self.count(lane, batch.len());
        Ok(batch)
    }

    /// The next page of a lane; empty when all of it has been read on this connection.
    async fn read(&mut self, lane: Lane) -> Result<VecDeque<Pending>, Broken> {
        loop {
            let after = self.after.get(&lane).copied().unwrap_or(0);
            let home = self.home.clone();
            let page = self
                .relay
                .on_store(move |store| store.pending(&home, lane, after, READ_AHEAD))
                .await?;
            self.after.insert(lane, page.next_after);
            self.give_up(page.damaged, Code::Damaged).await?;
            if !page.items.is_empty() || page.next_after == after {
                return Ok(page.items.into());
            }
        }
    }

    fn count(&self, lane: Lane, envelopes: usize) {
        let lane = match lane {
            Lane::Priority => metrics::Lane::Priority,
            Lane::Bulk => metrics::Lane::Bulk,
        };
        self.relay
            .metrics
            .deliver
            .forwarded_total
            .of(lane)
            .increment(envelopes as u64);
    }

    /// Writes down what the home says: this answer, and all that have come meanwhile, by one
    /// fsync. What breaks before that is still queued.
    async fn settle(
        &mut self,
        first: wire::CallReply,
        recv: &mut FrameReader,
    ) -> Result<(), Broken> {
        let mut settlements = vec![self.check(first)?];
        while settlements.len() < SETTLED_AT_ONCE && !self.sending.is_settled() {
            tokio::select! {
                biased;
                reply = next_reply(recv) => settlements.push(self.check(reply?)?),
                () = std::future::ready(()) => break,
            }
        }
        self.relay
            .on_store(move |store| store.settle(&settlements, &[]))
            .await?;
        Ok(())
    }

    /// Checks that the home says what it says.
    fn check(&mut self, reply: wire::CallReply) -> Result<Settlement, Broken> {
        let ack = match reply.kind {
            Some(call_reply::Kind::Ack(ack)) => ack,
            // CUS-3.6: it acknowledges nothing.
            Some(call_reply::Kind::Refusal(refusal)) => {
                let code = Code::from_number(refusal.code).unwrap_or(Code::Internal);
                return Err(Broken::Refused(code));
            }
            _ => return Err(Broken::Peer("an answer that is no acknowledgement".into())),
        };
        let ids = self
            .sending
            .acknowledged(ack.first_seq, ack.last_seq)
            .map_err(peer)?;
        let issuer = Issuer {
            node: self.home.clone(),
            step: Step::Stored,
        };
        let acknowledged = Acknowledged::verify(&ack, &issuer, &ids, &self.key).map_err(peer)?;
        let items: Vec<_> = ids
            .iter()
            .zip(acknowledged.dispositions())
            .map(|(id, disposition)| (*id, self.outcome(*id, *disposition)))
            .collect();
        self.sending.settle(ack.last_seq).map_err(peer)?;
        // Whatever broke the connection before, it was not one of these.
        self.caution.one_at_a_time = self.caution.one_at_a_time.saturating_sub(ids.len());
        self.caution.progress = true;
        for id in &ids {
            self.caution.tries.remove(id);
        }
        Ok(evidence::of_acknowledgement(self.home, &ack, items))
    }

    fn outcome(&mut self, id: EnvelopeId, disposition: Disposition) -> Outcome {
        let answered = &self.relay.metrics.deliver.answered_total;
        tracing::debug!(envelope = %id, ?disposition, home = %self.home, "answered by the home");
        match disposition {
            Disposition::Accepted => {
                answered.of(metrics::Disposition::Accepted).increment(1);
                Outcome::Delivered
            }
            Disposition::Duplicate { .. } => {
                answered.of(metrics::Disposition::Duplicate).increment(1);
                Outcome::Delivered
            }
            // CUS-6.4: not for good. It stays where it is and is tried again.
            Disposition::Refused(code) if code.retryable() => {
                tracing::info!(envelope = %id, %code, home = %self.home, "put off");
                self.deferred = true;
                Outcome::Unchanged
            }
            // R2, CUS-6.4: set aside with the peer's signed refusal; the next one goes on.
            Disposition::Refused(code) => {
                tracing::warn!(envelope = %id, %code, home = %self.home, "set aside");
                answered.of(metrics::Disposition::Refused).increment(1);
                self.relay.metrics.deliver.set_aside_total.increment(1);
                Outcome::Refused {
                    code: code.number(),
                }
            }
        }
    }

    async fn give_up(&self, ids: Vec<EnvelopeId>, code: Code) -> Result<(), Broken> {
        if !ids.is_empty() {
            let undeliverable = ids.into_iter().map(|id| (id, code)).collect();
            undeliverable::report(self.relay, undeliverable).await?;
        }
        Ok(())
    }

    /// Receipts of this home for that origin, on calls of their own.
    async fn send_reports(&self, connection: &DialledConnection) -> Result<(), Broken> {
        const PAGE: PageBound = PageBound {
            items: 16,
            bytes: 1 << 20,
        };
        loop {
            let home = self.home.clone();
            let reports = self
                .relay
                .on_store(move |store| store.pending_reports(&home, 0, PAGE))
                .await?;
            if reports.is_empty() {
                return Ok(());
            }
            let mut settled = Vec::with_capacity(reports.len());
            for report in reports {
                let Ok(message) = wire::Report::decode(report.bytes) else {
                    // Damaged: the device's receipt stays here and can be asked for.
                    settled.push(report.position);
                    continue;
                };
                let call = wire::Call {
                    kind: Some(call::Kind::Report(message)),
                };
                let mut stream = connection.open_call().await.map_err(peer)?;
                stream.send.send_message(&call).await.map_err(peer)?;
                stream.send.finish().await.map_err(peer)?;
                match next_reply(&mut stream.recv).await?.kind {
                    Some(call_reply::Kind::Done(_)) => {}
                    Some(call_reply::Kind::Refusal(refusal)) => {
                        let code = Code::from_number(refusal.code).unwrap_or(Code::Internal);
                        if code.retryable() {
                            return Err(Broken::Refused(code));
                        }
                        tracing::warn!(%code, origin = %self.home, "a report was refused");
                    }
                    _ => return Err(Broken::Peer("an answer to a report that is none".into())),
                }
                settled.push(report.position);
            }
            let home = self.home.clone();
            self.relay
                .on_store(move |store| store.settle_reports(&home, &settled))
                .await?;
        }
    }
}

async fn next_reply(recv: &mut FrameReader) -> Result<wire::CallReply, Broken> {
    let frame = recv.next().await.map_err(peer)?;
    let frame = frame.ok_or_else(|| Broken::Peer("the peer ended the call".into()))?;
    wire::CallReply::decode(frame).map_err(peer)
}

fn peer(error: impl ToString) -> Broken {
    Broken::Peer(error.to_string())
}
