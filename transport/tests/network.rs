//! Bad networks, between real sockets.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use pli_protocol::limits;
use pli_transport::{
    AcceptedConnection, CallStream, DialledConnection, Dialler, DiallerConfig, Endpoints, Via,
};
use support::relay::{Relay, Weather};
use support::*;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// A session over QUIC through a relay.
async fn through(weather: Weather) -> (DialledConnection, AcceptedConnection, Relay, Server) {
    let mut server = Server::start();
    let relay = Relay::to(server.listener.quic_addr().unwrap(), weather).await;
    let endpoints = Endpoints {
        quic: vec![relay.address],
        websocket: vec![],
    };
    let dialled = within(dialler(1).connect(&server.identity, &endpoints))
        .await
        .unwrap();
    let accepted = server.session().await;
    (dialled, accepted, relay, server)
}

/// Sends frames that tell their number and length, and checks that each arrives once, in order.
async fn transfer(dialled: &DialledConnection, accepted: &AcceptedConnection, frames: u32) {
    let accepted = accepted.clone();
    let receiver = tokio::spawn(async move {
        let mut call = accepted.accept_call().await.unwrap();
        let mut expected = 0;
        while let Some(frame) = call.recv.next().await.unwrap() {
            assert_eq!(
                frame[..4],
                u32::to_be_bytes(expected),
                "each once, in order"
            );
            expected += 1;
        }
        call.send
            .send(expected.to_be_bytes().to_vec())
            .await
            .unwrap();
        call.send.finish().await.unwrap();
    });
    let CallStream { mut recv, mut send } = dialled.open_call().await.unwrap();
    for number in 0..frames {
        let mut body = vec![7; 4_000];
        body[..4].copy_from_slice(&number.to_be_bytes());
        send.send(body).await.unwrap();
    }
    send.finish().await.unwrap();
    let counted = within(recv.next()).await.unwrap();
    assert_eq!(counted, Some(Bytes::copy_from_slice(&frames.to_be_bytes())));
    receiver.await.unwrap();
}

#[tokio::test]
async fn case_46_loss_reordering_and_duplication_change_nothing() {
    let weather = Weather {
        loss: 10,
        duplication: 10,
        delay: 20,
        ..Weather::default()
    };
    let (dialled, accepted, relay, _server) = through(weather).await;
    transfer(&dialled, &accepted, 50).await;
    relay.set(Weather {
        loss: 30,
        ..weather
    });
    transfer(&dialled, &accepted, 20).await;
}

#[tokio::test]
async fn case_47_a_path_that_works_in_one_direction_only_heals() {
    let (dialled, accepted, relay, _server) = through(Weather::default()).await;
    for dead in [
        Weather {
            answers_lost: true,
            ..Weather::default()
        },
        Weather {
            requests_lost: true,
            ..Weather::default()
        },
    ] {
        relay.set(dead);
        let transferring = transfer(&dialled, &accepted, 50);
        tokio::pin!(transferring);
        let early = tokio::time::timeout(Duration::from_millis(500), &mut transferring).await;
        assert!(early.is_err(), "{dead:?}: nothing can have been confirmed");
        relay.set(Weather::default());
        transferring.await;
    }
}

#[tokio::test]
async fn case_48_an_mtu_black_hole_is_crossed_with_packets_of_1200_bytes() {
    let (dialled, accepted, relay, _server) = through(Weather::default()).await;
    // Until both sides have found out that longer packets pass.
    within(async {
        while relay.longest_seen() < 1_400 {
            transfer(&dialled, &accepted, 50).await;
        }
    })
    .await;
    // The path changes: what was fine is lost now, and nobody says so.
    relay.set(Weather {
        longest: Some(1_200),
        ..Weather::default()
    });
    transfer(&dialled, &accepted, 250).await;
    relay.forget_longest();
    transfer(&dialled, &accepted, 50).await;
    assert!(
        relay.longest_seen() <= 1_200,
        "{} bytes",
        relay.longest_seen()
    );
}

/// What answers nothing looks the same as what is blocked.
async fn blocked_udp() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(ANY_PORT).await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A dialler that never gives a way up by itself.
fn dogged() -> Dialler {
    let config = DiallerConfig {
        handshake_time: Duration::from_secs(600),
        ..Default::default()
    };
    Dialler::with_config(dialler(1).credential().clone(), config)
}

/// SES-1.7: what answers nothing is not waited for.
#[tokio::test]
async fn case_49_where_udp_is_blocked_the_dialler_takes_the_websocket_by_itself() {
    let mut server = Server::start();
    let (_socket, blocked) = blocked_udp().await;
    let endpoints = Endpoints {
        quic: vec![blocked],
        ..server.endpoints.clone()
    };
    let started = Instant::now();
    let dialled = within(dogged().connect(&server.identity, &endpoints))
        .await
        .unwrap();
    assert_eq!(dialled.via(), Via::WebSocket);
    assert!(
        started.elapsed() >= Duration::from_millis(limits::FALLBACK_AFTER_MS),
        "QUIC has a head start"
    );
    let accepted = server.session().await;
    transfer(&dialled, &accepted, 50).await;
}

/// SES-1.7: the way that lost the race does not become a second session when its path heals.
#[tokio::test]
async fn case_49_the_way_that_lost_stays_closed() {
    let mut server = Server::start();
    let mute = Weather {
        answers_lost: true,
        ..Weather::default()
    };
    let relay = Relay::to(server.listener.quic_addr().unwrap(), mute).await;
    let endpoints = Endpoints {
        quic: vec![relay.address],
        ..server.endpoints.clone()
    };
    let dialled = within(dogged().connect(&server.identity, &endpoints))
        .await
        .unwrap();
    assert_eq!(dialled.via(), Via::WebSocket);
    let accepted = server.session().await;
    relay.set(Weather::default());
    let loser = server.outcome().await;
    assert!(loser.is_err(), "a second session");
    assert_eq!(server.listener.stats().open, 1);
    transfer(&dialled, &accepted, 50).await;
}

#[tokio::test]
async fn case_49_where_quic_fails_the_websocket_follows_at_once() {
    let mut server = Server::start();
    // Somebody else answers at the QUIC address: its key is not the pinned one.
    let middleman = Server::with_key(9);
    let endpoints = Endpoints {
        quic: middleman.endpoints.quic.clone(),
        websocket: server.endpoints.websocket.clone(),
    };
    let patient = DiallerConfig {
        fallback_after: Duration::from_secs(600),
        ..Default::default()
    };
    let dialler = Dialler::with_config(dialler(1).credential().clone(), patient);
    let dialled = within(dialler.connect(&server.identity, &endpoints))
        .await
        .unwrap();
    assert_eq!(dialled.via(), Via::WebSocket);
    server.session().await;
}

#[tokio::test]
async fn case_49_where_udp_works_quic_wins_and_the_second_address_is_tried() {
    let mut server = Server::start();
    let dialled = within(dialler(1).connect(&server.identity, &server.endpoints))
        .await
        .unwrap();
    assert_eq!(dialled.via(), Via::Quic);
    server.session().await;
    let (_socket, blocked) = blocked_udp().await;
    let quic = vec![blocked, server.listener.quic_addr().unwrap()];
    let endpoints = Endpoints {
        quic,
        websocket: vec![],
    };
    let dialled = within(dialler(3).connect(&server.identity, &endpoints))
        .await
        .unwrap();
    assert_eq!(dialled.via(), Via::Quic);
    server.session().await;
    // The loser is closed: nobody else came.
    assert!(server.sessions.try_recv().is_err());
}

#[tokio::test]
async fn case_50_a_session_survives_a_change_of_address() {
    let mut server = Server::start();
    let dialler = dialler(1);
    let dialled = server.dial(&dialler, Via::Quic).await;
    let accepted = server.session().await;
    transfer(&dialled, &accepted, 50).await;
    let before = accepted.remote_addr();
    dialler.rebind().unwrap();
    transfer(&dialled, &accepted, 50).await;
    assert_ne!(
        accepted.remote_addr(),
        before,
        "the server sees the new address"
    );
    assert!(server.sessions.try_recv().is_err(), "and no new session");
}

#[tokio::test]
async fn case_50_a_call_in_progress_survives_it_too() {
    let mut server = Server::start();
    let dialler = dialler(1);
    let dialled = server.dial(&dialler, Via::Quic).await;
    let accepted = server.session().await;
    let mut call = dialled.open_call().await.unwrap();
    call.send.send(vec![1]).await.unwrap();
    let mut served = within(accepted.accept_call()).await.unwrap();
    within(served.recv.next()).await.unwrap();
    for number in 2..6 {
        dialler.rebind().unwrap();
        call.send.send(vec![number]).await.unwrap();
        let frame = within(served.recv.next()).await.unwrap();
        assert_eq!(frame, Some(vec![number].into()));
        served.send.send(vec![number]).await.unwrap();
        assert_eq!(
            within(call.recv.next()).await.unwrap(),
            Some(vec![number].into())
        );
    }
}
