//! One yamux stream, shared by the two halves of a call. Spec: SES-6.4.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use ::bytes::{Buf, Bytes};
use futures_util::StreamExt;
use futures_util::io::AsyncWrite;
use pli_protocol::codec::FRAME_PREFIX;
use tokio::sync::OwnedSemaphorePermit;
use yamux::Packet;

use super::mux::Shared;
use crate::error::{Lost, PeerCode, RecvError, SendError};

/// A handle on one stream; the call holds two, one a half.
#[derive(Clone)]
pub(crate) struct MuxStream {
    /// `None` once aborted: dropping a yamux stream resets it.
    stream: Arc<Mutex<Option<yamux::Stream>>>,
    shared: Arc<Shared>,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl MuxStream {
    pub(super) fn new(
        stream: yamux::Stream,
        shared: Arc<Shared>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stream: Arc::new(Mutex::new(Some(stream))),
            shared,
            _permit: Arc::new(permit),
        }
    }

    /// What has arrived; `None` at the end. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Result<Option<Bytes>, RecvError> {
        let read = tokio::select! {
            biased;
            read = poll_fn(|cx| self.poll_read(cx)) => read,
            lost = self.shared.closed() => return Err(lost.into()),
        };
        match read {
            Some(Ok(packet)) => Ok(Some(Bytes::from_owner(packet))),
            Some(Err(error)) => Err(self.gone(&error).into()),
            None => match self.shared.lost() {
                Some(lost) => Err(lost.into()),
                None => Ok(None),
            },
        }
    }

    /// Writes a part of `segments`; returns how many were written whole. Cancel-safe.
    pub(crate) async fn write(&mut self, segments: &mut [Bytes]) -> Result<usize, SendError> {
        let mut whole = 0;
        for segment in segments {
            while segment.has_remaining() {
                // A cancelled poll has written nothing: yamux takes a part at once or waits.
                // What earlier rounds wrote has been cut from the front of its segment.
                let written = tokio::select! {
                    biased;
                    written = poll_fn(|cx| self.poll_write(cx, segment)) => written,
                    lost = self.shared.closed() => return Err(lost.into()),
                };
                segment.advance(written.map_err(|error| self.stopped(&error))?);
            }
            whole += 1;
        }
        self.flush().await?;
        Ok(whole)
    }

    /// Sends the end mark and closes this direction.
    pub(crate) async fn finish(&mut self) -> Result<(), SendError> {
        self.write(&mut [Bytes::from_static(&[0; FRAME_PREFIX])])
            .await?;
        self.close().await
    }

    /// Closes this direction. Without the end mark the peer takes the call for lost.
    pub(crate) async fn close(&mut self) -> Result<(), SendError> {
        poll_fn(|cx| match self.lock().as_mut() {
            Some(stream) => Pin::new(stream).poll_close(cx),
            None => Poll::Ready(Err(aborted())),
        })
        .await
        .map_err(|error| self.stopped(&error))
    }

    /// Resets both directions. One that is over already is left alone: nobody is told any more, and what the peer
    /// said before may still be read (SES-8.1).
    pub(crate) fn abort(&self) {
        let mut stream = self.lock();
        let closed = stream.as_ref().is_some_and(yamux::Stream::is_closed);
        if !closed && self.shared.lost().is_none() {
            stream.take();
        }
    }

    async fn flush(&mut self) -> Result<(), SendError> {
        poll_fn(|cx| match self.lock().as_mut() {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Err(aborted())),
        })
        .await
        .map_err(|error| self.stopped(&error))
    }

    fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Packet>>> {
        match self.lock().as_mut() {
            Some(stream) => stream.poll_next_unpin(cx),
            None => Poll::Ready(Some(Err(aborted()))),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.lock().as_mut() {
            Some(stream) => Pin::new(stream).poll_write(cx, bytes),
            None => Poll::Ready(Err(aborted())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<yamux::Stream>> {
        self.stream
            .lock()
            .expect("no code panics while it holds this lock")
    }

    fn gone(&self, error: &io::Error) -> Lost {
        self.shared.lost().unwrap_or(Lost::Fault {
            detail: error.to_string(),
        })
    }

    fn stopped(&self, _: &io::Error) -> SendError {
        match self.shared.lost() {
            Some(lost) => lost.into(),
            // yamux resets without a code.
            None => SendError::Stopped {
                code: PeerCode::new(0),
            },
        }
    }
}

fn aborted() -> io::Error {
    io::Error::other("the call was aborted by this side")
}

impl fmt::Debug for MuxStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MuxStream")
    }
}
