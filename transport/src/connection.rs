//! Connections on which calls are made, whatever carries them.
//!
//! Only the dialler opens calls (SES-1.6), so the two ends have different types:
//! [`DialledConnection::open_call`] and [`AcceptedConnection::accept_call`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::limits;
use pli_protocol::session::{Authenticated, ServerIdentity, Welcome};
use tokio::time::timeout;

use crate::error::{Lost, OpenError};
use crate::frame::{FrameReader, FrameWriter};
use crate::server::Permit;
use crate::stream::{RecvHalf, SendHalf};
use crate::websocket::Mux;

/// What carries a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Via {
    /// QUIC over UDP.
    Quic,
    /// yamux over WebSocket, TLS and TCP, where UDP is blocked.
    WebSocket,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "quic",
            Self::WebSocket => "websocket",
        })
    }
}

/// One call: frames in both directions. Take it apart to read and write at the same time.
#[derive(Debug)]
pub struct CallStream {
    /// What the peer sends.
    pub recv: FrameReader,
    /// What this side sends.
    pub send: FrameWriter,
}

/// An authenticated connection to a server. Cheap to clone; the connection closes when the last
/// clone and the last call are dropped, and what is then still on its way is lost. Who wants an
/// answer keeps it until the answer is there.
#[derive(Clone, Debug)]
pub struct DialledConnection {
    pub(crate) link: Link,
    pub(crate) server: ServerIdentity,
    pub(crate) welcome: Welcome,
}

impl DialledConnection {
    /// Opens a call. Waits while as many calls are open as the role may have (SES-5.2), but no longer than
    /// `REPLY_TIMEOUT_MS`: a server that grants none is as silent as one that answers none. The server learns of the
    /// call with its first frame.
    pub async fn open_call(&self) -> Result<CallStream, OpenError> {
        let limit_ms = limits::REPLY_TIMEOUT_MS;
        match timeout(Duration::from_millis(limit_ms), self.link.open()).await {
            Ok(opened) => Ok(opened?),
            Err(_) => Err(OpenError::TimedOut { limit_ms }),
        }
    }

    /// Whom we reached: its key has been checked.
    pub fn server(&self) -> &ServerIdentity {
        &self.server
    }

    /// What the server grants.
    pub fn welcome(&self) -> Welcome {
        self.welcome
    }
}

/// An authenticated connection from a dialler. Cheap to clone; the connection closes when the
/// last clone and the last call are dropped, and what is then still on its way is lost. A
/// server keeps it until the dialler has closed it.
#[derive(Clone, Debug)]
pub struct AcceptedConnection {
    pub(crate) link: Link,
    pub(crate) peer: Arc<Authenticated>,
}

impl AcceptedConnection {
    /// The next call that the dialler opens. Cancel-safe.
    pub async fn accept_call(&self) -> Result<CallStream, Lost> {
        self.link.accept().await
    }

    /// Who dials: it proved to hold its key, and the directory knows it.
    pub fn peer(&self) -> &Authenticated {
        &self.peer
    }
}

macro_rules! link_methods {
    ($connection:ty) => {
        impl $connection {
            /// What carries the connection.
            pub fn via(&self) -> Via {
                self.link.via()
            }

            /// Where the peer is now; a QUIC peer may move (case 50).
            pub fn remote_addr(&self) -> SocketAddr {
                self.link.remote_addr()
            }

            /// The best estimate of the time to the peer and back; `None` over WebSocket.
            pub fn round_trip(&self) -> Option<Duration> {
                self.link.round_trip()
            }

            /// Closes at once and tells the peer why; calls in progress are lost. `None`: done.
            pub fn close(&self, code: Option<Code>, reason: &str) {
                self.link.close(code, reason);
            }

            /// Waits until the connection is gone, and says why. Cancel-safe.
            pub async fn closed(&self) -> Lost {
                self.link.closed().await
            }
        }
    };
}

link_methods!(DialledConnection);
link_methods!(AcceptedConnection);

/// A connection and its place among the counted ones.
#[derive(Clone, Debug)]
pub(crate) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wire: Wire,
    /// Freed when the last clone of the connection and its last call are gone.
    _permit: Option<Arc<Mutex<Permit>>>,
}

#[derive(Debug)]
pub(crate) enum Wire {
    Quic(quinn::Connection),
    Mux(Mux),
}

impl Link {
    pub(crate) fn new(wire: Wire, permit: Option<Arc<Mutex<Permit>>>) -> Self {
        Self(Arc::new(Inner {
            wire,
            _permit: permit,
        }))
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.0.wire
    }

    pub(crate) async fn open(&self) -> Result<CallStream, Lost> {
        match &self.0.wire {
            Wire::Quic(connection) => {
                let (send, recv) = connection.open_bi().await?;
                Ok(self.call(RecvHalf::Quic(recv), SendHalf::Quic(send)))
            }
            Wire::Mux(mux) => {
                let stream = mux.open().await?;
                Ok(self.call(RecvHalf::Mux(stream.clone()), SendHalf::Mux(stream)))
            }
        }
    }

    pub(crate) async fn accept(&self) -> Result<CallStream, Lost> {
        match &self.0.wire {
            Wire::Quic(connection) => {
                let (send, recv) = connection.accept_bi().await?;
                Ok(self.call(RecvHalf::Quic(recv), SendHalf::Quic(send)))
            }
            Wire::Mux(mux) => {
                let stream = mux.accept().await?;
                Ok(self.call(RecvHalf::Mux(stream.clone()), SendHalf::Mux(stream)))
            }
        }
    }

    fn call(&self, recv: RecvHalf, send: SendHalf) -> CallStream {
        CallStream {
            recv: FrameReader::new(recv, self.clone()),
            send: FrameWriter::new(send, self.clone()),
        }
    }

    pub(crate) fn via(&self) -> Via {
        match &self.0.wire {
            Wire::Quic(_) => Via::Quic,
            Wire::Mux(_) => Via::WebSocket,
        }
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        match &self.0.wire {
            Wire::Quic(connection) => connection.remote_address(),
            Wire::Mux(mux) => mux.remote_addr(),
        }
    }

    fn round_trip(&self) -> Option<Duration> {
        match &self.0.wire {
            Wire::Quic(connection) => Some(connection.rtt()),
            Wire::Mux(_) => None,
        }
    }

    pub(crate) fn close(&self, code: Option<Code>, reason: &str) {
        let number = code.map_or(0, Code::number);
        match &self.0.wire {
            Wire::Quic(connection) => connection.close(number.into(), reason.as_bytes()),
            Wire::Mux(mux) => mux.close(number, reason),
        }
    }

    pub(crate) async fn closed(&self) -> Lost {
        match &self.0.wire {
            Wire::Quic(connection) => connection.closed().await.into(),
            Wire::Mux(mux) => mux.closed().await,
        }
    }
}
