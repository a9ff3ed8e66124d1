//! QUIC: every bound of quinn set by name, and sockets with large buffers. Spec: SES-1.1, SES-4.2, SES-5.2, SES-5.3.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::limits;
use pli_protocol::session::Role;
use quinn::{
    AckFrequencyConfig, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::timeout;

pub(crate) use reset::ResetKey;

mod reset;

/// QUIC version 1 (RFC 9000) and no draft.
const QUIC_V1: u32 = 1;
/// Every path carries this much UDP payload (RFC 9000, section 14); discovery goes up from here,
/// and falls back to here in a black hole (case 48).
const MTU_INITIAL: u16 = 1_200;
/// Ethernet's, less the headers of IPv6 and UDP.
const MTU_DISCOVERED_MAX: u16 = 1_452;
/// What a connection may send before its dialler is authenticated: four small frames.
const HANDSHAKE_WINDOW: u32 = 32_768;
/// What a connection of a device or gateway may hold in each direction. There are many of them,
/// none sends in bulk, and each may be slow to read.
const SMALL_WINDOW: u32 = 1_048_576;
/// Buffered of a connection that the application has not yet looked at.
const INCOMING_BUFFER: u64 = 32_768;
const INCOMING_BUFFER_TOTAL: u64 = 4_194_304;
/// The kernel's buffers of a socket: 2 MiB is 30 ms at 75 MB/s. The kernel may give less.
const SOCKET_BUFFER: usize = 2_097_152;
/// Packets that may arrive before an acknowledgement is due. Fewer acknowledgements leave more
/// of both processors to the letters.
const ACK_EVERY: u32 = 10;
/// A closed QUIC connection is done after three probe timeouts (RFC 9000, section 10.2): this is enough for a
/// round trip of a third of a second. A peer that says it acknowledges late makes them last for most of a minute.
const IDLE_WITHIN: Duration = Duration::from_secs(3);

/// What both sides share.
fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    let idle = VarInt::from_u32(u32_of(limits::IDLE_TIMEOUT_MS));
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_DISCOVERED_MAX);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY));
    config
        // No side ever opens a unidirectional stream, and only the dialler opens calls.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(idle)))
        .stream_receive_window(VarInt::from_u32(u32_of(limits::STREAM_WINDOW_MAX)))
        .receive_window(connection_window())
        .send_window(limits::STREAM_WINDOW_MAX)
        // First come, first served: a batch leaves whole instead of interleaved with all others.
        .send_fairness(false)
        .initial_mtu(MTU_INITIAL)
        .min_mtu(MTU_INITIAL)
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acks))
        // The spin bit would show the round trip of every citizen's path to observers.
        .allow_spin(false)
        .enable_segmentation_offload(true);
    config
}

/// The flow-control window of an authenticated connection.
fn connection_window() -> VarInt {
    VarInt::from_u32(u32_of(limits::CONNECTION_WINDOW_MAX))
}

/// The dialler's side: it keeps the connection alive.
pub(crate) fn dialler_transport() -> TransportConfig {
    let mut config = transport();
    config.keep_alive_interval(Some(Duration::from_millis(limits::KEEP_ALIVE_MS)));
    config
}

/// The server's side: one stream and a small window until the dialler is authenticated, so that
/// strangers cannot fill memory (R12). [`admit`] opens both.
fn server_transport() -> TransportConfig {
    let mut config = transport();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .receive_window(VarInt::from_u32(HANDSHAKE_WINDOW));
    config
}

/// Opens the windows of an authenticated dialler. SES-5.2.
///
/// quinn announces room for further streams in steps of an eighth, so the dialler has at most
/// as many calls as its role, and at least seven eighths of that.
pub(crate) fn admit(connection: &quinn::Connection, role: Role) {
    match role {
        Role::Node | Role::Service => connection.set_receive_window(connection_window()),
        Role::Gateway | Role::Device => {
            connection.set_receive_window(VarInt::from_u32(SMALL_WINDOW));
            connection.set_send_window(SMALL_WINDOW.into());
        }
    }
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(role.calls_max()));
}

pub(crate) fn server_config(
    tls: quinn::crypto::rustls::QuicServerConfig,
    handshakes_max: usize,
) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(server_transport()))
        .migration(true)
        .max_incoming(handshakes_max)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    config
}

fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![QUIC_V1]);
    config
}

/// An endpoint on a fresh socket; a server's with the key of its resets.
pub(crate) fn endpoint(
    address: SocketAddr,
    server: Option<(ServerConfig, ResetKey)>,
) -> io::Result<Endpoint> {
    let socket = socket(address)?;
    let mut config = endpoint_config();
    let server = server.map(|(server, reset)| {
        config
            .reset_key(Arc::new(reset))
            .cid_generator(|| Box::new(reset::RandomIds));
        server
    });
    Endpoint::new(config, server, socket, Arc::new(TokioRuntime))
}

/// Waits until the peers of all closed connections could hear of it, for as long as an honest one needs. A connection
/// that is still open is not told anything, so it is not waited for any longer than that.
pub(crate) async fn wait_idle(endpoints: &[Endpoint]) {
    let idle = async {
        for endpoint in endpoints {
            endpoint.wait_idle().await;
        }
    };
    if timeout(IDLE_WITHIN, idle).await.is_err() {
        tracing::debug!("not every connection has ended");
    }
}

/// A UDP socket with large buffers.
pub(crate) fn socket(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // The kernel caps both at its own maximum without an error.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Any port of the family of `peer`.
pub(crate) fn unspecified(peer: SocketAddr) -> SocketAddr {
    let ip = match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// The registry's limits that go to QUIC fit 32 bits.
fn u32_of(limit: u64) -> u32 {
    u32::try_from(limit).expect("a limit of the registry that fits 32 bits")
}

#[cfg(test)]
mod tests;
