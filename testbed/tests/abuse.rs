//! Peers that misbehave: each is refused, cut or ignored, by its code, and nobody else notices.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pli_client::{clock, reach};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::Disposition;
use pli_protocol::session::{Principal, ServerIdentity};
use pli_protocol::{codec, wire};
use pli_testbed::Federation;
use pli_testbed::hostile::Hostile;
use pli_testbed::scene::{HOME, ORIGIN, Scene, notice};
use pli_testbed::sending::submit_all;
use pli_transport::{ConnectError, Credential, Dialler, Endpoints};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn case_26_a_letter_sent_a_thousand_times_is_one_letter_with_one_receipt() {
    let mut scene = Scene::set(Federation::builder().two_hosts())
        .await
        .expect("set");
    let letter = scene.plain_letters(1).await.expect("sealed").remove(0);
    let settled = submit_all(&scene.service, vec![letter.clone(); 1_000])
        .await
        .expect("all are answered");
    assert_eq!(settled[0].disposition, Disposition::Accepted);
    for again in &settled[1..] {
        assert!(
            matches!(again.disposition, Disposition::Duplicate { .. }),
            "{:?}",
            again.disposition
        );
    }
    // Sent in one go they are in one acknowledgement; each repetition later still proves the same acceptance.
    let receipt = |index: usize| {
        let (receipt, _) = pli_protocol::custody::Receipt::decode(settled[index].receipt.clone())
            .expect("readable");
        receipt
    };
    assert_eq!(receipt(0), receipt(999));
    let shown = scene
        .citizen
        .receive_at_least(1, PATIENCE)
        .await
        .expect("delivered");
    assert_eq!(shown.len(), 1);
    let more = scene.citizen.receive().await.expect("fetched");
    assert!(more.is_empty(), "{} more came", more.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_55_a_flood_of_bad_signatures_cuts_the_peer_and_verification_of_others_goes_on() {
    let mut scene = Scene::set(Federation::builder().two_hosts())
        .await
        .expect("set");
    let hostile = Hostile::new(&scene.service, scene.grant.clone(), notice(0));
    let origin = scene.service.origin(PATIENCE);
    let directory = scene.service.directory().current();
    let connection = reach::connect(&origin.dialler, &directory, &origin.authority, clock::now())
        .await
        .expect("let in");
    let mut call = connection.open_call().await.expect("opened");
    let submit = wire::Call {
        kind: Some(wire::call::Kind::Submit(wire::Submit {})),
    };
    call.send.send_message(&submit).await.expect("sent");
    let mut sent = 0;
    // Cut within the bound and a batch or two that were on their way.
    for seq in 1..=64 {
        let envelopes = (0..8)
            .map(|_| hostile.bad_signature().expect("made"))
            .collect();
        let frame = codec::encode(&wire::EnvelopeBatch { seq, envelopes });
        if call.send.send(frame).await.is_err() {
            break;
        }
        sent += 8;
        // Reads what comes, so that nothing but the flood itself can end it.
        while let Ok(Ok(Some(_))) =
            tokio::time::timeout(Duration::from_millis(5), call.recv.next()).await
        {}
    }
    let lost = tokio::time::timeout(Duration::from_secs(10), connection.closed())
        .await
        .expect("the peer is cut");
    assert_eq!(lost.code(), Some(Code::PeerCut), "{lost:?}");
    println!("cut after {sent} bad letters");

    let letters = scene.plain_letters(50).await.expect("sealed");
    let settled = submit_all(&scene.service, letters)
        .await
        .expect("a new session is let in");
    assert!(
        settled
            .iter()
            .all(|one| one.disposition == Disposition::Accepted)
    );
    let shown = scene
        .citizen
        .receive_at_least(50, PATIENCE)
        .await
        .expect("delivered");
    assert_eq!(shown.len(), 50);
    let refused = scene
        .federation
        .node(ORIGIN)
        .count("pli_verify_refused_total", "BAD_SIGNATURE")
        .await
        .expect("counted");
    assert!(refused >= 64.0, "{refused} were counted");
}

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
    for _ in 0..100 {
        if dial(99).await.1.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no place became free");
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_unauthenticated_connects_leave_memory_where_it_was() {
    const ROUND: usize = 5_000;
    let mut scene = Scene::set(Federation::builder().two_hosts())
        .await
        .expect("set");
    let websocket = scene.federation.node(HOME).addresses().websocket;
    // The first round warms every pool up; what counts is that the next ones add nothing.
    connect_and_go(websocket, 2 * ROUND).await;
    let baseline = settled_memory(&scene.federation).await;
    connect_and_go(websocket, 2 * ROUND).await;
    let after = settled_memory(&scene.federation).await;
    println!("{} KiB, then {} KiB", baseline / 1_024, after / 1_024);
    assert!(
        after as f64 <= baseline as f64 * 1.05,
        "{baseline} bytes grew to {after}"
    );
    // And the node serves.
    let letters = scene.plain_letters(1).await.expect("sealed");
    submit_all(&scene.service, letters)
        .await
        .expect("submitted");
    scene
        .citizen
        .receive_at_least(1, PATIENCE)
        .await
        .expect("delivered");
}

/// Connects and says nothing, `AT_ONCE` at a time.
async fn connect_and_go(address: SocketAddr, count: usize) {
    const AT_ONCE: usize = 100;
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert_eq!(address.ip(), local);
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
    tokio::time::sleep(Duration::from_secs(2)).await;
    federation.node(HOME).resident_bytes().expect("it runs")
}

fn seed(number: u8) -> [u8; 32] {
    let mut seed = [0x5a; 32];
    seed[0] = number;
    seed[31] = !number;
    seed
}
