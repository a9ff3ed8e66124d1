//! A WebSocket as a plain stream of bytes, for yamux to run on.
//!
//! In: WebSocket messages. Out: bytes. Sends pings, closes what has gone silent, and stops a
//! stranger who sends more than a handshake. Spec: SES-4.2, SES-6.2, SES-6.3.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::bytes::{Buf, Bytes, BytesMut};
use futures_util::io::{AsyncRead, AsyncWrite};
use futures_util::{Sink, SinkExt, StreamExt};
use pli_protocol::limits;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::mux::Shared;
use super::upgrade::{Io, YAMUX_HEADER};
use crate::error::{Lost, PeerCode};

/// Bytes gathered into one message.
const MESSAGE_MAX: usize = 65_536;
/// What a stranger may send: two frames of the handshake and yamux's own.
const HANDSHAKE_BYTES_MAX: usize = 32_768;
/// WebSocket's private close codes begin here (RFC 6455, section 7.4.2); ours follow.
const CLOSE_BASE: u16 = 4_000;

pub(super) struct WebSocketBytes {
    socket: WebSocketStream<Box<dyn Io>>,
    shared: Arc<Shared>,
    /// Received and not yet read.
    received: Bytes,
    /// Written and not yet sent. Invariant: at most `MESSAGE_MAX`.
    unsent: BytesMut,
    /// Bytes received before the dialler was authenticated.
    strange: usize,
    heard: Instant,
    beat: Interval,
    pings: bool,
    closing: bool,
    /// The peer takes nothing more. What it said last may still be unread.
    unheard: bool,
}

impl WebSocketBytes {
    /// `pings`: this side keeps the connection alive; the dialler does.
    pub(super) fn new(
        socket: WebSocketStream<Box<dyn Io>>,
        shared: Arc<Shared>,
        pings: bool,
    ) -> Self {
        let mut beat = interval(Duration::from_millis(limits::KEEP_ALIVE_MS));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            shared,
            received: Bytes::new(),
            unsent: BytesMut::new(),
            strange: 0,
            heard: Instant::now(),
            beat,
            pings,
            closing: false,
            unheard: false,
        }
    }

    /// Goes on after a write that failed because the peer is gone: it may have closed with a reason, and only
    /// reading finds it. Reading ends by itself, with the socket or with silence. SES-8.1. Any other failure is this
    /// side's, and a message that is not sent would be missing from the bytes.
    fn keep_reading(&mut self, sent: Result<(), Error>) -> io::Result<()> {
        match sent {
            Ok(()) => Ok(()),
            Err(
                error @ (Error::Io(_)
                | Error::AlreadyClosed
                | Error::ConnectionClosed
                | Error::Protocol(ProtocolError::SendAfterClosing)),
            ) => {
                tracing::debug!(%error, "the peer takes nothing more");
                self.unheard = true;
                self.unsent.clear();
                Ok(())
            }
            Err(error) => Err(fault(error)),
        }
    }

    /// Pings in time, and fails when nothing has been heard for too long.
    fn poll_beat(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.beat.poll_tick(cx).is_ready() {
            if self.heard.elapsed() > Duration::from_millis(limits::IDLE_TIMEOUT_MS) {
                self.shared.lose(Lost::Idle);
                return Err(io::ErrorKind::TimedOut.into());
            }
            // A busy socket needs no ping.
            if self.pings && !self.unheard && self.socket.poll_ready_unpin(cx).is_ready() {
                let sent = self.socket.start_send_unpin(Message::Ping(Bytes::new()));
                self.keep_reading(sent)?;
                let _ = self.socket.poll_flush_unpin(cx);
            }
        }
        Ok(())
    }

    /// R12: a stranger may send a handshake and no more; yamux's windows are larger than that.
    fn count(&mut self, length: usize) -> io::Result<()> {
        if !self.shared.is_authenticated() {
            self.strange += length;
            if self.strange > HANDSHAKE_BYTES_MAX {
                return Err(io::Error::other("more bytes than a handshake has"));
            }
        }
        Ok(())
    }

    /// Hands what was gathered to the socket.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unsent.is_empty() {
            let mut sent = ready!(self.socket.poll_ready_unpin(cx));
            if sent.is_ok() {
                let message = Message::Binary(self.unsent.split().freeze());
                sent = self.socket.start_send_unpin(message);
            }
            self.keep_reading(sent)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for WebSocketBytes {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_beat(cx)?;
        while this.received.is_empty() {
            let Some(message) = ready!(this.socket.poll_next_unpin(cx)) else {
                return Poll::Ready(Ok(0));
            };
            this.heard = Instant::now();
            match message.map_err(fault)? {
                Message::Binary(bytes) => {
                    this.count(bytes.len())?;
                    this.received = bytes;
                }
                Message::Close(frame) => {
                    this.shared.lose(closed_by_peer(frame));
                    return Poll::Ready(Ok(0));
                }
                // Tungstenite answers a ping by itself with the next flush. Small messages
                // count too: a stranger must not send pings for ever.
                Message::Ping(_) | Message::Pong(_) => this.count(1)?,
                Message::Text(_) | Message::Frame(_) => {
                    return Poll::Ready(Err(io::Error::other("a text message")));
                }
            }
        }
        let length = this.received.len().min(buffer.len());
        this.received.copy_to_slice(&mut buffer[..length]);
        Poll::Ready(Ok(length))
    }
}

impl AsyncWrite for WebSocketBytes {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // SES-8.1: yamux's last word has no code, and the peer would stop listening at it.
        // WebSocket's own, which follows at once, has one.
        if this.unheard || (this.shared.lost().is_some() && is_go_away(bytes)) {
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.unsent.len() == MESSAGE_MAX {
            ready!(this.poll_send(cx))?;
        }
        let length = bytes.len().min(MESSAGE_MAX - this.unsent.len());
        this.unsent.extend_from_slice(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        if !this.unheard {
            let flushed = ready!(this.socket.poll_flush_unpin(cx));
            this.keep_reading(flushed)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closing {
            ready!(this.poll_send(cx))?;
            ready!(this.socket.poll_ready_unpin(cx)).map_err(fault)?;
            let frame = close_frame(&this.shared);
            this.socket
                .start_send_unpin(Message::Close(Some(frame)))
                .map_err(fault)?;
            this.closing = true;
        }
        // The peer's own close frame is not waited for: the last word has been said.
        Pin::new(&mut this.socket).poll_flush(cx).map_err(fault)
    }
}

/// Whether these bytes are the whole of yamux's `GoAway`: version 0, type 3.
fn is_go_away(bytes: &[u8]) -> bool {
    bytes.len() == YAMUX_HEADER && bytes.starts_with(&[0, 3])
}

fn close_frame(shared: &Shared) -> CloseFrame {
    let (number, reason) = shared.close_reason();
    let code = u16::try_from(number)
        .unwrap_or(0)
        .saturating_add(CLOSE_BASE)
        .min(4_999);
    CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    }
}

fn closed_by_peer(frame: Option<CloseFrame>) -> Lost {
    let Some(frame) = frame else {
        return Lost::ClosedByPeer {
            code: PeerCode::new(0),
            reason: String::new(),
        };
    };
    match u16::from(frame.code).checked_sub(CLOSE_BASE) {
        Some(number) => Lost::ClosedByPeer {
            code: PeerCode::new(number.into()),
            reason: frame.reason.to_string(),
        },
        None => Lost::Fault {
            detail: format!("websocket closed with {}", frame.code),
        },
    }
}

fn fault(error: Error) -> io::Error {
    io::Error::other(error)
}
