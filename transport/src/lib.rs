//! Transport: from sockets to authenticated calls and back.
//!
//! In: addresses, keys and the pinned key of a server. Out: [`DialledConnection`] and
//! [`AcceptedConnection`], on which each call is one [`CallStream`] of frames. Spec:
//! `spec/session.md`. The only crate that names quinn.
//!
//! | Module | Holds |
//! |---|---|
//! | [`frame`] | length-prefixed frames, checked before allocation |
//! | [`connection`] | calls on a connection, whatever carries it |
//! | [`server`] | [`Listener`]: admission, handshake, deadlines |
//! | [`dialler`] | [`Dialler`]: QUIC first, WebSocket where UDP is blocked |
//! | [`websocket`] | the fallback: TLS, WebSocket, yamux |
//! | [`tls`] | self-signed node certificates, pinned keys |
//! | [`error`] | one enum per operation, each with its wire code |

// The tests' support names this crate from inside and from outside.
#[cfg(test)]
extern crate self as pli_transport;

pub mod connection;
pub mod dialler;
pub mod error;
pub mod frame;
mod handshake;
mod quic;
pub mod server;
mod stream;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
pub mod tls;
pub mod websocket;

pub use connection::{AcceptedConnection, CallStream, DialledConnection, Via};
pub use dialler::{
    Credential, Dialler, DiallerConfig, Endpoints, PrivateNetwork, PrivateNetworkError,
    PrivateNetworks, resolve,
};
pub use error::{
    AttemptError, BindError, ConnectError, HandshakeError, Lost, NotDialled, OpenError, PeerCode,
    RecvError, SendError,
};
pub use frame::{FrameReader, FrameWriter};
pub use server::{Listener, ListenerConfig, ListenerLimits, ListenerStats, Pending, PlainHttp};
pub use tls::Identity;
