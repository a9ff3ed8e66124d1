//! What a listener is told.

use std::net::SocketAddr;
use std::time::Duration;

use pli_protocol::id::AuthorityId;
use pli_protocol::limits;
use tokio::sync::mpsc;

use super::PlainHttp;
use crate::tls::Identity;

/// What a listener needs to know.
#[derive(Debug)]
pub struct ListenerConfig {
    /// The node's key.
    pub identity: Identity,
    /// Whose node it is.
    pub authority: AuthorityId,
    /// Where to take QUIC; port 0 for any.
    pub quic: Option<SocketAddr>,
    /// Where to take WebSocket and public HTTP over TLS; port 0 for any.
    pub websocket: Option<SocketAddr>,
    /// Who takes plain HTTP requests on the WebSocket port; without it they are answered 404.
    /// When the channel is full, too: public HTTP must not hold back sessions.
    pub http: Option<mpsc::Sender<PlainHttp>>,
    /// Bounds; the registry's unless a test or an operator wants less.
    pub limits: ListenerLimits,
}

/// Bounds of a listener. Spec: SES-5.1, `spec/registry/limits.toml`.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// Connections in total.
    pub connections: usize,
    /// Connections from one address (IPv6: one /64).
    pub connections_per_address: usize,
    /// Connections authenticated with one key.
    pub connections_per_key: usize,
    /// Connections of devices from one address.
    pub devices_per_address: usize,
    /// Connections whose handshake is not finished, of QUIC and of TCP each.
    pub handshakes: usize,
    /// Of these, from one address.
    pub handshakes_per_address: usize,
    /// Unfinished handshakes by QUIC from which on a QUIC address must prove itself first.
    pub retry_from: usize,
    /// From the connection to the end of the handshake.
    pub handshake_time: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_MAX,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_MAX,
            connections_per_key: limits::CONNECTIONS_PER_KEY_MAX,
            devices_per_address: limits::CONNECTIONS_DEVICE_PER_ADDRESS_MAX,
            handshakes: limits::HANDSHAKES_MAX,
            handshakes_per_address: limits::HANDSHAKES_PER_ADDRESS_MAX,
            retry_from: limits::RETRY_HANDSHAKES_MIN,
            handshake_time: Duration::from_millis(limits::HANDSHAKE_TIMEOUT_MS),
        }
    }
}
