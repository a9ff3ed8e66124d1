//! Gossip between nodes in this process, over real sockets, and peers that break its rules.

mod fixture;
mod rogue;

use std::time::{Duration, Instant};

use bytes::Bytes;
use fixture::{Node, PATIENCE, QUIET, at, listed};
use libp2p::futures::{StreamExt, stream};
use libp2p::identify;
use libp2p::swarm::SwarmEvent;
use pli_protocol::limits::{
    GOSSIP_BYTES_BURST, GOSSIP_CONNECTIONS_MAX, GOSSIP_JUDGING_MAX, GOSSIP_MESSAGE_MAX,
    GOSSIP_MESSAGES_BURST, NOTE_MAX,
};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::Topic;
use rogue::{Rogue, UnrulyEvent};

/// Numbers of the authorities: A, B and C are nodes, R does as it pleases.
const A: u16 = 1;
const B: u16 = 2;
const C: u16 = 3;
const D: u16 = 4;
const R: u16 = 9;

/// A chain: A and C say nowhere that they can be dialled, so that each has B alone.
async fn chain() -> [Node; 3] {
    let b = Node::listen(B).await;
    let lines = [listed(A), at(B, b.address), listed(C), listed(D), listed(R)];
    let mut all = [Node::listen(A).await, b, Node::listen(C).await];
    for node in &mut all {
        node.run(&lines);
    }
    let [a, b, c] = &all;
    b.connected(A).await;
    b.connected(C).await;
    a.connected(B).await;
    c.connected(B).await;
    all
}

/// One node, and a peer that is listed and connected.
async fn with_rogue() -> (Node, Rogue) {
    let node = Node::start(B, &[listed(A), listed(R)]).await;
    let mut rogue = Rogue::new(R, Vec::new());
    rogue.join(B, node.address).await;
    node.connected(R).await;
    (node, rogue)
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_2_2_what_is_too_long_for_its_topic_is_never_judged() {
    let (mut node, mut rogue) = with_rogue().await;
    let fits = [&b"t"[..], &vec![b'x'; NOTE_MAX - 1]].concat();
    rogue.say(Topic::Checkpoints.name(), fits.clone());
    let heard = tokio::select! {
        () = rogue.live() => unreachable!("it lives for ever"),
        heard = node.hears() => heard,
    };
    assert_eq!(heard.payload, fits);
    rogue.say(Topic::Checkpoints.name(), [&fits[..], b"x"].concat());
    rogue.say(Topic::Trust.name(), vec![b't'; GOSSIP_MESSAGE_MAX + 1]);
    rogue.say(Topic::Alerts.name(), vec![b't'; 512 << 10]);
    tokio::select! {
        () = rogue.live() => {}
        () = node.hears_nothing() => {}
    }
}

/// GOS-4.2, case 32: fewer messages than it may say, and longer ones.
#[tokio::test(flavor = "multi_thread")]
async fn case_32_a_flood_of_few_long_messages_is_cut_off_by_its_bytes() {
    let (mut node, mut rogue) = with_rogue().await;
    let long = vec![b'x'; GOSSIP_MESSAGE_MAX - 64];
    let many = GOSSIP_BYTES_BURST / long.len() as u64 * 3 / 2;
    assert!(many < GOSSIP_MESSAGES_BURST);
    for n in 0..many {
        let payload = [format!("noise {n:9}").as_bytes(), &long].concat();
        rogue.say(Topic::Trust.name(), payload);
    }
    rogue.closed().await;
    assert_eq!(node.cut_off(R).await, "it sent more than it may");
    assert!(node.heard_meanwhile() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_3_2_no_more_are_judged_at_a_time_than_the_bound() {
    let (mut node, mut rogue) = with_rogue().await;
    for n in 0..GOSSIP_JUDGING_MAX + 20 {
        rogue.say(Topic::Trust.name(), format!("slow {n}"));
    }
    tokio::select! {
        () = rogue.live() => {}
        () = tokio::time::sleep(QUIET * 2) => {}
    }
    assert_eq!(node.heard_meanwhile(), GOSSIP_JUDGING_MAX);
    node.connected(R).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_5_2_a_peer_whose_last_words_are_false_is_cut_off_at_once() {
    let mut node = Node::start(B, &[listed(R)]).await;
    let last = vec![(Topic::Alerts, Bytes::from_static(b"false"))];
    let mut rogue = Rogue::new(R, last);
    rogue.dial(B, node.address);
    rogue.closed().await;
    assert_eq!(node.cut_off(R).await, "its last words are false");
    assert_eq!(node.hears().await.payload, "false");
}

/// GOS-1.6: the connection of the one that is gone is still open, as after a SIGKILL, and nobody answers on it.
#[tokio::test(flavor = "multi_thread")]
async fn gos_1_6_a_peer_that_was_killed_is_let_in_at_once_and_says_and_hears_what_there_is() {
    let [mut a, b, mut c] = chain().await;
    let mut gone = Rogue::new(R, Vec::new());
    gone.join(B, b.address).await;
    b.connected(R).await;
    let mut again = Node::listen(R).await;
    again.run(&[listed(A), at(B, b.address), listed(C), listed(R)]);
    let began = Instant::now();
    again.connected(B).await;
    // Each way there is one message that was not said before it came.
    again.say_until(Topic::Trust, &mut c).await;
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    let _ = a.hears().await;
    a.say_until(Topic::Trust, &mut again).await;
    drop(gone);
}

/// Case 35: a peer claims by identify that it listens somewhere else; whoever dials that is counted by the one there.
#[tokio::test(flavor = "multi_thread")]
async fn case_35_an_address_that_a_peer_tells_is_not_dialled() {
    let victim = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let there = victim.local_addr().expect("bound");
    let node = Node::start(B, &[listed(A), listed(R)]).await;
    let mut rogue = Rogue::new(R, Vec::new());
    rogue.claim(there);
    rogue.dial(B, node.address);
    rogue
        .until("it is told", |event| {
            matches!(
                event,
                SwarmEvent::Behaviour(UnrulyEvent::Identify(identify::Event::Sent { .. }))
            )
        })
        .await;
    node.connected(R).await;
    drop(rogue);
    node.sees(R, |peer| peer.is_some_and(|peer| !peer.connected))
        .await;
    let mut datagram = [0; 2_048];
    let dialled = timeout(QUIET * 2, victim.recv_from(&mut datagram)).await;
    assert!(
        dialled.is_err(),
        "GOS-1.4: it was dialled where it said itself"
    );
    // The directory says the same, and now it is dialled.
    node.publish_directory(2, &[at(B, node.address), at(R, there)]);
    let dialled = timeout(PATIENCE, victim.recv_from(&mut datagram)).await;
    dialled.expect("it is dialled").expect("received");
}

/// GOS-1.3, R15: one more than the bound is not let in; the others stay.
#[tokio::test(flavor = "multi_thread")]
async fn gos_1_3_there_are_no_more_connections_than_the_bound() {
    let max = GOSSIP_CONNECTIONS_MAX as u16;
    let lines: Vec<_> = (100..100 + max + 1).map(listed).collect();
    let node = Node::start(B, &lines).await;
    let others = (100..100 + max).map(|n| {
        let address = node.address;
        async move {
            let mut rogue = Rogue::new(n, Vec::new());
            rogue.join(B, address).await;
            rogue
        }
    });
    // Fewer at a time than may be without having shown a key.
    let mut others: Vec<Rogue> = stream::iter(others).buffer_unordered(16).collect().await;
    assert_eq!(others.len(), usize::from(max));
    let mut more = Rogue::new(100 + max, Vec::new());
    more.dial(B, node.address);
    more.closed().await;
    let connected = || {
        let status = node.gossip.status();
        status.peers.iter().filter(|peer| peer.connected).count()
    };
    let began = Instant::now();
    while connected() != usize::from(max) {
        assert!(began.elapsed() < PATIENCE, "{}", connected());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // One goes, and there is room.
    let gone = others.pop().map(|rogue| rogue.n).expect("many");
    node.sees(gone, |peer| peer.is_some_and(|peer| !peer.connected))
        .await;
    let mut more = Rogue::new(100 + max, Vec::new());
    more.join(B, node.address).await;
}
