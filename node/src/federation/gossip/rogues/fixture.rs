//! Nodes that gossip in this process over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::{
    AuthorityRecord, Directory, DirectoryBuilder, DisplayName, Environment, NodeRecord, Quotas,
    Standing, TrustRole, ValidKey, Validity, Versions,
};
use pli_transport::PrivateNetworks;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::{Around, Gossip, Heard, Judge, Judging, Opened, Topic, Verdict};
use crate::alarm::Alarms;
use crate::api::status::GossipPeerStatus;
use crate::clock::{Clock, TestClock};
use crate::federation::fixture::{DAY_MS, NOON};
use crate::federation::{DirectoryWatch, Publisher, Refreshed};
use crate::metrics::Metrics;
use crate::shutdown::{Shutdown, ShutdownTrigger};

/// What should happen has happened by then, also on a slow machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What should not happen would have happened by then: the first gossip of a connection takes half a second.
pub(super) const QUIET: Duration = Duration::from_millis(1_500);

/// The authority that these tests give this number.
pub(super) fn authority(n: u16) -> AuthorityId {
    AuthorityId::new(&format!("ministry{n}.example")).expect("valid")
}

/// Its node's key.
pub(super) fn key(n: u16) -> SigningKey {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    SigningKey::from_seed(&seed)
}

/// A line of the directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) n: u16,
    pub(super) gossip: Option<SocketAddr>,
    pub(super) standing: Standing,
}

/// Listed, and dialled nowhere.
pub(super) fn listed(n: u16) -> Line {
    Line {
        n,
        gossip: None,
        standing: Standing::Active,
    }
}

/// Listed, and dialled there.
pub(super) fn at(n: u16, gossip: SocketAddr) -> Line {
    Line {
        gossip: Some(gossip),
        ..listed(n)
    }
}

/// A directory of these, one version after the other.
pub(super) fn directory(version: u64, lines: &[Line]) -> Arc<Directory> {
    let end = NOON.plus_ms(DAY_MS);
    let versions = Versions {
        root: 1,
        timestamp: version,
        snapshot: version,
        targets: version,
    };
    let ends = TrustRole::TOP.map(|role| (role, end));
    let mut builder = DirectoryBuilder::new(Environment::Development, versions, ends);
    for line in lines {
        let record = AuthorityRecord {
            authority: authority(line.n),
            name: DisplayName::new("Ministère", "Ministry").expect("valid"),
            standing: line.standing,
            may_host: true,
            may_lookup: false,
            alerts: Vec::new(),
            legal_bases: std::collections::BTreeSet::new(),
            quotas: Quotas::default(),
        };
        builder.authority(record).expect("once");
        builder.role(&authority(line.n), end);
        let validity = Validity {
            not_before: Timestamp::from_ms(0),
            not_after: None,
        };
        let gossip = line.gossip.map(|of| of.to_string().parse().expect("valid"));
        let node = NodeRecord {
            authority: authority(line.n),
            keys: vec![ValidKey {
                key: *key(line.n).public(),
                validity,
            }],
            quic: Vec::new(),
            websocket: Vec::new(),
            http: Vec::new(),
            gossip: gossip.into_iter().collect(),
            gateway_keys: Vec::new(),
            log_keys: Vec::new(),
        };
        builder.node(&authority(line.n), node).expect("once");
    }
    Arc::new(builder.build())
}

/// Judges by the first letter: `t` is true, `f` false, `s` takes for ever, and anything else is nothing to it.
#[derive(Debug)]
struct ByLetter(mpsc::UnboundedSender<Heard>);

impl Judge for ByLetter {
    fn judge(&self, heard: Heard) -> Judging {
        let letter = heard.payload.first().copied();
        // A test that has seen enough listens no more.
        let _ended = self.0.send(heard);
        Box::pin(async move {
            match letter {
                Some(b't') => Verdict::Accept(None),
                Some(b'f') => Verdict::Reject,
                Some(b's') => std::future::pending().await,
                _ => Verdict::Ignore,
            }
        })
    }
}

/// A node as far as it gossips.
pub(super) struct Node {
    pub(super) address: SocketAddr,
    pub(super) gossip: Gossip,
    heard: mpsc::UnboundedReceiver<Heard>,
    judge: Option<ByLetter>,
    opened: Option<Opened>,
    publisher: Option<Publisher>,
    trigger: ShutdownTrigger,
    shutdown: Shutdown,
}

impl Node {
    /// Listens; nobody is let in before it runs.
    pub(super) async fn listen(n: u16) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let opened = Opened::listen(&key(n), anywhere).await.expect("listens");
        let (trigger, shutdown) = Shutdown::new();
        let (sender, heard) = mpsc::unbounded_channel();
        Self {
            address: opened.address(),
            gossip: opened.gossip(),
            heard,
            judge: Some(ByLetter(sender)),
            opened: Some(opened),
            publisher: None,
            trigger,
            shutdown,
        }
    }

    /// Runs by a directory of these.
    pub(super) fn run(&mut self, lines: &[Line]) {
        self.run_within(lines, PrivateNetworks::All);
    }

    /// The same where these private networks alone are dialled.
    pub(super) fn run_within(&mut self, lines: &[Line], networks: PrivateNetworks) {
        let (publisher, watch): (Publisher, DirectoryWatch) =
            Publisher::new(directory(1, lines), Refreshed::default());
        self.publisher = Some(publisher);
        let metrics = Arc::new(Metrics::new());
        let around = Around {
            networks,
            directory: watch,
            clock: Arc::new(TestClock::at(NOON)) as Arc<dyn Clock>,
            alarms: Alarms::new(Arc::clone(&metrics)),
            metrics,
        };
        let opened = self.opened.take().expect("it runs once");
        let judge = Arc::new(self.judge.take().expect("it runs once"));
        tokio::spawn(opened.run(around, judge, self.shutdown.clone()));
    }

    /// Listens, and runs by a directory in which it is at its own address.
    pub(super) async fn start(n: u16, others: &[Line]) -> Self {
        let mut node = Self::listen(n).await;
        node.run(&[&[at(n, node.address)], others].concat());
        node
    }

    /// A newer directory is in force.
    pub(super) fn publish_directory(&self, version: u64, lines: &[Line]) {
        let publisher = self.publisher.as_ref().expect("it runs");
        publisher.publish(directory(version, lines), NOON);
    }

    /// Says something new twice a second until the other hears one of it: who listens to what is told after a connection
    /// stands.
    pub(super) async fn say_until(&self, topic: Topic, other: &mut Self) {
        let began = Instant::now();
        for n in 0.. {
            let payload = format!("true {topic:?} {n} at {}", self.address);
            self.gossip.publish(topic, None, payload.clone().into());
            let within = Duration::from_millis(500);
            while let Ok(Some(heard)) = timeout(within, other.heard.recv()).await {
                if heard.payload.ends_with(self.address.to_string().as_bytes()) {
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "it says, and nobody hears");
        }
    }

    /// The next thing that its judge is asked about.
    pub(super) async fn hears(&mut self) -> Heard {
        let heard = timeout(PATIENCE, self.heard.recv()).await;
        heard.expect("something is heard").expect("it runs")
    }

    /// Whether its judge was asked about nothing, and is asked about nothing for a while.
    pub(super) async fn hears_nothing(&mut self) {
        if let Ok(heard) = timeout(QUIET, self.heard.recv()).await {
            panic!("heard {heard:?}");
        }
    }

    /// How many things its judge was asked about meanwhile.
    pub(super) fn heard_meanwhile(&mut self) -> usize {
        std::iter::from_fn(|| self.heard.try_recv().ok()).count()
    }

    /// What an operator sees of a peer, once it is as wanted.
    pub(super) async fn sees(
        &self,
        n: u16,
        wanted: impl Fn(Option<&GossipPeerStatus>) -> bool,
    ) -> Option<GossipPeerStatus> {
        let began = Instant::now();
        loop {
            let status = self.gossip.status();
            let name = authority(n);
            let seen = status.peers.iter().find(|of| of.authority == name.as_str());
            if wanted(seen) {
                return seen.cloned();
            }
            assert!(began.elapsed() < PATIENCE, "{status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn connected(&self, n: u16) {
        self.sees(n, |peer| peer.is_some_and(|peer| peer.connected))
            .await;
    }

    pub(super) async fn cut_off(&self, n: u16) -> String {
        let cut = |peer: Option<&GossipPeerStatus>| {
            peer.is_some_and(|peer| peer.cut_off && !peer.connected)
        };
        let seen = self.sees(n, cut).await;
        seen.and_then(|peer| peer.because).expect("a reason")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.trigger.stop();
    }
}
