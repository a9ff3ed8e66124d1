//! Every bound is set, and not left to quinn's defaults.

use pli_protocol::code::Code;
use pli_protocol::session::Principal;
use quinn::ConnectError;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{ClientConfig, Session};
use quinn_proto::transport_parameters::TransportParameters;
use tokio::time::Instant;

use super::*;
use crate::connection::{Link, Wire};
use crate::support::{
    ANY_PORT, SERVER_SEED, Server, dialler_of, key, listener_of, server_identity, within,
};
use crate::{Identity, ListenerLimits, Via, handshake, tls};

fn assert_set(config: &TransportConfig, settings: &[String]) {
    let shown = format!("{config:?}");
    for setting in settings {
        assert!(shown.contains(setting.as_str()), "{setting} in {shown}");
    }
}

#[test]
fn case_48_paths_begin_at_1200_bytes_and_never_go_below() {
    for config in [dialler_transport(), server_transport()] {
        assert_set(
            &config,
            &[
                "initial_mtu: 1200".into(),
                "min_mtu: 1200".into(),
                "upper_bound: 1452".into(),
                "mtu_discovery_config: Some".into(),
            ],
        );
    }
}

/// SES-5.3
#[test]
fn r24_windows_and_streams_are_bounded_by_name() {
    let stranger = server_transport();
    assert_set(
        &stranger,
        &[
            "max_concurrent_bidi_streams: 1,".into(),
            "max_concurrent_uni_streams: 0,".into(),
            format!("receive_window: {HANDSHAKE_WINDOW},"),
            format!("stream_receive_window: {},", limits::STREAM_WINDOW_MAX),
            format!("send_window: {},", limits::STREAM_WINDOW_MAX),
            "datagram_receive_buffer_size: None".into(),
        ],
    );
    let dialler = dialler_transport();
    assert_set(
        &dialler,
        &[
            "max_concurrent_bidi_streams: 0,".into(),
            "max_concurrent_uni_streams: 0,".into(),
            format!("receive_window: {},", limits::CONNECTION_WINDOW_MAX),
            "send_fairness: false".into(),
            "enable_segmentation_offload: true".into(),
        ],
    );
    // What one connection can make this side hold, received and to be sent, stays under 64 MiB.
    const { assert!(limits::CONNECTION_WINDOW_MAX + limits::STREAM_WINDOW_MAX <= 64 << 20) }
}

#[test]
fn ses_4_2_silence_ends_a_connection_and_the_dialler_breaks_it() {
    let idle = format!("max_idle_timeout: Some({})", limits::IDLE_TIMEOUT_MS);
    assert_set(
        &server_transport(),
        &[idle.clone(), "keep_alive_interval: None".into()],
    );
    let alive = format!(
        "keep_alive_interval: Some({}s)",
        limits::KEEP_ALIVE_MS / 1_000
    );
    assert_set(&dialler_transport(), &[idle, alive]);
}

#[test]
fn ses_1_1_only_version_1_of_quic() {
    let shown = format!("{:?}", endpoint_config());
    assert!(shown.contains("supported_versions: [1]"), "{shown}");
}

#[test]
fn sockets_have_large_buffers() {
    let socket = socket("127.0.0.1:0".parse().unwrap()).unwrap();
    let received = socket2::SockRef::from(&socket).recv_buffer_size().unwrap();
    // The kernel may cap it, but never below its default.
    assert!(received >= 212_992, "{received}");
}

/// A dialler that the server knows nothing of: TLS and no handshake.
async fn stranger(address: SocketAddr) -> (Endpoint, quinn::Connection) {
    stranger_with(Arc::new(tls_of_stranger()), address).await
}

fn tls_of_stranger() -> QuicClientConfig {
    let (pinned, _) = tls::Pinned::new([server_identity().key]);
    QuicClientConfig::try_from(tls::client_config(pinned, tls::ALPN)).unwrap()
}

async fn stranger_with(
    tls: Arc<dyn ClientConfig>,
    address: SocketAddr,
) -> (Endpoint, quinn::Connection) {
    let mut config = quinn::ClientConfig::new(tls);
    config.transport_config(Arc::new(dialler_transport()));
    let endpoint = endpoint(unspecified(address), None).unwrap();
    let connecting = endpoint
        .connect_with(config, address, tls::SERVER_NAME)
        .unwrap();
    let connection = within(connecting).await.unwrap();
    (endpoint, connection)
}

#[tokio::test]
async fn r12_a_stranger_has_one_stream_and_a_small_window() {
    let listener = listener_of(SERVER_SEED, ListenerLimits::default(), None);
    let address = listener.quic_addr().unwrap();
    let (connected, pending) = tokio::join!(stranger(address), listener.accept());
    let (_endpoint, connection) = connected;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let soon = Duration::from_millis(200);
    assert!(
        tokio::time::timeout(soon, connection.open_bi())
            .await
            .is_err(),
        "one stream"
    );
    assert!(
        tokio::time::timeout(soon, connection.open_uni())
            .await
            .is_err(),
        "and no other"
    );
    // Nobody has looked at it yet, and it sends as much as it can.
    let soon = Duration::from_secs(1);
    let sent = || connection.stats().udp_tx.bytes;
    let window = u64::from(HANDSHAKE_WINDOW);
    within(async {
        while tokio::time::timeout(soon, send.write(&[0xff; 65_536]))
            .await
            .is_ok()
            || sent() < window
        {}
    })
    .await;
    let sent = sent();
    assert!(
        (window..3 * window).contains(&sent),
        "{sent} bytes left the stranger"
    );
    drop(pending);
}

#[tokio::test]
async fn ses_1_6_a_server_cannot_open_streams() {
    let mut server = Server::start();
    let dialled = server
        .dial(&dialler_of(Principal::Device, 7), Via::Quic)
        .await;
    let accepted = server.session().await;
    let Wire::Quic(connection) = accepted.link.wire() else {
        panic!("quic")
    };
    let soon = Duration::from_millis(200);
    assert!(
        tokio::time::timeout(soon, connection.open_bi())
            .await
            .is_err()
    );
    assert!(
        tokio::time::timeout(soon, connection.open_uni())
            .await
            .is_err()
    );
    drop(dialled);
}

#[tokio::test]
async fn ses_2_5_a_bad_frame_of_a_handshake_resets_its_stream_with_the_code() {
    let identity = Identity::new(key(SERVER_SEED)).unwrap();
    let tls = QuicServerConfig::try_from(tls::server_config(&identity, tls::ALPN)).unwrap();
    let server = endpoint(
        ANY_PORT,
        Some((server_config(tls, 1), identity.reset_key())),
    )
    .unwrap();
    let accepting = async { server.accept().await.unwrap().await.unwrap() };
    let ((_endpoint, connection), accepted) =
        tokio::join!(stranger(server.local_addr().unwrap()), accepting);
    // The connection stays open here, so that only the stream can say it.
    let link = Link::new(Wire::Quic(accepted), None);
    let nobody = |_| async { unreachable!("nobody has said who it is") };
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&[0; 4]).await.unwrap();
    let answered = within(handshake::answer(&link, server_identity(), nobody)).await;
    assert_eq!(answered.unwrap_err().code(), Some(Code::FrameEmpty));
    let reset = within(recv.read(&mut [0; 1])).await;
    let code = Code::FrameEmpty.number().into();
    assert_eq!(reset, Err(quinn::ReadError::Reset(code)));
}

/// Declares that it acknowledges so late that three of its probe timeouts last 49 seconds.
struct Late(Arc<QuicClientConfig>);

impl ClientConfig for Late {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        parameters: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let mut bytes = Vec::new();
        parameters.write(&mut bytes);
        // max_ack_delay, in two bytes: 16,383 ms (RFC 9000, section 18.2).
        bytes.extend([0x0b, 2, 0x7f, 0xff]);
        let late = TransportParameters::read(quinn::Side::Server, &mut &bytes[..]).unwrap();
        Arc::clone(&self.0).start_session(version, server_name, &late)
    }
}

#[tokio::test]
async fn ses_7_5_a_peer_that_acknowledges_late_holds_up_no_stop() {
    let listener = listener_of(SERVER_SEED, ListenerLimits::default(), None);
    let address = listener.quic_addr().unwrap();
    let late = Arc::new(Late(Arc::new(tls_of_stranger())));
    let (connected, pending) = tokio::join!(stranger_with(late, address), listener.accept());
    let began = Instant::now();
    listener.close(None, "done").await;
    let took = began.elapsed();
    assert!(took >= IDLE_WITHIN, "{took:?}: it did not even try");
    assert!(took < 4 * IDLE_WITHIN, "{took:?}");
    drop((connected, pending));
}
