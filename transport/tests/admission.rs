//! Strangers at the door: caps, deadlines, floods.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::limits;
use pli_transport::{
    AttemptError, ConnectError, Dialler, DiallerConfig, Endpoints, HandshakeError, ListenerLimits,
    PlainHttp, Via,
};
use support::relay::{Relay, Weather};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

fn capped(change: impl FnOnce(&mut ListenerLimits)) -> Server {
    let mut limits = ListenerLimits::default();
    change(&mut limits);
    Server::with_limits(limits)
}

/// Dials with a short patience, so that a test of refusals is quick.
fn impatient(seed: u8) -> Dialler {
    let times = DiallerConfig {
        handshake_time: Duration::from_secs(5),
        ..DiallerConfig::default()
    };
    Dialler::with_config(dialler(seed).credential().clone(), times)
}

async fn turned_away(server: &Server, seed: u8, via: Via) -> ConnectError {
    within(impatient(seed).connect(&server.identity, &server.only(via)))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn case_52_one_connection_more_than_in_total_is_turned_away() {
    for via in VIAS {
        let mut server = capped(|limits| limits.connections = 2);
        let first = server.dial(&dialler(1), via).await;
        let first_accepted = server.session().await;
        let _second = server.dial(&dialler(3), via).await;
        let _second_accepted = server.session().await;
        let error = turned_away(&server, 4, via).await;
        assert!(
            matches!(error, ConnectError::Unreachable { .. }),
            "{via}: {error}"
        );
        assert_eq!(server.listener.stats().turned_away, 1);
        assert_eq!(server.listener.stats().open, 2);
        // A freed place is used again.
        drop(first);
        within(first_accepted.closed()).await;
        drop(first_accepted);
        let _third = server.dial(&dialler(4), via).await;
        server.session().await;
    }
}

#[tokio::test]
async fn case_52_one_connection_more_from_an_address_is_turned_away() {
    for via in VIAS {
        let mut server = capped(|limits| limits.connections_per_address = 1);
        let _first = server.dial(&dialler(1), via).await;
        let _first_accepted = server.session().await;
        let error = turned_away(&server, 3, via).await;
        assert!(
            matches!(error, ConnectError::Unreachable { .. }),
            "{via}: {error}"
        );
    }
}

#[tokio::test]
async fn case_52_one_connection_more_of_a_key_is_told_why() {
    for via in VIAS {
        let mut server = capped(|limits| limits.connections_per_key = 1);
        let _first = server.dial(&dialler(1), via).await;
        let _first_accepted = server.session().await;
        let error = turned_away(&server, 1, via).await;
        assert_eq!(
            error.code(),
            Some(Code::TooManyConnections),
            "{via}: {error}"
        );
        assert!(matches!(error, ConnectError::Refused(_)), "{via}: {error}");
        let outcome = server.outcome().await.unwrap_err();
        assert_eq!(outcome.code(), Some(Code::TooManyConnections));
        let _other = server.dial(&dialler(3), via).await;
        server.session().await;
    }
}

#[tokio::test]
async fn ses_4_1_a_stranger_who_says_nothing_is_closed_in_time() {
    let mut server = capped(|limits| limits.handshake_time = Duration::from_millis(300));
    let address = server.listener.websocket_addr().unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let refused = server.outcome().await.unwrap_err();
    assert_eq!(refused, HandshakeError::TimedOut { limit_ms: 300 });
    assert_eq!(refused.code(), Some(Code::HandshakeTimeout));
    assert_eq!(within(silent.read(&mut [0])).await.unwrap(), 0, "closed");
    assert_eq!(server.listener.stats().open, 0);
    assert_eq!(server.listener.stats().failed, 1);
}

/// SES-5.5. The loopback has many addresses, so a stranger at one of them is not the others.
#[tokio::test]
async fn case_52_a_silent_stranger_at_one_address_shuts_nobody_out() {
    let mut server = Server::start();
    let target = server.listener.websocket_addr().unwrap();
    let mut silent = Vec::new();
    for _ in 0..limits::HANDSHAKES_MAX {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        silent.push(within(socket.connect(target)).await.unwrap());
    }
    within(async {
        while server.listener.stats().turned_away == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for via in VIAS {
        let _honest = server.dial(&dialler(1), via).await;
        server.session().await;
    }
    let stats = server.listener.stats();
    assert_eq!(stats.handshaking, limits::HANDSHAKES_PER_ADDRESS_MAX as u64);
}

/// SES-5.5
#[tokio::test]
async fn case_52_a_full_pool_makes_room_by_closing_the_oldest_stranger() {
    let mut server = capped(|limits| limits.handshakes = 2);
    let target = server.listener.websocket_addr().unwrap();
    let mut oldest = TcpStream::connect(target).await.unwrap();
    let _second = TcpStream::connect(target).await.unwrap();
    let _honest = server.dial(&dialler(1), Via::WebSocket).await;
    let gave_way = server.outcome().await.unwrap_err();
    assert_eq!(gave_way, HandshakeError::GaveWay);
    assert_eq!(gave_way.code(), Some(Code::TooManyConnections));
    server.session().await;
    assert_eq!(
        within(oldest.read(&mut [0])).await.unwrap_or(0),
        0,
        "closed"
    );
    assert_eq!(server.listener.stats().gave_way, 1);
}

/// SES-1.5
#[tokio::test]
async fn case_51_under_load_an_address_proves_itself_first() {
    let mut server = capped(|limits| limits.retry_from = 0);
    let _dialled = server.dial(&dialler(1), Via::Quic).await;
    server.session().await;
    assert_eq!(server.listener.stats().retried, 1);
}

/// The attacker's packets carry addresses that are not its own: the answers go nowhere.
#[tokio::test]
async fn case_51_a_flood_from_spoofed_addresses_takes_no_places() {
    let mut server = capped(|limits| limits.retry_from = 4);
    let quic = server.listener.quic_addr().unwrap();
    let mut flood = Vec::new();
    for seed in 10..30 {
        let relay = Relay::to(
            quic,
            Weather {
                answers_lost: true,
                ..Weather::default()
            },
        )
        .await;
        let endpoints = Endpoints {
            quic: vec![relay.address],
            websocket: vec![],
        };
        let identity = server.identity.clone();
        flood.push(tokio::spawn(async move {
            let _relay = relay;
            // It never succeeds.
            impatient(seed)
                .connect(&identity, &endpoints)
                .await
                .map(drop)
        }));
    }
    within(async {
        while server.listener.stats().retried < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(
        server.listener.stats().handshaking,
        4,
        "no more than without proof"
    );
    // An honest dialler gets in all the same.
    let _dialled = server.dial(&dialler(1), Via::Quic).await;
    server.session().await;
    for attack in flood {
        assert!(attack.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn r12_a_stranger_over_websocket_sends_no_more_than_a_handshake() {
    let mut server = Server::start();
    let mut socket = stranger::websocket(server.listener.websocket_addr().unwrap()).await;
    // yamux would let it send 256 KiB on its first stream. The server may close while we send.
    let _ = socket.send_on_a_stream(64 * 1_024).await;
    let refused = server.outcome().await.unwrap_err();
    assert!(
        matches!(refused, HandshakeError::Lost(_) | HandshakeError::Recv(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn ses_6_1_plain_http_is_handed_over_or_answered_404() {
    let (http, mut requests) = mpsc::channel::<PlainHttp>(1);
    for http in [None, Some(http)] {
        let handed_over = http.is_some();
        let mut server = Server::with(ListenerLimits::default(), http, |_| Ok(welcome()));
        let mut client = stranger::tls(server.listener.websocket_addr().unwrap()).await;
        let request = b"GET /log/checkpoint HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        assert_eq!(
            server.outcome().await.unwrap_err(),
            HandshakeError::PlainHttp
        );
        let mut answer = Vec::new();
        if handed_over {
            let mut taken = within(requests.recv()).await.unwrap();
            let mut read = vec![0; request.len()];
            taken.read_exact(&mut read).await.unwrap();
            assert_eq!(read, request);
            assert!(taken.remote_addr().ip().is_loopback());
            taken.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            taken.shutdown().await.unwrap();
            drop(taken);
            within(client.read_to_end(&mut answer)).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200"));
        } else {
            within(client.read_to_end(&mut answer)).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 404"));
        }
        assert_eq!(server.listener.stats().failed, 0, "a request is no failure");
    }
}

#[tokio::test]
async fn ses_1_2_a_server_with_another_key_is_refused_on_both_ways() {
    for via in VIAS {
        let server = Server::start();
        let mut wanted = server.identity.clone();
        wanted.key = *key(9).public();
        let error = within(dialler(1).connect(&wanted, &server.only(via)))
            .await
            .unwrap_err();
        assert_eq!(
            error.code(),
            Some(Code::ServerKeyMismatch),
            "{via}: {error}"
        );
        let ConnectError::Unreachable { attempts } = error else {
            panic!("{error}")
        };
        let expected = AttemptError::ServerKey {
            got: Box::new(server.identity.key),
            expected: [wanted.key].into(),
        };
        assert_eq!(attempts[0].error, expected);
    }
}

/// A server that takes too long to ask its directory is as late as a silent dialler.
#[tokio::test]
async fn ses_4_1_a_dialler_that_is_kept_waiting_is_told_that_time_is_up() {
    let limits = ListenerLimits {
        handshake_time: Duration::from_millis(300),
        ..ListenerLimits::default()
    };
    let listener = listener_of(SERVER_SEED, limits, None);
    let endpoints = Endpoints {
        quic: listener.quic_addr().into_iter().collect(),
        websocket: vec![],
    };
    let (identity, dialler) = (server_identity(), dialler(1));
    let serving = async {
        let pending = listener.accept().await.unwrap();
        pending
            .authenticate(|_| std::future::pending())
            .await
            .map(drop)
    };
    let (served, dialled) = tokio::join!(serving, dialler.connect(&identity, &endpoints));
    assert_eq!(served.unwrap_err().code(), Some(Code::HandshakeTimeout));
    assert_eq!(dialled.unwrap_err().code(), Some(Code::HandshakeTimeout));
}

#[tokio::test]
async fn a_listener_that_stops_lets_nobody_new_in_and_keeps_who_is() {
    for via in VIAS {
        let mut server = Server::start();
        let dialled = server.dial(&dialler(1), via).await;
        let accepted = server.session().await;
        server.listener.stop_accepting();
        for _ in 0..2 {
            assert!(within(server.listener.accept()).await.is_none(), "for good");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        if via == Via::Quic {
            let error = turned_away(&server, 3, via).await;
            assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
        }
        let mut call = dialled.open_call().await.unwrap();
        call.send.send(vec![1]).await.unwrap();
        let mut served = within(accepted.accept_call()).await.unwrap();
        assert!(within(served.recv.next()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn ses_6_3_a_text_or_an_overlong_message_closes_the_connection() {
    let overlong = vec![0; limits::FRAME_MAX + 13];
    for (message, reason) in [
        (Message::text("hello"), "a text message"),
        (Message::Binary(overlong.into()), "too long"),
    ] {
        let mut server = Server::start();
        let mut socket = stranger::websocket(server.listener.websocket_addr().unwrap()).await;
        // The server may close while we send.
        let _ = socket.send(message).await;
        let refused = server.outcome().await.unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}

#[tokio::test]
async fn a_server_without_endpoints_is_not_dialled() {
    let error = dialler(1)
        .connect(&server_identity(), &Endpoints::default())
        .await
        .unwrap_err();
    assert_eq!(error, ConnectError::NoEndpoint);
}

#[test]
fn r15_the_caps_are_the_registry_s_unless_told_otherwise() {
    let caps = ListenerLimits::default();
    assert_eq!(caps.connections, limits::CONNECTIONS_MAX);
    assert_eq!(
        caps.connections_per_address,
        limits::CONNECTIONS_PER_ADDRESS_MAX
    );
    assert_eq!(caps.connections_per_key, limits::CONNECTIONS_PER_KEY_MAX);
    assert_eq!(caps.handshakes, limits::HANDSHAKES_MAX);
    assert_eq!(
        caps.handshakes_per_address,
        limits::HANDSHAKES_PER_ADDRESS_MAX
    );
    assert_eq!(
        caps.devices_per_address,
        limits::CONNECTIONS_DEVICE_PER_ADDRESS_MAX
    );
    assert_eq!(caps.retry_from, limits::RETRY_HANDSHAKES_MIN);
}
