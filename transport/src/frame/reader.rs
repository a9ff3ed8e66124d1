//! Reads frames of one call. Spec: SES-2, SES-4.3.

use std::time::Duration;

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::limits;
use tokio::time::{Instant, timeout_at};

use super::assemble::{Assembler, Step};
use crate::connection::Link;
use crate::error::RecvError;
use crate::stream::RecvHalf;

/// Reads the frames of one call, one at a time. Dropping it tells the peer to send no more.
#[derive(Debug)]
pub struct FrameReader {
    half: RecvHalf,
    assembler: Assembler,
    /// From the first byte of a frame to its last.
    frame_time: Option<Duration>,
    /// When the frame that has begun must be whole. Invariant: `None` between frames.
    due: Option<Instant>,
    ended: Option<End>,
    /// Keeps the connection and its place among the counted ones for as long as the call.
    _link: Link,
}

#[derive(Clone, Debug)]
enum End {
    Finished,
    Failed(RecvError),
}

impl FrameReader {
    pub(crate) fn new(half: RecvHalf, link: Link) -> Self {
        Self {
            assembler: Assembler::new(half.has_end_mark()),
            half,
            frame_time: Some(Duration::from_millis(limits::FRAME_TIMEOUT_MS)),
            due: None,
            ended: None,
            _link: link,
        }
    }

    /// Takes no frame larger than this, which is at most `FRAME_MAX`.
    pub fn set_limit(&mut self, bytes: usize) {
        self.assembler.set_limit(bytes);
    }

    /// How long a frame may take from its first byte to its last (case 53); `FRAME_TIMEOUT_MS`
    /// unless said otherwise. How long to wait for a frame to begin is the caller's choice.
    pub fn set_frame_time(&mut self, time: Option<Duration>) {
        self.frame_time = time;
    }

    /// The next frame, or `None` where the peer finished the call between two frames.
    ///
    /// Cancel-safe: a frame that has arrived in part is kept. An error ends the call, tells
    /// the peer its code, and is given again by every further call.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RecvError> {
        match &self.ended {
            Some(End::Finished) => return Ok(None),
            Some(End::Failed(error)) => return Err(error.clone()),
            None => {}
        }
        let outcome = self.advance().await;
        match &outcome {
            Ok(Some(_)) => {}
            Ok(None) => self.ended = Some(End::Finished),
            Err(error) => self.fail(error.clone()),
        }
        outcome
    }

    /// Takes no more frames, and tells the peer why.
    pub fn stop(&mut self, code: Code) {
        if self.ended.is_none() {
            self.half.stop(code);
            self.ended = Some(End::Finished);
            self.assembler.clear();
        }
    }

    async fn advance(&mut self) -> Result<Option<Bytes>, RecvError> {
        loop {
            match self.assembler.step()? {
                Step::Frame(body) => {
                    self.due = None;
                    return Ok(Some(body));
                }
                Step::EndMark => return Ok(None),
                Step::NeedMore => {}
            }
            if !self.fill().await? {
                return match self.assembler.begun() {
                    // SES-6.4: over WebSocket an end without its mark is a loss.
                    0 if self.half.has_end_mark() => Err(RecvError::Truncated { got: 0 }),
                    0 => Ok(None),
                    got => Err(RecvError::Truncated { got }),
                };
            }
        }
    }

    /// Waits for more bytes; `false` at the end of the stream.
    async fn fill(&mut self) -> Result<bool, RecvError> {
        if self.due.is_none() && self.assembler.begun() > 0 {
            self.due = self.frame_time.map(|time| Instant::now() + time);
        }
        let reading = self.half.read(self.assembler.slots());
        let read = match self.due {
            None => reading.await?,
            Some(due) => match timeout_at(due, reading).await {
                Ok(read) => read?,
                Err(_) => {
                    let limit = self.frame_time.unwrap_or_default();
                    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                    return Err(RecvError::TooSlow { limit_ms });
                }
            },
        };
        self.assembler.filled(read.unwrap_or(0));
        Ok(read.is_some())
    }

    fn fail(&mut self, error: RecvError) {
        if !matches!(error, RecvError::Reset { .. } | RecvError::Lost(_)) {
            self.half.stop(error.code().unwrap_or(Code::Internal));
        }
        self.assembler.clear();
        self.ended = Some(End::Failed(error));
    }
}
