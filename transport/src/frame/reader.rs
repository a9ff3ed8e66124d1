//! Reads frames of one call. Spec: SES-2.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pli_protocol::code::Code;
use pli_protocol::codec::{self, FRAME_PREFIX};
use pli_protocol::limits;
use tokio::time::{Instant, timeout_at};

use crate::connection::Link;
use crate::error::RecvError;
use crate::stream::RecvHalf;

/// Pieces taken from the stream at once: each costs a lock on the connection.
const SLOTS: usize = 32;

/// Reads the frames of one call, one at a time. Dropping it tells the peer to send no more.
#[derive(Debug)]
pub struct FrameReader {
    half: RecvHalf,
    /// The largest body taken.
    limit: usize,
    /// From the first byte of a frame to its last.
    frame_time: Option<Duration>,
    pieces: Pieces,
    partial: Partial,
    /// When the partial frame must be whole. Invariant: `None` between frames.
    due: Option<Instant>,
    ended: Option<End>,
    /// Keeps the connection and its place among the counted ones for as long as the call.
    _link: Link,
}

#[derive(Debug)]
enum Partial {
    Prefix {
        bytes: [u8; FRAME_PREFIX],
        have: usize,
    },
    /// Invariant: the capacity is the announced length, which is at most the limit.
    Body { body: BytesMut, length: usize },
}

impl Partial {
    const NONE: Self = Self::Prefix {
        bytes: [0; FRAME_PREFIX],
        have: 0,
    };

    /// Bytes of the frame that have arrived, its prefix included.
    fn got(&self) -> usize {
        match self {
            Self::Prefix { have, .. } => *have,
            Self::Body { body, .. } => FRAME_PREFIX + body.len(),
        }
    }
}

#[derive(Clone, Debug)]
enum End {
    Finished,
    Failed(RecvError),
}

/// What has arrived and is not yet in a frame.
#[derive(Debug, Default)]
struct Pieces {
    slots: [Bytes; SLOTS],
    /// Invariant: `next <= filled <= SLOTS`.
    next: usize,
    filled: usize,
}

impl Pieces {
    /// The first piece that is not empty.
    fn front(&mut self) -> Option<&mut Bytes> {
        while self.next < self.filled && self.slots[self.next].is_empty() {
            // Frees the packet that the piece was cut from.
            self.slots[self.next] = Bytes::new();
            self.next += 1;
        }
        (self.next < self.filled).then(|| &mut self.slots[self.next])
    }
}

impl FrameReader {
    pub(crate) fn new(half: RecvHalf, link: Link) -> Self {
        Self {
            half,
            limit: limits::FRAME_MAX,
            frame_time: Some(Duration::from_millis(limits::FRAME_TIMEOUT_MS)),
            pieces: Pieces::default(),
            partial: Partial::NONE,
            due: None,
            ended: None,
            _link: link,
        }
    }

    /// Takes no frame larger than this, which is at most `FRAME_MAX`.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(limits::FRAME_MAX);
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
        }
    }

    async fn advance(&mut self) -> Result<Option<Bytes>, RecvError> {
        loop {
            match self.assemble()? {
                Step::Frame(body) => return Ok(Some(body)),
                Step::EndMark => return Ok(None),
                Step::NeedMore => {}
            }
            if !self.fill().await? {
                return match self.partial.got() {
                    0 if self.half.has_end_mark() => Err(RecvError::Truncated { got: 0 }),
                    0 => Ok(None),
                    got => Err(RecvError::Truncated { got }),
                };
            }
        }
    }

    /// Waits for more bytes; `false` at the end of the stream.
    async fn fill(&mut self) -> Result<bool, RecvError> {
        if self.due.is_none() && self.partial.got() > 0 {
            self.due = self.frame_time.map(|time| Instant::now() + time);
        }
        let reading = self.half.read(&mut self.pieces.slots);
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
        self.pieces.next = 0;
        self.pieces.filled = read.unwrap_or(0);
        Ok(read.is_some())
    }

    /// Moves what has arrived into the frame.
    fn assemble(&mut self) -> Result<Step, RecvError> {
        while let Some(piece) = self.pieces.front() {
            match &mut self.partial {
                Partial::Prefix { bytes, have } => {
                    let taken = piece.len().min(FRAME_PREFIX - *have);
                    bytes[*have..*have + taken].copy_from_slice(&piece[..taken]);
                    piece.advance(taken);
                    *have += taken;
                    if *have == FRAME_PREFIX {
                        let prefix = *bytes;
                        if prefix == [0; FRAME_PREFIX] && self.half.has_end_mark() {
                            return Ok(Step::EndMark);
                        }
                        let length = self.length(prefix)?;
                        let body = BytesMut::with_capacity(length);
                        self.partial = Partial::Body { body, length };
                    }
                }
                Partial::Body { body, length } => {
                    let taken = piece.len().min(*length - body.len());
                    body.extend_from_slice(&piece[..taken]);
                    piece.advance(taken);
                    if body.len() == *length {
                        let body = std::mem::take(body).freeze();
                        self.partial = Partial::NONE;
                        self.due = None;
                        return Ok(Step::Frame(body));
                    }
                }
            }
        }
        Ok(Step::NeedMore)
    }

    // SES-2.2, R27: nothing is allocated for a length that is not allowed.
    fn length(&self, prefix: [u8; FRAME_PREFIX]) -> Result<usize, RecvError> {
        let limit = self.limit;
        match codec::frame_len(prefix) {
            Ok(length) if length <= limit => Ok(length),
            Err(codec::FrameError::Empty) => Err(RecvError::Empty),
            _ => Err(RecvError::TooLarge {
                got: u32::from_be_bytes(prefix),
                limit,
            }),
        }
    }

    fn fail(&mut self, error: RecvError) {
        if !matches!(error, RecvError::Reset { .. } | RecvError::Lost(_)) {
            self.half.stop(error.code().unwrap_or(Code::Internal));
        }
        self.pieces = Pieces::default();
        self.partial = Partial::NONE;
        self.ended = Some(End::Failed(error));
    }
}

enum Step {
    Frame(Bytes),
    EndMark,
    NeedMore,
}
