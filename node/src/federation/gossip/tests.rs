//! Real sockets on loopback, real libp2p; only what is true is decided by the test.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::futures::StreamExt;
use libp2p::gossipsub;
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::DialOpts;
use parking_lot::Mutex;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::AuthorityId;
use pli_protocol::limits::{GOSSIP_MESSAGES_BURST, NOTE_MAX};
use pli_protocol::trust::{
    AuthorityRecord, Directory, DirectoryBuilder, DisplayName, Environment, NodeRecord, Quotas,
    Standing, TrustRole, ValidKey, Validity, Versions,
};
use pli_transport::PrivateNetworks;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::meter::Meters;
use super::swarm::{self, Behaviour, BehaviourEvent};
use super::*;
use crate::clock::TestClock;
use crate::federation::fixture::{DAY_MS, NOON};
use crate::federation::{Publisher, Refreshed};
use crate::shutdown::ShutdownTrigger;

const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

fn authority(n: u8) -> AuthorityId {
    AuthorityId::new(&format!("ministry{n}.example")).unwrap()
}

/// Each lists one node, where it is, and how it stands.
type Plan<'a> = &'a [(u8, Option<SocketAddr>, Standing)];

fn directory(version: u64, plan: Plan<'_>) -> Arc<Directory> {
    let versions = Versions {
        root: 1,
        timestamp: version,
        snapshot: version,
        targets: version,
    };
    let end = NOON.plus_ms(DAY_MS);
    let roles = TrustRole::TOP.map(|role| (role, end));
    let mut builder = DirectoryBuilder::new(Environment::Development, versions, roles);
    for (n, at, standing) in plan {
        let authority = authority(*n);
        let record = AuthorityRecord {
            authority: authority.clone(),
            name: DisplayName::new("Ministère", "Ministry").unwrap(),
            standing: *standing,
            may_host: true,
            may_lookup: false,
            alerts: Vec::new(),
            legal_bases: BTreeSet::new(),
            quotas: Quotas::default(),
        };
        builder.authority(record).unwrap();
        builder.role(&authority, end);
        let validity = Validity {
            not_before: NOON,
            not_after: None,
        };
        let node = NodeRecord {
            authority: authority.clone(),
            keys: vec![ValidKey {
                key: *key(*n).public(),
                validity,
            }],
            quic: Vec::new(),
            websocket: Vec::new(),
            http: Vec::new(),
            gossip: at
                .iter()
                .map(|at| at.to_string().parse().unwrap())
                .collect(),
            gateway_keys: Vec::new(),
            log_keys: Vec::new(),
        };
        builder.node(&authority, node).unwrap();
    }
    Arc::new(builder.build())
}

/// Payloads that begin with `true` are true, with `known` known; `slow` is judged never; all else is false.
#[derive(Clone, Debug, Default)]
struct Hears(Arc<Mutex<Vec<Heard>>>);

impl Judge for Hears {
    fn judge(&self, heard: Heard) -> Judging {
        self.0.lock().push(heard.clone());
        Box::pin(async move {
            match &heard.payload[..] {
                [b't', b'r', b'u', b'e', ..] => Verdict::Accept(None),
                [b'k', b'n', b'o', b'w', ..] => Verdict::Ignore,
                [b's', b'l', b'o', b'w', ..] => std::future::pending().await,
                _ => Verdict::Reject,
            }
        })
    }
}

struct Node {
    at: SocketAddr,
    gossip: Gossip,
    hears: Hears,
    publisher: Publisher,
    metrics: Arc<Metrics>,
    stop: ShutdownTrigger,
    task: JoinHandle<()>,
}

async fn bound(n: u8, at: SocketAddr) -> Opened {
    Opened::listen(&key(n), at).await.expect("listens")
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn run(opened: Opened, directory: Arc<Directory>) -> Node {
    let (publisher, watch) = Publisher::new(directory, Refreshed::default());
    let metrics = Arc::new(Metrics::new());
    let around = Around {
        networks: PrivateNetworks::Listed(["127.0.0.0/8".parse().unwrap()].into()),
        directory: watch,
        clock: Arc::new(TestClock::at(NOON)),
        metrics: Arc::clone(&metrics),
        alarms: Alarms::new(Arc::clone(&metrics)),
    };
    let hears = Hears::default();
    let (stop, shutdown) = crate::shutdown::Shutdown::new();
    let (at, gossip) = (opened.address(), opened.gossip());
    let task = tokio::spawn(opened.run(around, Arc::new(hears.clone()), shutdown));
    Node {
        at,
        gossip,
        hears,
        publisher,
        metrics,
        stop,
        task,
    }
}

impl Node {
    fn connected(&self, n: u8) -> bool {
        let name = authority(n).to_string();
        let peers = self.gossip.status().peers;
        peers
            .iter()
            .any(|peer| peer.authority == name && peer.connected)
    }

    fn heard(&self, payload: &str) -> usize {
        let heard = self.hears.0.lock();
        heard.iter().filter(|one| one.payload == payload).count()
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|one| one == line)
    }

    async fn stop(self) {
        self.stop.stop();
        self.task.await.unwrap();
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Nodes 1, 2, …, each of which publishes its address to all.
async fn all_connected(count: u8) -> Vec<Node> {
    let mut opened = Vec::new();
    for n in 1..=count {
        opened.push(bound(n, loopback()).await);
    }
    let at: Vec<_> = opened.iter().map(Opened::address).collect();
    let plan: Vec<_> = (1..=count)
        .map(|n| (n, Some(at[usize::from(n) - 1]), Standing::Active))
        .collect();
    let nodes: Vec<_> = opened
        .into_iter()
        .map(|opened| run(opened, directory(1, &plan)))
        .collect();
    for node in &nodes {
        let others = (1..=count).filter(|n| nodes[usize::from(*n) - 1].at != node.at);
        for n in others {
            until("all are connected", || node.connected(n)).await;
        }
    }
    // Subscriptions follow connections.
    tokio::time::sleep(Duration::from_millis(500)).await;
    nodes
}

/// A peer that does what it likes: a swarm by itself, with the key of a listed node or of nobody.
async fn wild(n: u8, to: &Node) -> Swarm {
    let mut swarm = swarm::build(&key(n), &Meters::default()).unwrap();
    let peer = peers::peer_id(key(1).public());
    swarm.behaviour_mut().allowed.allow_peer(peer);
    swarm.listen_on(peers::multiaddr(loopback())).unwrap();
    let options = DialOpts::peer_id(peer)
        .addresses(vec![peers::multiaddr(to.at)])
        .build();
    swarm.dial(options).unwrap();
    swarm
}

type Swarm = libp2p::Swarm<Behaviour>;

/// Lets the swarm work until this happens.
async fn drive(swarm: &mut Swarm, until: impl Fn(&SwarmEvent<BehaviourEvent>) -> bool) -> bool {
    let happening = async {
        loop {
            if until(&swarm.select_next_some().await) {
                return;
            }
        }
    };
    timeout(PATIENCE, happening).await.is_ok()
}

fn subscribed(event: &SwarmEvent<BehaviourEvent>) -> bool {
    matches!(
        event,
        SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Subscribed { topic, .. }))
            if swarm::topic_of(topic) == Some(Topic::Alerts)
    )
}

fn closed(event: &SwarmEvent<BehaviourEvent>) -> bool {
    matches!(event, SwarmEvent::ConnectionClosed { .. })
}

fn say(swarm: &mut Swarm, topic: Topic, payload: impl Into<Vec<u8>>) {
    let gossipsub = &mut swarm.behaviour_mut().gossipsub;
    let _told = gossipsub.publish(swarm::ident(topic), payload.into());
}

/// GOS-1.1, GOS-2.3, GOS-3.3: 1 and 3 know no address of each other; what 1 says reaches 3 by 2, which found it true.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_true_goes_on_and_what_is_not_does_not() {
    let (one, two, three) = (
        bound(1, loopback()).await,
        bound(2, loopback()).await,
        bound(3, loopback()).await,
    );
    let plan = [
        (1, None, Standing::Active),
        (2, Some(two.address()), Standing::Active),
        (3, None, Standing::Active),
    ];
    let nodes = [one, two, three].map(|opened| run(opened, directory(1, &plan)));
    let [one, two, three] = &nodes;
    until("connected", || {
        two.connected(1) && two.connected(3) && one.connected(2) && three.connected(2)
    })
    .await;
    assert!(!one.connected(3) && !three.connected(1));
    tokio::time::sleep(Duration::from_millis(500)).await;
    for payload in ["known", "a lie", "slow", "true"] {
        let payload = Bytes::from_static(payload.as_bytes());
        one.gossip.publish(Topic::Checkpoints, None, payload);
    }
    until("it arrives", || three.heard("true") == 1).await;
    assert_eq!(
        two.heard("known") + two.heard("a lie") + two.heard("slow"),
        3
    );
    for payload in ["known", "a lie", "slow"] {
        assert_eq!(three.heard(payload), 0, "{payload}");
    }
    // Said again, by another: it is known.
    three
        .gossip
        .publish(Topic::Checkpoints, None, Bytes::from_static(b"true"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(two.heard("true"), 1);
    assert!(two.counts("pli_gossip_heard_total{topic=\"checkpoints\",verdict=\"rejected\"} 1"));
    assert_eq!(two.hears.0.lock()[0].from, authority(1));
    for node in nodes {
        node.stop().await;
    }
}

/// GOS-1.1, GOS-1.2: nobody comes in but by a key that the directory lists now.
#[tokio::test(flavor = "multi_thread")]
async fn gos_1_2_strangers_and_suspended_are_refused_and_cut_live() {
    let opened = bound(1, loopback()).await;
    let at = Some(opened.address());
    let active = |n| (n, None, Standing::Active);
    let plan = [(1, at, Standing::Active), active(2)];
    let node = run(opened, directory(1, &plan));
    let mut stranger = wild(9, &node).await;
    assert!(drive(&mut stranger, closed).await, "a stranger is refused");
    let mut listed = wild(2, &node).await;
    assert!(
        drive(&mut listed, subscribed).await,
        "a listed one is let in"
    );
    until("it is shown", || node.connected(2)).await;
    assert!(!node.connected(9));
    let suspended = Standing::Suspended { since: NOON };
    let plan = [(1, at, Standing::Active), (2, None, suspended)];
    node.publisher.publish(directory(2, &plan), NOON);
    assert!(drive(&mut listed, closed).await, "it is cut");
    node.stop().await;
}

/// GOS-2.1, GOS-2.2, GOS-3.1, GOS-4.3, GOS-4.4: unknown topics and what is too long reach no judge; what is false costs the
/// place. Case 32.
#[tokio::test(flavor = "multi_thread")]
async fn case_32_whoever_passes_on_what_is_false_is_cut_off_and_others_are_heard() {
    let nodes = all_connected(2).await;
    let opened = nodes[0].at;
    let plan = [
        (1, Some(opened), Standing::Active),
        (2, Some(nodes[1].at), Standing::Active),
        (3, None, Standing::Active),
    ];
    for node in &nodes {
        node.publisher.publish(directory(2, &plan), NOON);
    }
    let mut liar = wild(3, &nodes[0]).await;
    assert!(drive(&mut liar, subscribed).await);
    let unknown = gossipsub::IdentTopic::new("pli/1/spam");
    let gossipsub = &mut liar.behaviour_mut().gossipsub;
    gossipsub.subscribe(&unknown).unwrap();
    let _nobody = gossipsub.publish(unknown, b"true".to_vec());
    say(&mut liar, Topic::Checkpoints, vec![b't'; NOTE_MAX + 1]);
    for n in 0..5 {
        say(&mut liar, Topic::Checkpoints, format!("lie {n}"));
    }
    assert!(drive(&mut liar, closed).await, "it is cut off");
    until("it is told", || {
        let peers = nodes[0].gossip.status().peers;
        peers.iter().any(|peer| peer.cut_off)
    })
    .await;
    assert_eq!(nodes[0].heard("true"), 0);
    assert!(
        nodes[0]
            .hears
            .0
            .lock()
            .iter()
            .all(|one| one.payload.len() <= NOTE_MAX)
    );
    assert_eq!(nodes[1].hears.0.lock().len(), 0, "nothing of it went on");
    let mut again = wild(3, &nodes[0]).await;
    assert!(drive(&mut again, closed).await, "it is not let in again");
    nodes[1]
        .gossip
        .publish(Topic::Alerts, None, Bytes::from_static(b"true alert"));
    until("the other is heard", || nodes[0].heard("true alert") == 1).await;
    for node in nodes {
        node.stop().await;
    }
}

/// GOS-4.1, GOS-4.2: true or not, more than anybody may say is the end of it; an honest peer gets through meanwhile. Case 32.
#[tokio::test(flavor = "multi_thread")]
async fn case_32_a_flood_is_cut_off_and_an_honest_peer_gets_through() {
    let nodes = all_connected(2).await;
    let plan = [
        (1, Some(nodes[0].at), Standing::Active),
        (2, Some(nodes[1].at), Standing::Active),
        (3, None, Standing::Active),
    ];
    nodes[0].publisher.publish(directory(2, &plan), NOON);
    let mut flood = wild(3, &nodes[0]).await;
    assert!(drive(&mut flood, subscribed).await);
    let flooding = tokio::spawn(async move {
        let began = Instant::now();
        let mut said = 0_u64;
        while began.elapsed() < PATIENCE {
            for _ in 0..64 {
                said += 1;
                say(&mut flood, Topic::Checkpoints, format!("true {said}"));
            }
            let gone = timeout(Duration::from_millis(10), drive(&mut flood, closed));
            if gone.await.is_ok() {
                return Some(said);
            }
        }
        None
    });
    nodes[1]
        .gossip
        .publish(Topic::Alerts, None, Bytes::from_static(b"true alert"));
    until("the honest one is heard", || {
        nodes[0].heard("true alert") == 1
    })
    .await;
    let said = flooding.await.unwrap().expect("the flood is cut off");
    assert!(said >= GOSSIP_MESSAGES_BURST, "{said} are not too many");
    assert!(nodes[0].connected(2));
    for node in nodes {
        node.stop().await;
    }
}

/// GOS-3.6, GOS-5.1, GOS-5.2: whoever comes later hears the last word of each kind, and what is false in it ends it.
#[tokio::test(flavor = "multi_thread")]
async fn gos_5_1_a_node_that_comes_later_catches_up_from_one_peer() {
    let (one, two) = (bound(1, loopback()).await, bound(2, loopback()).await);
    let plan = [
        (1, Some(one.address()), Standing::Active),
        (2, None, Standing::Active),
        (3, None, Standing::Active),
    ];
    let directory = directory(1, &plan);
    let one = run(one, Arc::clone(&directory));
    let about = |n| Some(authority(n));
    let say = |topic, about, payload: &'static str| {
        let payload = Bytes::from_static(payload.as_bytes());
        one.gossip.publish(topic, about, payload);
    };
    say(Topic::Checkpoints, about(1), "true but old");
    say(Topic::Checkpoints, about(1), "true of one");
    say(Topic::Checkpoints, about(2), "true of two");
    say(Topic::Trust, None, "true directory");
    let two = run(two, Arc::clone(&directory));
    for payload in ["true of one", "true of two", "true directory"] {
        until(payload, || two.heard(payload) >= 1).await;
    }
    assert_eq!(two.heard("true but old"), 0);
    // Killed without a word, and here again at once with the same key.
    two.task.abort();
    let _aborted = two.task.await;
    let again = run(bound(2, loopback()).await, Arc::clone(&directory));
    let began = Instant::now();
    until("it is let in", || again.connected(1)).await;
    until("it hears", || again.heard("true of one") >= 1).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // A word that nobody may have kept.
    say(Topic::Alerts, about(1), "a lie");
    let third = run(bound(3, loopback()).await, directory);
    until("it is cut off", || {
        let peers = third.gossip.status().peers;
        peers.iter().any(|peer| peer.cut_off)
    })
    .await;
    assert!(!third.connected(1));
    for node in [one, again, third] {
        node.stop().await;
    }
}

/// GOS-1.3, GOS-1.4: what a peer says of where it, or others, are is not dialled. Case 35.
#[tokio::test(flavor = "multi_thread")]
async fn case_35_only_addresses_of_the_directory_are_dialled() {
    let opened = bound(1, loopback()).await;
    // Node 3 is listed, nowhere; the poison says that it is at this trap.
    let trap = std::net::UdpSocket::bind(loopback()).unwrap();
    trap.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let plan = [
        (1, Some(opened.address()), Standing::Active),
        (2, None, Standing::Active),
        (3, None, Standing::Active),
    ];
    let node = run(opened, directory(1, &plan));
    let mut poison = wild(2, &node).await;
    // identify tells of external addresses, also of those that are not its own.
    poison.add_external_address(peers::multiaddr(trap.local_addr().unwrap()));
    assert!(drive(&mut poison, subscribed).await);
    let driven = tokio::spawn(async move {
        let _never = timeout(Duration::from_secs(4), drive(&mut poison, |_| false)).await;
    });
    let silent = tokio::task::spawn_blocking(move || trap.recv(&mut [0; 2_048]).is_err());
    assert!(silent.await.unwrap(), "the trap was called");
    driven.await.unwrap();
    // A private address that the operator has not listed is not dialled either, and the status says so.
    let elsewhere: SocketAddr = ([10, 1, 2, 3], 7_403).into();
    let plan = [
        (1, Some(node.at), Standing::Active),
        (3, Some(elsewhere), Standing::Active),
    ];
    node.publisher.publish(directory(2, &plan), NOON);
    until("it says why", || {
        let peers = node.gossip.status().peers;
        peers.iter().any(|peer| {
            let because = peer.because.as_deref().unwrap_or_default();
            because.contains("10.1.2.3:7403")
        })
    })
    .await;
    node.stop().await;
}

/// GOS-3.2: judges that never answer use up their places and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn gos_3_2_what_nobody_judges_goes_no_further_and_holds_up_nothing() {
    let nodes = all_connected(2).await;
    for n in 0..pli_protocol::limits::GOSSIP_JUDGING_MAX - 1 {
        let payload = Bytes::from(format!("slow {n}"));
        nodes[1].gossip.publish(Topic::Checkpoints, None, payload);
        // The channel to the loop is bounded too.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    nodes[1]
        .gossip
        .publish(Topic::Alerts, None, Bytes::from_static(b"true"));
    until("it is heard", || nodes[0].heard("true") == 1).await;
    for node in nodes {
        node.stop().await;
    }
}
