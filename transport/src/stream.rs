//! The two halves of a call's stream, whatever carries it: a QUIC stream or a yamux stream.

use bytes::Bytes;
use pli_protocol::code::Code;
use quinn::VarInt;

use crate::error::{RecvError, SendError};
use crate::websocket::MuxStream;

/// The code of a stream or connection that somebody gave up without blaming anybody.
pub(crate) const GIVEN_UP: VarInt = VarInt::from_u32(0);

/// Takes bytes in.
#[derive(Debug)]
pub(crate) enum RecvHalf {
    Quic(quinn::RecvStream),
    Mux(MuxStream),
}

impl RecvHalf {
    /// Fills `slots` from the front with what has arrived, at least one; `None` at the end of
    /// the stream. Cancel-safe.
    pub(crate) async fn read(&mut self, slots: &mut [Bytes]) -> Result<Option<usize>, RecvError> {
        match self {
            Self::Quic(stream) => Ok(stream.read_chunks(slots).await?),
            Self::Mux(stream) => {
                let Some(bytes) = stream.read().await? else {
                    return Ok(None);
                };
                slots[0] = bytes;
                Ok(Some(1))
            }
        }
    }

    /// SES-6.4: over WebSocket an empty frame ends the stream, because yamux cannot tell a
    /// stream that was finished from one that was lost.
    pub(crate) fn has_end_mark(&self) -> bool {
        matches!(self, Self::Mux(_))
    }

    /// Takes no more bytes, and tells the peer why. yamux has no such message; there the peer
    /// is held back by the window until the call ends.
    pub(crate) fn stop(&mut self, code: Code) {
        match self {
            // An error only says that the stream had ended already.
            Self::Quic(stream) => drop(stream.stop(code.number().into())),
            Self::Mux(_) => {}
        }
    }
}

/// Gives bytes out.
#[derive(Debug)]
pub(crate) enum SendHalf {
    Quic(quinn::SendStream),
    Mux(MuxStream),
}

impl SendHalf {
    /// Writes a part of `segments`: returns how many were written whole; the next one may have
    /// been shortened from its front. Cancel-safe.
    pub(crate) async fn write(&mut self, segments: &mut [Bytes]) -> Result<usize, SendError> {
        match self {
            Self::Quic(stream) => Ok(stream.write_chunks(segments).await?.chunks),
            Self::Mux(stream) => stream.write(segments).await,
        }
    }

    /// No more bytes will come; what was written arrives.
    pub(crate) async fn finish(&mut self) -> Result<(), SendError> {
        match self {
            Self::Quic(stream) => stream.finish().map_err(|_| SendError::Ended),
            Self::Mux(stream) => stream.finish().await,
        }
    }

    /// Ends this direction in the middle of whatever was written.
    #[cfg(test)]
    pub(crate) async fn cut(&mut self) -> Result<(), SendError> {
        match self {
            Self::Quic(stream) => stream.finish().map_err(|_| SendError::Ended),
            Self::Mux(stream) => stream.close().await,
        }
    }

    /// Waits until the peer has everything, or wants no more of it.
    pub(crate) async fn taken(&mut self) {
        if let Self::Quic(stream) = self {
            // Whether it was taken, stopped or lost: there is nothing left to wait for.
            drop(stream.stopped().await);
        }
    }

    /// Gives up: what was written may be lost.
    pub(crate) fn reset(&mut self, code: VarInt) {
        match self {
            Self::Quic(stream) => drop(stream.reset(code)),
            Self::Mux(stream) => stream.abort(),
        }
    }
}
