//! More connections than a node can have: the cap holds, nothing stays behind, and the node serves on.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::session::{Principal, ServerIdentity};
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use pli_transport::{ConnectError, Credential, Dialler, Endpoints};
use support::{HOME, PATIENCE, two_hosts};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn case_52_connections_are_capped_per_address_and_the_place_is_free_again_afterwards() {
    const CAP: usize = 20;
    let plan =
        Federation::builder()
            .two_hosts()
            .set("caps", "connections_per_address", &CAP.to_string());
    let federation = plan.start().await.expect("two nodes");
    let addresses = federation.node(HOME).addresses();
    let service = federation
        .service("aides@social.gouv.fr")
        .await
        .expect("open");
    let directory = service.directory().current();
    let home = HOME.parse().expect("an authority");
    let key = *directory
        .node_keys(&home, clock::now())
        .expect("listed")
        .next()
        .expect("a key");
    let server = ServerIdentity {
        authority: home,
        key,
    };
    let endpoints = Endpoints {
        quic: vec![addresses.quic],
        websocket: Vec::new(),
    };
    let dial = |number: u8| {
        let (server, endpoints) = (server.clone(), endpoints.clone());
        async move {
            // Each another device: it is the address that is counted.
            let key = Arc::new(SigningKey::from_seed(&seed(number)));
            let dialler = Dialler::new(Credential {
                principal: Principal::Device,
                key,
            });
            let connected = dialler.connect(&server, &endpoints).await;
            (dialler, connected)
        }
    };
    let mut held = Vec::new();
    let mut refused = 0;
    for number in 0..(CAP as u8 + 10) {
        match dial(number).await {
            (dialler, Ok(connection)) => held.push((dialler, connection)),
            (_, Err(error)) => {
                // Over QUIC before there is a connection that could carry a code: CONNECTION_REFUSED.
                assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!((held.len(), refused), (CAP, 10));
    for (_, connection) in held.drain(..) {
        connection.close(None, "");
    }
    let began = Instant::now();
    while dial(99).await.1.is_err() {
        assert!(began.elapsed() < PATIENCE, "no place became free");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_unauthenticated_connects_leave_memory_where_it_was() {
    const ROUND: usize = 5_000;
    let (federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let websocket = federation.node(HOME).addresses().websocket;
    // The first round warms every pool up; what counts is that the next ones add nothing.
    connect_and_go(websocket, 2 * ROUND).await;
    let baseline = settled_memory(&federation).await;
    connect_and_go(websocket, 2 * ROUND).await;
    // What strangers leave behind stays for ever; what is still being cleared away does not.
    let began = Instant::now();
    loop {
        let after = settled_memory(&federation).await;
        println!("{} KiB, then {} KiB", baseline / 1_024, after / 1_024);
        if after as f64 <= baseline as f64 * 1.05 {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{baseline} bytes grew to {after}"
        );
    }
    // And the node serves.
    let letters = support::letters(&service, &grant, 3).await;
    submit_all(&service, letters.clone())
        .await
        .expect("submitted");
    let came = support::fetch_until(&mut citizen, letters.len(), PATIENCE).await;
    support::each_once(letters.iter().map(|letter| letter.id), &came);
}

/// Connects and says nothing, `AT_ONCE` at a time.
async fn connect_and_go(address: SocketAddr, count: usize) {
    const AT_ONCE: usize = 100;
    for _ in 0..count / AT_ONCE {
        let mut open = Vec::with_capacity(AT_ONCE);
        for _ in 0..AT_ONCE {
            if let Ok(stream) = TcpStream::connect(address).await {
                open.push(stream);
            }
        }
    }
}

async fn settled_memory(federation: &Federation) -> u64 {
    let node = federation.node(HOME);
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let handshaking = node.count("pli_session_handshaking", "").await;
        if handshaking.expect("counted") == 0.0 {
            return node.resident_bytes().expect("it runs");
        }
        assert!(began.elapsed() < PATIENCE, "strangers stay");
    }
}

fn seed(number: u8) -> [u8; 32] {
    let mut seed = [0x5a; 32];
    seed[0] = number;
    seed[31] = !number;
    seed
}
