//! Submitting: batches in flight, acknowledgements checked and matched, new connections as needed.
//!
//! In: signed envelopes, in order. Out: for each one the node's disposition and its signed receipt,
//! or an error that ends everything. What was sent and not acknowledged is sent again; the node
//! knows it by its id (CUS-4.5, CUS-5.3; case 60). Spec: CUS-3, CUS-4.
//!
//! ```text
//!            ┌── again: unacknowledged when a connection broke; goes first
//! outgoing ──┤   pool ──▶ batches in flight ──▶ acknowledged ──▶ settled
//!            └── later: refused for now (OVERLOADED …) ◀─────┘
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pli_protocol::codec;
use pli_protocol::custody::ack::Issuer;
use pli_protocol::custody::pipeline::{PipelineError, Sending};
use pli_protocol::custody::{Acknowledged, Disposition, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits;
use pli_protocol::wire;
use pli_transport::{DialledConnection, Dialler, SendError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::batch::Prepared;
use super::trouble::{OnTrouble, passes_soon};
use crate::backoff::Backoff;
use crate::call::{self, CallError};
use crate::clock;
use crate::directory::OpenDirectory;
use crate::reach;

mod error;

pub use error::SubmitError;

/// Envelopes held at once, in flight or waiting to be sent again.
pub const HELD_MAX: usize = 2 * limits::ACK_DISPOSITIONS_MAX;
/// Bytes of them.
pub const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How often an envelope that is refused for now is sent again before the refusal counts.
pub const TRIES_MAX: u32 = 8;
/// What a batch frame takes besides the envelopes: sequence number and tags, generously.
const FRAME_OVERHEAD: usize = 16;
/// Tag and length of one envelope in a batch.
const ITEM_OVERHEAD: usize = 4;
/// How long a node may leave batches without any acknowledgement.
const ACK_TIME: Duration = Duration::from_millis(limits::REPLY_TIMEOUT_MS);

/// A node that takes no more says why on the way back; it is listened to for so long.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Where envelopes go: the authority's own node.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Dials as the service.
    pub dialler: Dialler,
    /// Says where the node is and by which key.
    pub directory: Arc<OpenDirectory>,
    /// Whose node.
    pub authority: AuthorityId,
    /// How long to go on without any progress before giving up.
    pub patience: Duration,
    /// Told each time that it is tried again.
    pub on_trouble: OnTrouble,
}

/// What became of one envelope.
#[derive(Clone, Debug)]
pub struct Settled<T> {
    /// The caller's.
    pub tag: T,
    /// The letter's.
    pub id: EnvelopeId,
    /// What the node did with it.
    pub disposition: Disposition,
    /// The node's signed receipt of that, which stands alone.
    pub receipt: Bytes,
}

struct Item<T> {
    letter: Prepared<T>,
    tries: u32,
}

/// Submits until `outgoing` ends and everything is settled.
///
/// Feed `outgoing` and take from `settled` in different tasks: while nobody takes, nothing is read
/// from the node, and while it is full nothing more is taken in.
pub async fn submit<T: Send>(
    origin: &Origin,
    outgoing: mpsc::Receiver<Prepared<T>>,
    settled: mpsc::Sender<Settled<T>>,
) -> Result<(), SubmitError> {
    let mut submission = Submission {
        outgoing,
        settled,
        open: true,
        pool: VecDeque::new(),
        later: VecDeque::new(),
        flying: VecDeque::new(),
        held_bytes: 0,
        progress: Instant::now(),
    };
    let mut backoff = Backoff::new();
    loop {
        // Nothing is dialled before there is something to send.
        if !submission.has_work().await {
            return Ok(());
        }
        let before = submission.progress;
        let error = match submission.connect_and_run(origin).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        submission.land();
        if submission.progress != before {
            backoff.reset();
        }
        if !error.may_pass() {
            return Err(error);
        }
        if submission.held() == 0 {
            // An idle connection broke: that concerns nobody.
            continue;
        }
        let left = origin
            .patience
            .saturating_sub(submission.progress.elapsed());
        if left.is_zero() {
            let (patience, last) = (origin.patience, Box::new(error));
            return Err(SubmitError::OutOfPatience { patience, last });
        }
        tracing::info!(%error, "submitting again");
        origin.on_trouble.tell(&error);
        // Nobody is put off for longer than he has patience.
        let asked = error.retry_after().min(left);
        sleep(backoff.next_delay().max(asked)).await;
        origin.directory.refresh(clock::now()).await;
    }
}

struct Submission<T> {
    outgoing: mpsc::Receiver<Prepared<T>>,
    settled: mpsc::Sender<Settled<T>>,
    /// Whether more may come.
    open: bool,
    /// To be sent next, in order.
    pool: VecDeque<Item<T>>,
    /// Refused for now; ascending by time.
    later: VecDeque<(Instant, Item<T>)>,
    /// Invariant: exactly the envelopes of `Sending`, in order.
    flying: VecDeque<Item<T>>,
    held_bytes: usize,
    /// When something was settled last, or when there was nothing to do.
    progress: Instant,
}

impl<T: Send> Submission<T> {
    /// Waits for something to send; false when there will be nothing more.
    async fn has_work(&mut self) -> bool {
        if self.held() == 0 {
            match self.outgoing.recv().await {
                Some(letter) => self.hold(letter),
                None => return false,
            }
            self.progress = Instant::now();
        }
        true
    }

    async fn connect_and_run(&mut self, origin: &Origin) -> Result<(), SubmitError> {
        let directory = origin.directory.current();
        let connection =
            reach::connect(&origin.dialler, &directory, &origin.authority, clock::now()).await?;
        let result = self.run(&connection, &origin.authority).await;
        let code = match &result {
            Ok(()) => None,
            Err(error) => error.code(),
        };
        connection.close(code, "");
        result
    }

    /// One call on one connection, until everything is settled or it breaks.
    async fn run(
        &mut self,
        connection: &DialledConnection,
        authority: &AuthorityId,
    ) -> Result<(), SubmitError> {
        let issuer = Issuer {
            node: authority.clone(),
            step: Step::Accepted,
        };
        let key = connection.server().key;
        let stream = call::open(connection, wire::call::Kind::Submit(wire::Submit {})).await?;
        let (mut replies, mut send) = (stream.recv, stream.send);
        // Bounded by the batches in flight. A task of its own, so that acknowledgements are read
        // while the node is slow to take more.
        let (frames, mut to_send) = mpsc::unbounded_channel::<Bytes>();
        let writer = async {
            let mut bodies = Vec::new();
            while to_send.recv_many(&mut bodies, FRAMES_AT_ONCE).await > 0 {
                send.send_many(bodies.drain(..)).await?;
            }
            send.finish().await
        };
        tokio::pin!(writer);
        let mut frames = Some(frames);
        let mut written = false;
        let mut unsent = None;

        let mut sending = Sending::new(connection.welcome().max_batches_in_flight);
        let mut silence = Instant::now() + ACK_TIME;
        let mut arrived = Vec::new();
        loop {
            while unsent.is_none() && sending.has_room() && !self.pool.is_empty() {
                if sending.is_settled() {
                    silence = Instant::now() + ACK_TIME;
                }
                let frame = self.next_batch(&mut sending)?;
                if let Some(frames) = &frames {
                    // The writer's end is gone only with the connection, which is seen below.
                    let _ = frames.send(frame);
                }
            }
            if !self.open && self.held() == 0 && frames.take().is_some() {
                // The writer now finishes the stream, and the node then ends its side.
                silence = Instant::now() + ACK_TIME;
            }
            let room = self.open
                && self.pool.is_empty()
                && self.held() < HELD_MAX
                && self.held_bytes < HELD_BYTES_MAX;
            let due = self.later.front().map(|(due, _)| *due);
            tokio::select! {
                reply = call::next(&mut replies) => match reply? {
                    Some(wire::call_reply::Kind::Ack(ack)) => {
                        self.acknowledge(&ack, &mut sending, &issuer, &key).await?;
                        if unsent.is_none() {
                            silence = Instant::now() + ACK_TIME;
                        }
                    }
                    Some(other) => {
                        let (got, expected) = (call::name(&other), "an acknowledgement");
                        return Err(CallError::Unexpected { got, expected }.into());
                    }
                    None if unsent.is_some() => return Err(broken(unsent).into()),
                    None if frames.is_none() => return Ok(()),
                    None => return Err(CallError::Ended { expected: "an acknowledgement" }.into()),
                },
                result = &mut writer, if !written => {
                    written = true;
                    unsent = result.err();
                    if unsent.is_some() {
                        silence = Instant::now() + LAST_WORD;
                    }
                }
                count = self.outgoing.recv_many(&mut arrived, limits::BATCH_ENVELOPES_MAX), if room => {
                    self.open = count > 0;
                    for letter in arrived.drain(..) {
                        self.hold(letter);
                    }
                }
                () = sleep_until(due.unwrap_or(silence)), if due.is_some() => self.pool_due(),
                () = sleep_until(silence), if !sending.is_settled() || frames.is_none() || unsent.is_some() => {
                    return Err(broken(unsent).into());
                }
            }
        }
    }

    /// Takes from the pool what fits one frame.
    fn next_batch(&mut self, sending: &mut Sending) -> Result<Bytes, PipelineError> {
        let mut batch = Vec::new();
        let mut size = FRAME_OVERHEAD;
        while let Some(item) = self.pool.front()
            && batch.len() < limits::BATCH_ENVELOPES_MAX
            && size + item.letter.envelope.len() + ITEM_OVERHEAD <= limits::FRAME_MAX
        {
            size += item.letter.envelope.len() + ITEM_OVERHEAD;
            let item = self.pool.pop_front().expect("looked at above");
            batch.push(item);
        }
        let seq = sending.send(batch.iter().map(|item| item.letter.id).collect())?;
        let envelopes = batch
            .iter()
            .map(|item| item.letter.envelope.clone())
            .collect();
        self.flying.extend(batch);
        Ok(codec::encode(&wire::EnvelopeBatch { seq, envelopes }))
    }

    async fn acknowledge(
        &mut self,
        ack: &wire::AckBatch,
        sending: &mut Sending,
        issuer: &Issuer,
        key: &pli_protocol::crypto::sign::PublicKey,
    ) -> Result<(), SubmitError> {
        let ids = sending.acknowledged(ack.first_seq, ack.last_seq)?;
        // CUS-3.4: what does not verify is not believed, and nothing is settled by it.
        let acknowledged = Acknowledged::verify(ack, issuer, &ids, key)?;
        sending.settle(ack.last_seq)?;
        for (index, disposition) in acknowledged.dispositions().iter().enumerate() {
            let mut item = self
                .flying
                .pop_front()
                .expect("as many fly as Sending says");
            item.tries += 1;
            if let Disposition::Refused(code) = disposition
                && passes_soon(*code)
                && item.tries < TRIES_MAX
            {
                let delay = Duration::from_millis(limits::RETRY_BASE_MS << item.tries);
                let due = Instant::now() + delay;
                let after = self.later.partition_point(|(other, _)| *other <= due);
                self.later.insert(after, (due, item));
                continue;
            }
            self.held_bytes -= item.letter.envelope.len();
            self.progress = Instant::now();
            let settled = Settled {
                tag: item.letter.tag,
                id: item.letter.id,
                disposition: *disposition,
                receipt: acknowledged.receipt(index),
            };
            // Nobody waits for it any more: then nobody needs to be told.
            let _ = self.settled.send(settled).await;
        }
        Ok(())
    }

    fn pool_due(&mut self) {
        let now = Instant::now();
        while self.later.front().is_some_and(|(due, _)| *due <= now) {
            let (_, item) = self.later.pop_front().expect("looked at above");
            self.pool.push_back(item);
        }
    }

    /// What a broken connection left unacknowledged goes first on the next one.
    fn land(&mut self) {
        while let Some(item) = self.flying.pop_back() {
            self.pool.push_front(item);
        }
    }

    fn hold(&mut self, letter: Prepared<T>) {
        self.held_bytes += letter.envelope.len();
        self.pool.push_back(Item { letter, tries: 0 });
    }

    fn held(&self) -> usize {
        self.pool.len() + self.later.len() + self.flying.len()
    }
}

/// Why a call whose node has no more to say is over.
fn broken(unsent: Option<SendError>) -> CallError {
    let limit_ms = limits::REPLY_TIMEOUT_MS;
    unsent.map_or(CallError::TimedOut { limit_ms }, CallError::from)
}

/// Frames handed to the connection in one go.
const FRAMES_AT_ONCE: usize = 16;
