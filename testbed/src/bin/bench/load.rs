//! The load generator: prepared frames out, acknowledgements back, each one's signature checked once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_protocol::custody::ack::{Acknowledged, Issuer};
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::limits::BATCHES_IN_FLIGHT_MAX;
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{CallStream, DialledConnection, FrameReader};
use prost::Message;
use tokio::sync::Semaphore;

use crate::Anyhow;
use crate::letters::Frame;
use crate::stage::Stage;

/// What came of frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) accepted: usize,
    /// Everything else, by name.
    pub(crate) other: BTreeMap<String, usize>,
}

/// A stream of submissions that is open.
#[derive(Debug)]
pub(crate) struct Submission {
    connection: DialledConnection,
    stream: CallStream,
}

impl Submission {
    /// Opens one, on a connection of its own.
    pub(crate) async fn open(stage: &Stage) -> Result<Self, Anyhow> {
        let connection = stage.connect_service().await?;
        let stream = open(&connection, call::Kind::Submit(wire::Submit {})).await?;
        Ok(Self { connection, stream })
    }

    /// Sends everything, with as many batches on their way as the node grants.
    pub(crate) async fn send(&mut self, frames: &[Frame]) -> Result<Outcome, Anyhow> {
        let checker = Checker::new(&self.connection);
        let granted = self.connection.welcome().max_batches_in_flight;
        let room = Arc::new(Semaphore::new(granted.min(BATCHES_IN_FLIGHT_MAX) as usize));
        let (recv, send) = (&mut self.stream.recv, &mut self.stream.send);
        let Some(first) = frames.first() else {
            return Ok(Outcome::default());
        };
        let write = async {
            let mut next = 0;
            while next < frames.len() {
                // Whatever there is room for goes in one write.
                room.acquire().await?.forget();
                let mut end = next + 1;
                while end < frames.len()
                    && let Ok(permit) = room.try_acquire()
                {
                    permit.forget();
                    end += 1;
                }
                send.send_many(frames[next..end].iter().map(|frame| frame.body.clone()))
                    .await?;
                next = end;
            }
            Ok::<(), Anyhow>(())
        };
        let read = async {
            let mut outcome = Outcome::default();
            let mut answered = 0;
            while answered < frames.len() {
                let ack = next_ack(recv).await?;
                let end = usize::try_from(ack.last_seq + 1 - first.seq)?;
                checker.check(&ack, &frames[answered..end], &mut outcome)?;
                room.add_permits(end - answered);
                answered = end;
            }
            Ok::<Outcome, Anyhow>(outcome)
        };
        let (_, outcome) = tokio::try_join!(write, read)?;
        Ok(outcome)
    }

    /// One frame, and waits until it is acknowledged.
    pub(crate) async fn send_one(&mut self, frame: &Frame) -> Result<Duration, Anyhow> {
        let started = Instant::now();
        self.stream.send.send(frame.body.clone()).await?;
        let ack = next_ack(&mut self.stream.recv).await?;
        let took = started.elapsed();
        let mut outcome = Outcome::default();
        let checker = Checker::new(&self.connection);
        checker.check(&ack, std::slice::from_ref(frame), &mut outcome)?;
        outcome.expect_all_accepted()?;
        Ok(took)
    }
}

impl Outcome {
    /// A load with refusals measures something else.
    pub(crate) fn expect_all_accepted(&self) -> Result<(), Anyhow> {
        if self.other.is_empty() {
            Ok(())
        } else {
            Err(format!("{} accepted, and {:?}", self.accepted, self.other).into())
        }
    }

    /// Both together.
    pub(crate) fn add(&mut self, more: Self) {
        self.accepted += more.accepted;
        for (name, count) in more.other {
            *self.other.entry(name).or_default() += count;
        }
    }
}

/// Opens a call with its first frame.
pub(crate) async fn open(
    connection: &DialledConnection,
    kind: call::Kind,
) -> Result<CallStream, Anyhow> {
    let mut stream = connection.open_call().await?;
    let opening = wire::Call { kind: Some(kind) };
    stream.send.send_message(&opening).await?;
    Ok(stream)
}

/// The next reply of a call.
pub(crate) async fn next(recv: &mut FrameReader) -> Result<call_reply::Kind, Anyhow> {
    let frame = recv.next().await?.ok_or("the node ended the call")?;
    let reply = wire::CallReply::decode(frame)?;
    Ok(reply.kind.ok_or("an empty reply")?)
}

async fn next_ack(recv: &mut FrameReader) -> Result<wire::AckBatch, Anyhow> {
    match next(recv).await? {
        call_reply::Kind::Ack(ack) => Ok(ack),
        other => Err(format!("not an acknowledgement: {other:?}").into()),
    }
}

struct Checker<'a> {
    connection: &'a DialledConnection,
    issuer: Issuer,
}

impl<'a> Checker<'a> {
    fn new(connection: &'a DialledConnection) -> Self {
        Self {
            connection,
            issuer: Issuer {
                node: connection.server().authority.clone(),
                step: Step::Accepted,
            },
        }
    }

    fn check(
        &self,
        ack: &wire::AckBatch,
        frames: &[Frame],
        outcome: &mut Outcome,
    ) -> Result<(), Anyhow> {
        let ids: Vec<_> = frames
            .iter()
            .flat_map(|frame| &frame.ids)
            .copied()
            .collect();
        let key = self.connection.server().key;
        let acknowledged = Acknowledged::verify(ack, &self.issuer, &ids, &key)?;
        for disposition in acknowledged.dispositions() {
            match disposition {
                Disposition::Accepted => outcome.accepted += 1,
                other => *outcome.other.entry(format!("{other:?}")).or_default() += 1,
            }
        }
        Ok(())
    }
}
