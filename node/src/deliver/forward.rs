//! One connection's worth of forwarding to one home (CUS-6).
//!
//! Envelopes leave the store when the home's signed acknowledgement has been checked and written
//! down. What is refused for now is tried again on the same connection; whatever breaks off stays queued.

mod answers;
mod writing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::custody::pipeline::Sending;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::{REPLY_TIMEOUT_MS, RETRY_MAX_MS};
use pli_protocol::trust::Directory;
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{DialledConnection, FrameReader, FrameWriter};
use prost::Message;
use tokio::time::{Instant, sleep_until, timeout};

use self::writing::Writing;
use super::caution::Caution;
use super::lanes::{Choice, Lanes, Waiting};
use super::postponed::Postponed;
use crate::metrics;
use crate::relay::Relay;
use crate::route::Wake;
use crate::store::{Lane, StoreError};

/// A home that says nothing for so long holds its queue no longer (R2).
const REPLY_TIMEOUT: Duration = Duration::from_millis(REPLY_TIMEOUT_MS);

/// How long a peer that takes no more is listened to.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Why forwarding stopped.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection, or the peer's answers, cannot be used further.
    #[error("{0}")]
    Peer(String),
    /// The peer was not reached, or did not let this node in.
    #[error("{reason}")]
    Unreached {
        /// In full.
        reason: String,
        /// As [`Broken::Refused`].
        retry_after: Duration,
    },
    /// The peer refused the call.
    #[error("the peer refuses with {code}")]
    Refused {
        /// Why.
        code: Code,
        /// How long it asks to be left alone, bounded (CUS-6.3).
        retry_after: Duration,
    },
    /// This node's disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broken {
    /// The peer refused a call.
    pub fn refused(refusal: &wire::Refusal) -> Self {
        Self::Refused {
            code: Code::from_number(refusal.code).unwrap_or(Code::Internal),
            retry_after: asked_wait(refusal.retry_after_ms),
        }
    }

    /// How long the peer asks to be left alone; zero if it does not say.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Unreached { retry_after, .. } | Self::Refused { retry_after, .. } => *retry_after,
            Self::Peer(_) | Self::Store(_) => Duration::ZERO,
        }
    }
}

/// CUS-6.3: no peer puts itself off for longer than it would be put off when it is silent.
pub fn asked_wait(retry_after_ms: u64) -> Duration {
    Duration::from_millis(retry_after_ms.min(RETRY_MAX_MS))
}

/// What is known of a destination from one connection to the next.
#[derive(Debug, Default)]
pub struct Standing {
    /// What breaks.
    pub caution: Caution,
    /// What was refused for now.
    pub postponed: Postponed,
    /// CUS-6.3: the home took something since the connection was made. A refusal is no progress.
    pub progress: bool,
}

/// Forwards over one connection.
#[derive(Debug)]
pub struct Forwarding<'a> {
    relay: &'a Arc<Relay>,
    home: &'a AuthorityId,
    key: PublicKey,
    wake: &'a Wake,
    standing: &'a mut Standing,
    sending: Sending,
    lanes: Lanes,
    /// Bounded by the batches in flight.
    sent: HashMap<EnvelopeId, Waiting>,
    writing: Writing,
    /// Since when the home owes an answer.
    waits_since: Instant,
    /// One suspect is on its way.
    alone: bool,
}

impl<'a> Forwarding<'a> {
    /// A fresh connection: whatever is not settled is read again.
    pub fn new(
        relay: &'a Arc<Relay>,
        home: &'a AuthorityId,
        connection: &DialledConnection,
        wake: &'a Wake,
        standing: &'a mut Standing,
    ) -> Self {
        let granted = connection.welcome().max_batches_in_flight;
        Self {
            relay,
            home,
            key: connection.server().key,
            wake,
            standing,
            sending: Sending::new(granted),
            lanes: Lanes::unread(),
            sent: HashMap::new(),
            writing: Writing::default(),
            waits_since: Instant::now(),
            alone: false,
        }
    }

    /// Forwards for as long as the connection holds. Gives why it has to be made anew, and the
    /// envelopes that were on their way then.
    pub async fn run(mut self, connection: &DialledConnection) -> (Broken, Vec<EnvelopeId>) {
        let Err(broken) = self.forward(connection).await;
        // What was heard before it broke counts.
        let written = self.writing.finish(self.relay).await;
        let broken = written.err().map_or(broken, Broken::Store);
        self.standing.postponed.interrupted(Instant::now());
        self.note_waiting();
        self.relay.destinations.awaits(self.home, None);
        (broken, self.sending.into_unsettled().collect())
    }

    async fn forward(
        &mut self,
        connection: &DialledConnection,
    ) -> Result<std::convert::Infallible, Broken> {
        let mut directory = self.relay.directory.clone();
        self.check_key(&directory.current())?;
        let mut stream = connection.open_call().await.map_err(peer)?;
        let opening = wire::Call {
            kind: Some(call::Kind::Forward(wire::Forward {})),
        };
        stream.send.send_message(&opening).await.map_err(peer)?;
        loop {
            let busy = Instant::now();
            self.try_again().await?;
            if let Err(broken) = self.fill(&mut stream.send).await {
                return Err(last_word(broken, &mut stream.recv).await);
            }
            // The home is not silent while nobody listens.
            self.waits_since += busy.elapsed();
            let settled = self.sending.is_settled();
            if settled && self.lanes.is_at_end() {
                self.standing.postponed.settled();
            }
            let listens = !settled && self.writing.has_room();
            let overdue = self.waits_since + REPLY_TIMEOUT;
            let due = self.standing.postponed.next_due();
            tokio::select! {
                reply = next_reply(&mut stream.recv), if listens => {
                    self.hear(reply?, &mut stream.recv).await?;
                }
                written = self.writing.written(self.relay), if self.writing.is_under_way() => {
                    written?;
                    self.writing.begin(self.relay);
                    if !listens {
                        self.wait_from_now();
                    }
                }
                () = sleep_until(overdue), if listens => {
                    return Err(Broken::Peer(format!("no answer within {REPLY_TIMEOUT:?}")));
                }
                () = sleep_until(due.unwrap_or(overdue)), if due.is_some() && self.has_room() => {}
                () = self.wake.waiting.notified(), if self.has_room() => self.lanes.has_news(),
                () = self.wake.heard.notified(), if self.standing.postponed.holds_everything() => {
                    self.standing.postponed.heard(Instant::now());
                }
                // TRU-4.6: what was pinned may have been revoked.
                Some(newer) = directory.changed() => self.check_key(&newer)?,
                lost = connection.closed(), if settled => return Err(peer(lost)),
            }
        }
    }

    fn check_key(&self, directory: &Directory) -> Result<(), Broken> {
        let now = self.relay.clock.now();
        let mut keys = directory.node_keys(self.home, now).map_err(peer)?;
        if keys.any(|key| *key == self.key) {
            return Ok(());
        }
        Err(Broken::Peer(format!(
            "key {} of {} is not in force any more",
            self.key, self.home
        )))
    }

    fn has_room(&self) -> bool {
        let single = self.alone || self.standing.caution.is_careful();
        self.sending.has_room() && (!single || self.sending.is_settled())
    }

    async fn try_again(&mut self) -> Result<(), Broken> {
        if !self.has_room() {
            return Ok(());
        }
        let due = self.standing.postponed.due(Instant::now());
        if !due.is_empty() {
            // What the home has taken is not due any more.
            self.writing.finish(self.relay).await?;
            let (lanes, mut choice) = self.choice();
            lanes.try_again(due, &mut choice).await?;
        }
        Ok(())
    }

    fn choice(&mut self) -> (&mut Lanes, Choice<'_>) {
        let choice = Choice {
            relay: self.relay,
            home: self.home,
            caution: &mut self.standing.caution,
            postponed: &mut self.standing.postponed,
            sent: &self.sent,
        };
        (&mut self.lanes, choice)
    }

    /// Sends batches while there is something to send and room for it.
    async fn fill(&mut self, send: &mut FrameWriter) -> Result<(), Broken> {
        while self.has_room() {
            if self.lanes.take_rewound() {
                // What the home has taken must not be read again as if it waited.
                self.writing.finish(self.relay).await?;
            }
            let (lanes, mut choice) = self.choice();
            let batch = lanes.next_batch(&mut choice).await?;
            let Some(first) = batch.first() else {
                return Ok(());
            };
            self.alone = self.standing.caution.suspects(&first.pending.id);
            self.count(first.at.lane, batch.len());
            let ids = batch.iter().map(|waiting| waiting.pending.id).collect();
            if self.sending.is_settled() {
                self.waits_since = Instant::now();
                let now = Some(self.relay.clock.now());
                self.relay.destinations.awaits(self.home, now);
            }
            let seq = self
                .sending
                .send(ids)
                .expect("there was room, and a page is a batch");
            let envelopes = batch.iter().map(|waiting| waiting.pending.bytes.clone());
            let frame = wire::EnvelopeBatch {
                seq,
                envelopes: envelopes.collect(),
            };
            let ids = batch
                .into_iter()
                .map(|waiting| (waiting.pending.id, waiting));
            self.sent.extend(ids);
            send.send_message(&frame).await.map_err(peer)?;
        }
        Ok(())
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

    fn note_waiting(&self) {
        let counts = self.standing.postponed.counts();
        let stuck = self.standing.caution.stuck().cloned();
        self.relay.destinations.waiting(self.home, counts, stuck);
    }
}

/// The next answer of a call that has been made, if it comes in time.
pub async fn reply_in_time(recv: &mut FrameReader) -> Result<wire::CallReply, Broken> {
    let late = |_| Broken::Peer(format!("no answer within {REPLY_TIMEOUT:?}"));
    timeout(REPLY_TIMEOUT, next_reply(recv))
        .await
        .map_err(late)?
}

/// A peer that takes no more says why on the way back. What it acknowledges there goes again, as duplicates.
async fn last_word(broken: Broken, recv: &mut FrameReader) -> Broken {
    if !matches!(broken, Broken::Peer(_)) {
        return broken;
    }
    let refusal = async {
        loop {
            match next_reply(recv).await.ok()?.kind? {
                call_reply::Kind::Refusal(refusal) => return Some(refusal),
                _ => continue,
            }
        }
    };
    match timeout(LAST_WORD, refusal).await {
        Ok(Some(refusal)) => Broken::refused(&refusal),
        Ok(None) | Err(_) => broken,
    }
}

async fn next_reply(recv: &mut FrameReader) -> Result<wire::CallReply, Broken> {
    let frame = recv.next().await.map_err(peer)?;
    let frame = frame.ok_or_else(|| Broken::Peer("the peer ended the call".into()))?;
    wire::CallReply::decode(frame).map_err(peer)
}

pub(super) fn peer(error: impl ToString) -> Broken {
    Broken::Peer(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CUS-6.3
    #[test]
    fn a_peer_that_asks_to_be_left_alone_is_heard_up_to_the_longest_wait() {
        for (asked, waited) in [
            (0, 0),
            (2_000, 2_000),
            (RETRY_MAX_MS, RETRY_MAX_MS),
            (RETRY_MAX_MS + 1, RETRY_MAX_MS),
            (u64::MAX, RETRY_MAX_MS),
        ] {
            let refusal = wire::Refusal {
                code: Code::Overloaded.number(),
                detail: String::new(),
                retry_after_ms: asked,
            };
            let broken = Broken::refused(&refusal);
            assert_eq!(
                broken.retry_after(),
                Duration::from_millis(waited),
                "{asked}"
            );
        }
        assert_eq!(peer("closed").retry_after(), Duration::ZERO);
    }
}
