//! The way in: QUIC, or WebSocket over TLS with yamux. In: a [`Server`] and what to offer. Out: a
//! [`Connection`] whose [`Stream`]s carry whatever bytes a case wants to send. Spec: session.md, SES-1 and SES-6.
//!
//! Nothing here keeps the suite from misbehaving: the cases do so on purpose.

pub mod quic;
pub mod stream;
pub mod tls;
pub mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

pub use quic::quic;
pub use stream::{Ended, Stream};
pub use tls::{Groups, Offer};
pub use websocket::websocket;

use crate::crypto::keys::PublicKey;

/// How to reach an implementation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Via {
    Quic,
    WebSocket,
}

impl Via {
    pub const BOTH: [Self; 2] = [Self::Quic, Self::WebSocket];

    pub fn word(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::WebSocket => "websocket",
        }
    }
}

/// A node under test.
#[derive(Clone, Debug)]
pub struct Server {
    pub authority: String,
    pub key: PublicKey,
    /// `host:port` of UDP.
    pub quic: Option<String>,
    /// `host:port` of TCP.
    pub websocket: Option<String>,
}

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// No port is configured: the case is unsupported.
    #[error("no {0} port is configured")]
    NotConfigured(&'static str),
    /// The server, or the network, said no: for many cases the right answer.
    #[error("{stage}: {why}")]
    Refused { stage: &'static str, why: String },
    #[error("{stage}: no answer within {} ms", within.as_millis())]
    TimedOut {
        stage: &'static str,
        within: Duration,
    },
    /// Nobody can be there under this name.
    #[error("{0}")]
    Address(String),
}

/// How long anything that the network does at once may take.
pub const SOON: Duration = Duration::from_secs(5);

impl Server {
    /// Connects with the offer that a right dialler makes.
    pub async fn dial(&self, via: Via) -> Result<Connection, DialError> {
        self.dial_with(via, &Offer::right(via)).await
    }

    pub async fn dial_with(&self, via: Via, offer: &Offer) -> Result<Connection, DialError> {
        let address = self.resolve(via).await?;
        match via {
            Via::Quic => quic(address, &self.authority, offer).await,
            Via::WebSocket => websocket(address, &self.authority, offer).await,
        }
    }

    async fn resolve(&self, via: Via) -> Result<SocketAddr, DialError> {
        let configured = match via {
            Via::Quic => self
                .quic
                .as_deref()
                .ok_or(DialError::NotConfigured("QUIC"))?,
            Via::WebSocket => self
                .websocket
                .as_deref()
                .ok_or(DialError::NotConfigured("WebSocket"))?,
        };
        let unknown = |why: String| DialError::Address(format!("{configured}: {why}"));
        tokio::net::lookup_host(configured)
            .await
            .map_err(|why| unknown(why.to_string()))?
            .next()
            .ok_or_else(|| unknown("no address".to_owned()))
    }
}

/// One connection. It closes when it is dropped.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    /// The Ed25519 key of the server's certificate; `None` when it has another kind of key.
    pub certified: Option<PublicKey>,
    /// The key exchange group, where the library shows it.
    pub group: Option<String>,
}

#[derive(Debug)]
enum Wire {
    Quic {
        connection: quinn::Connection,
        _endpoint: quinn::Endpoint,
    },
    WebSocket(websocket::Mux),
}

impl Connection {
    pub fn via(&self) -> Via {
        match self.wire {
            Wire::Quic { .. } => Via::Quic,
            Wire::WebSocket(_) => Via::WebSocket,
        }
    }

    /// Opens a stream; over QUIC it waits while the server allows no more.
    pub async fn open(&self, within: Duration) -> Result<Stream, Ended> {
        let opening = async {
            match &self.wire {
                Wire::Quic { connection, .. } => match connection.open_bi().await {
                    Ok((send, recv)) => Ok(Stream::quic(send, recv)),
                    Err(lost) => Err(stream::ended(lost)),
                },
                Wire::WebSocket(mux) => mux.open().await,
            }
        };
        tokio::time::timeout(within, opening)
            .await
            .unwrap_or(Err(Ended::TimedOut { within }))
    }

    /// Waits for the end of the connection.
    pub async fn closed(&self, within: Duration) -> Ended {
        let closing = async {
            match &self.wire {
                Wire::Quic { connection, .. } => stream::ended(connection.closed().await),
                Wire::WebSocket(mux) => mux.closed().await,
            }
        };
        tokio::time::timeout(within, closing)
            .await
            .unwrap_or(Ended::TimedOut { within })
    }
}
