//! A server that dies without a word and comes back at the same address (case 36, seen from the other side).
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use pli_transport::{
    DialledConnection, Endpoints, Identity, Listener, ListenerConfig, ListenerLimits,
};
use support::*;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// Serves in a runtime of its own, with which it dies: nobody is told. Waits for the address to be free, because
/// `shutdown_background` does not wait for the server that had it.
fn serve(seed: u8, quic: SocketAddr) -> (Runtime, SocketAddr) {
    let began = Instant::now();
    while std::net::UdpSocket::bind(quic).is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{quic} stays taken"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let guard = runtime.enter();
    let listener = Listener::bind(ListenerConfig {
        identity: Identity::new(key(seed)).unwrap(),
        authority: server_identity().authority,
        quic: Some(quic),
        websocket: None,
        http: None,
        limits: ListenerLimits::default(),
    })
    .unwrap();
    let address = listener.quic_addr().unwrap();
    runtime.spawn(async move {
        let mut sessions = Vec::new();
        while let Some(pending) = listener.accept().await {
            sessions.push(pending.authenticate(|_| async { Ok(welcome()) }).await);
        }
    });
    drop(guard);
    (runtime, address)
}

async fn connected(address: SocketAddr) -> DialledConnection {
    let endpoints = Endpoints {
        quic: vec![address],
        websocket: vec![],
    };
    within(dialler(1).connect(&server_identity(), &endpoints))
        .await
        .unwrap()
}

/// Until the dialler knows that its connection is gone; it keeps trying to say something.
async fn notices(connection: &DialledConnection, within: Duration) -> bool {
    let mut call = connection.open_call().await.unwrap();
    let began = Instant::now();
    while began.elapsed() < within {
        let said = call.send.send(vec![7; 100]).await;
        let gone = tokio::time::timeout(Duration::from_millis(100), connection.closed()).await;
        if said.is_err() || gone.is_ok() {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn case_36_a_dialler_notices_soon_that_a_killed_server_is_back() {
    let (server, address) = serve(SERVER_SEED, ANY_PORT);
    let connection = connected(address).await;
    server.shutdown_background();
    let (again, _) = serve(SERVER_SEED, address);
    assert!(
        notices(&connection, Duration::from_secs(30)).await,
        "not before the idle timeout of a minute"
    );
    drop(connected(address).await);
    again.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_36_nobody_without_the_key_of_a_server_ends_its_connections() {
    let (server, address) = serve(SERVER_SEED, ANY_PORT);
    let connection = connected(address).await;
    server.shutdown_background();
    let (stranger, _) = serve(SERVER_SEED + 1, address);
    assert!(
        !notices(&connection, Duration::from_secs(3)).await,
        "a stranger's reset was believed"
    );
    stranger.shutdown_background();
}
