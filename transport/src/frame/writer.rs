//! Writes frames of one call. Spec: SES-2.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use pli_protocol::code::Code;
use pli_protocol::codec::FRAME_PREFIX;
use pli_protocol::limits;
use prost::Message;
use tokio::time::timeout;

use crate::connection::Link;
use crate::error::SendError;
use crate::stream::{GIVEN_UP, SendHalf};

/// A body up to this size is copied behind its prefix; a larger one is passed on as it is.
/// QUIC walks a list of unacknowledged segments for every packet, so many short ones are slow.
const COPIED_MAX: usize = 8_192;

/// Writes the frames of one call. Dropping it before [`finish`](Self::finish) resets the call,
/// so that the peer never takes a call that broke off for one that ended.
#[derive(Debug)]
pub struct FrameWriter {
    half: SendHalf,
    /// Whole frames that have been taken from the caller and not yet by the stream.
    segments: Vec<Bytes>,
    /// Follows the segments.
    tail: BytesMut,
    send_time: Option<Duration>,
    ended: bool,
    _link: Link,
}

impl FrameWriter {
    pub(crate) fn new(half: SendHalf, link: Link) -> Self {
        Self {
            half,
            segments: Vec::new(),
            tail: BytesMut::new(),
            send_time: Some(Duration::from_millis(limits::FRAME_TIMEOUT_MS)),
            ended: false,
            _link: link,
        }
    }

    /// How long the peer may take for what one `send` gives it (cases 30, 53);
    /// `FRAME_TIMEOUT_MS` unless said otherwise. After that the call is reset.
    pub fn set_send_time(&mut self, time: Option<Duration>) {
        self.send_time = time;
    }

    /// Sends one frame. Returns when the connection has taken it, not when the peer has.
    ///
    /// Cancel-safe in this sense: the frame then goes out whole, with the next `send` or
    /// `finish`; it is never cut and never sent twice.
    pub async fn send(&mut self, body: impl Into<Bytes>) -> Result<(), SendError> {
        self.queue(body.into())?;
        self.flush().await
    }

    /// Sends several frames with as few wake-ups of the connection as possible.
    pub async fn send_many(
        &mut self,
        bodies: impl IntoIterator<Item = Bytes>,
    ) -> Result<(), SendError> {
        for body in bodies {
            self.queue(body)?;
        }
        self.flush().await
    }

    /// Encodes a message straight into a frame and sends it.
    pub async fn send_message(&mut self, message: &impl Message) -> Result<(), SendError> {
        self.queue_message(message)?;
        self.flush().await
    }

    /// Encodes a message into a frame that goes out with the next `send` or `finish`.
    pub fn queue_message(&mut self, message: &impl Message) -> Result<(), SendError> {
        let length = message.encoded_len();
        self.queue_prefix(length)?;
        self.tail.reserve(length);
        message.encode(&mut self.tail).expect("room was reserved");
        Ok(())
    }

    /// Ends the call in this direction; what was sent arrives.
    pub async fn finish(&mut self) -> Result<(), SendError> {
        self.flush().await?;
        self.ended = true;
        self.half.finish().await
    }

    /// After [`finish`](Self::finish): waits until the peer has everything, or is gone. Over
    /// WebSocket there is nothing to wait for.
    pub async fn taken(&mut self) {
        self.half.taken().await;
    }

    /// Gives the call up and tells the peer why. What was sent may be lost.
    pub fn reset(&mut self, code: Code) {
        if !self.ended {
            self.ended = true;
            self.half.reset(code.number().into());
        }
    }

    /// Bytes that need not be frames.
    #[cfg(test)]
    pub(crate) async fn send_raw(&mut self, bytes: impl Into<Bytes>) -> Result<(), SendError> {
        self.segments.push(bytes.into());
        self.flush().await
    }

    /// Ends this direction inside a frame that was begun.
    #[cfg(test)]
    pub(crate) async fn cut(&mut self) -> Result<(), SendError> {
        self.ended = true;
        self.half.cut().await
    }

    fn queue(&mut self, body: Bytes) -> Result<(), SendError> {
        self.queue_prefix(body.len())?;
        if body.len() <= COPIED_MAX {
            self.tail.extend_from_slice(&body);
        } else {
            self.segments.push(self.tail.split().freeze());
            self.segments.push(body);
        }
        Ok(())
    }

    fn queue_prefix(&mut self, length: usize) -> Result<(), SendError> {
        if self.ended {
            return Err(SendError::Ended);
        }
        let limit = limits::FRAME_MAX;
        let prefix = match u32::try_from(length) {
            Ok(0) => return Err(SendError::Empty),
            Ok(prefix) if length <= limit => prefix,
            _ => return Err(SendError::TooLarge { got: length, limit }),
        };
        self.tail.reserve(FRAME_PREFIX + length.min(COPIED_MAX));
        self.tail.put_u32(prefix);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SendError> {
        if self.ended {
            return Err(SendError::Ended);
        }
        if !self.tail.is_empty() {
            self.segments.push(self.tail.split().freeze());
        }
        let flushed = match self.send_time {
            None => write_all(&mut self.half, &mut self.segments).await,
            Some(time) => {
                match timeout(time, write_all(&mut self.half, &mut self.segments)).await {
                    Ok(written) => written,
                    Err(_) => {
                        let limit_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                        Err(SendError::TooSlow { limit_ms })
                    }
                }
            }
        };
        if let Err(error) = &flushed {
            self.reset(error.code().unwrap_or(Code::Internal));
            self.segments.clear();
        }
        flushed
    }
}

async fn write_all(half: &mut SendHalf, segments: &mut Vec<Bytes>) -> Result<(), SendError> {
    while !segments.is_empty() {
        let whole = half.write(segments).await?;
        segments.drain(..whole);
    }
    Ok(())
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        if !self.ended {
            self.half.reset(GIVEN_UP);
        }
    }
}
