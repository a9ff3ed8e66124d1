//! yamux on a WebSocket: one task drives the connection, handles ask it for streams.
//! Spec: SES-6.2, SES-6.3.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pli_protocol::limits;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use yamux::{Config, Connection, Mode};

use super::bytes::WebSocketBytes;
use super::stream::MuxStream;
use super::upgrade::Io;
use crate::error::Lost;

/// Streams that yamux itself carries. The dialler keeps to its role's number of calls; twice as
/// many leaves room for those that the two sides do not yet see ended.
const STREAMS_MAX: usize = 2 * limits::CALLS_NODE_MAX as usize;
/// yamux gives every stream at least 256 KiB.
const WINDOWS_MAX: usize = STREAMS_MAX * yamux::DEFAULT_CREDIT as usize;
/// Largest data frame of yamux: larger is fewer writes, smaller is less waiting for others.
const DATA_FRAME_MAX: usize = 32_768;
/// How long the last word may take.
pub(crate) const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Longest reason of a WebSocket close (RFC 6455, section 5.5, less the code).
const CLOSE_REASON_MAX: usize = 123;

/// A connection over WebSocket. It closes when dropped.
pub(crate) struct Mux {
    open: mpsc::Sender<oneshot::Sender<Result<yamux::Stream, Lost>>>,
    incoming: Mutex<mpsc::Receiver<yamux::Stream>>,
    shared: Arc<Shared>,
    calls: Arc<Semaphore>,
    remote: SocketAddr,
}

/// What the handles and the task know in common.
pub(super) struct Shared {
    authenticated: AtomicBool,
    lost: watch::Sender<Option<Lost>>,
    /// Set once by the side that closes.
    close: watch::Sender<Option<(u32, String)>>,
}

impl Shared {
    /// The first reason stays.
    pub(super) fn lose(&self, lost: Lost) {
        self.lost.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(lost);
            }
            first
        });
    }

    pub(super) fn lost(&self) -> Option<Lost> {
        self.lost.borrow().clone()
    }

    /// Waits for the end of the connection. yamux alone does not wake the readers of streams
    /// when this side closes.
    pub(super) async fn closed(&self) -> Lost {
        let mut lost = self.lost.subscribe();
        let reason = lost
            .wait_for(Option::is_some)
            .await
            .expect("`self` holds the sender");
        reason.clone().expect("just waited for")
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    pub(super) fn close_reason(&self) -> (u32, String) {
        self.close.borrow().clone().unwrap_or_default()
    }
}

impl Mux {
    /// Starts the task that drives the connection. It holds `alive` until the last word has been said.
    pub(crate) fn new(
        socket: WebSocketStream<Box<dyn Io>>,
        mode: Mode,
        remote: SocketAddr,
        alive: Option<watch::Receiver<()>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            // A dialler knows whom it dialled before the first byte.
            authenticated: AtomicBool::new(mode == Mode::Client),
            lost: watch::Sender::new(None),
            close: watch::Sender::new(None),
        });
        let bytes = WebSocketBytes::new(socket, shared.clone(), mode == Mode::Client);
        let mut config = Config::default();
        config
            .set_max_num_streams(STREAMS_MAX)
            .set_max_connection_receive_window(Some(WINDOWS_MAX))
            .set_split_send_size(DATA_FRAME_MAX);
        let (open, to_open) = mpsc::channel(1);
        let (deliver, incoming) = mpsc::channel(STREAMS_MAX);
        let driver = Driver {
            connection: Connection::new(bytes, config, mode),
            to_open,
            asked: None,
            deliver,
            shared: shared.clone(),
            _alive: alive,
        };
        tokio::spawn(driver.run());
        Self {
            open,
            incoming: Mutex::new(incoming),
            shared,
            calls: Arc::new(Semaphore::new(1)),
            remote,
        }
    }

    /// Lets the peer have more than a handshake, and so many calls at once. SES-5.2.
    pub(crate) fn admit(&self, calls_max: u32) {
        self.shared.authenticated.store(true, Ordering::Relaxed);
        let more = usize::try_from(calls_max)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        self.calls.add_permits(more.min(STREAMS_MAX));
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Waits while as many calls are open as may be.
    pub(crate) async fn open(&self) -> Result<MuxStream, Lost> {
        let permit = self.permit().await;
        let (answer, answered) = oneshot::channel();
        self.open.send(answer).await.map_err(|_| self.reason())?;
        let stream = answered.await.map_err(|_| self.reason())??;
        Ok(MuxStream::new(stream, self.shared.clone(), permit))
    }

    /// The next call of the dialler. One beyond what its role may have waits until another
    /// ends, as it would over QUIC; beyond `STREAMS_MAX` yamux ends the connection.
    pub(crate) async fn accept(&self) -> Result<MuxStream, Lost> {
        let permit = self.permit().await;
        let mut incoming = self.incoming.lock().await;
        let stream = tokio::select! {
            biased;
            stream = incoming.recv() => stream,
            lost = self.closed() => return Err(lost),
        };
        let stream = stream.ok_or_else(|| self.reason())?;
        Ok(MuxStream::new(stream, self.shared.clone(), permit))
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        self.calls
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    pub(crate) fn close(&self, number: u32, reason: &str) {
        let cut = reason.floor_char_boundary(CLOSE_REASON_MAX);
        self.shared.lose(Lost::ClosedHere);
        self.shared
            .close
            .send_replace(Some((number, reason[..cut].to_owned())));
    }

    pub(crate) async fn closed(&self) -> Lost {
        self.shared.closed().await
    }

    fn reason(&self) -> Lost {
        self.shared.lost().unwrap_or(Lost::Fault {
            detail: "the connection ended".into(),
        })
    }
}

impl fmt::Debug for Mux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mux({})", self.remote)
    }
}

struct Driver {
    connection: Connection<WebSocketBytes>,
    to_open: mpsc::Receiver<oneshot::Sender<Result<yamux::Stream, Lost>>>,
    /// The request being served.
    asked: Option<oneshot::Sender<Result<yamux::Stream, Lost>>>,
    deliver: mpsc::Sender<yamux::Stream>,
    shared: Arc<Shared>,
    _alive: Option<watch::Receiver<()>>,
}

/// Why the driver stops.
enum Stop {
    /// This side closes: the peer is told.
    Close,
    Lost(Lost),
}

impl Driver {
    async fn run(mut self) {
        let mut close = self.shared.close.subscribe();
        let stop = tokio::select! {
            stop = poll_fn(|cx| self.poll(cx)) => stop,
            _ = close.wait_for(Option::is_some) => Stop::Close,
        };
        match stop {
            Stop::Lost(lost) => self.shared.lose(lost),
            Stop::Close => self.shared.lose(Lost::ClosedHere),
        }
        // Also after a loss: it wakes every reader and writer of a stream.
        let closing = poll_fn(|cx| self.connection.poll_close(cx));
        if !matches!(timeout(CLOSE_TIME, closing).await, Ok(Ok(()))) {
            tracing::debug!("the websocket did not close cleanly");
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        loop {
            if self.asked.is_none() {
                match self.to_open.poll_recv(cx) {
                    Poll::Ready(Some(asked)) => self.asked = Some(asked),
                    // Every handle and every call is gone.
                    Poll::Ready(None) => return Poll::Ready(Stop::Close),
                    Poll::Pending => {}
                }
            }
            if self.asked.is_some()
                && let Poll::Ready(opened) = self.connection.poll_new_outbound(cx)
                && let Some(asked) = self.asked.take()
            {
                // Who asked may have gone away; then the stream is dropped unused.
                let _ = asked.send(opened.map_err(|error| self.lost(error)));
                continue;
            }
            return match self.connection.poll_next_inbound(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(stream))) => {
                    // There is room for as many as yamux takes. Were there not, the newest would
                    // be dropped, which resets it.
                    let _ = self.deliver.try_send(stream);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Stop::Lost(self.lost(error))),
                Poll::Ready(None) => Poll::Ready(Stop::Lost(Lost::Fault {
                    detail: "the peer ended the connection without a reason".into(),
                })),
            };
        }
    }

    fn lost(&self, error: yamux::ConnectionError) -> Lost {
        self.shared.lost().unwrap_or(Lost::Fault {
            detail: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
