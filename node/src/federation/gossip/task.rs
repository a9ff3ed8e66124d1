//! The loop: one task that owns the swarm. Everything slow (names, judges) is done beside it and comes back.

mod hearing;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::futures::StreamExt;
use libp2p::gossipsub::{self, MessageId};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::AuthorityId;
use pli_protocol::trust::Directory;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::budget::Bucket;
use super::last::Last;
use super::links::Links;
use super::meter::Meters;
use super::pairs::Pairs;
use super::peers::{self, Listed};
use super::swarm::{self, Behaviour, BehaviourEvent, GRAYLIST};
use super::{Announcement, Around, Gossip, Judge, Topic, Verdict};
use crate::api::status::{GossipPeerStatus, GossipStatus};
use crate::metrics::AlarmKind;
use crate::shutdown::Shutdown;

/// Between two looks at who is to be dialled, cut off or let in again.
const TICK: Duration = Duration::from_millis(250);
/// Names that are resolved, and dials that begin, at a time.
const DIALS_AT_ONCE: usize = 16;
/// Keys begin and end with time alone: so often the directory is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A peer that has just come is asked once more after it.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// One peer is asked again so often, whatever happens.
const ASKED_EVERY: Duration = Duration::from_secs(60);
/// A node that nobody is connected to for so long tells its operator.
const ALONE_AFTER: Duration = Duration::from_secs(60);

/// A message that was judged: by which name gossipsub knows it, if it came by gossipsub.
type Judged = (Option<MessageId>, PeerId, Topic, Bytes, Verdict);
type Resolved = (PeerId, Result<Vec<Multiaddr>, String>);

/// Owns the swarm.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    meters: Meters,
    own: PublicKey,
    gossip: Gossip,
    around: Around,
    judge: Arc<dyn Judge>,
    /// Who may be connected. Everything below is about these alone.
    listed: HashMap<PeerId, Listed>,
    links: Links<PeerId>,
    pairs: Pairs<PeerId, ConnectionId>,
    /// What each may still bring in: by topic, and last the questions.
    spent: HashMap<PeerId, Vec<Bucket>>,
    last: Last,
    /// When each connected peer was asked for its last words, and whether that was as it came.
    asked: HashMap<PeerId, (Instant, bool)>,
    /// Last words of others that wait for their judge. Bounded by `GOSSIP_LAST_MAX`.
    waiting: VecDeque<(PeerId, Topic, Bytes)>,
    judging: JoinSet<Judged>,
    resolving: JoinSet<Resolved>,
    alone_since: Instant,
}

impl Task {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        meters: Meters,
        own: PublicKey,
        gossip: Gossip,
        around: Around,
        judge: Arc<dyn Judge>,
    ) -> Self {
        Self {
            links: Links::new(*swarm.local_peer_id()),
            swarm,
            meters,
            own,
            gossip,
            around,
            judge,
            listed: HashMap::new(),
            pairs: Pairs::new(),
            spent: HashMap::new(),
            last: Last::default(),
            asked: HashMap::new(),
            waiting: VecDeque::new(),
            judging: JoinSet::new(),
            resolving: JoinSet::new(),
            alone_since: Instant::now(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut announced: mpsc::Receiver<Announcement>,
        mut shutdown: Shutdown,
    ) {
        let mut directory = self.around.directory.clone();
        self.follow(&directory.current());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.happened(event),
                Some(said) = announced.recv() => self.say(said),
                Some(judged) = self.judging.join_next() => {
                    if let Ok(judged) = judged {
                        self.judged(judged);
                    }
                    self.judge_waiting();
                }
                Some(Ok(resolved)) = self.resolving.join_next() => self.dial(resolved),
                Some(newer) = directory.changed() => self.follow(&newer),
                _ = tick.tick() => {
                    let now = Instant::now();
                    if now >= looked + LOOK_EVERY {
                        looked = now;
                        self.follow(&directory.current());
                    }
                    self.tick(now);
                }
                () = shutdown.begun() => break,
            }
        }
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            let _gone = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// GOS-1.2: who is not listed any more is cut, now.
    fn follow(&mut self, directory: &Directory) {
        let now = Instant::now();
        let listed = peers::listed(directory, &self.own, self.around.clock.now());
        for peer in self.listed.keys().filter(|peer| !listed.contains_key(peer)) {
            self.swarm.behaviour_mut().allowed.disallow_peer(*peer);
        }
        self.links.keep(listed.keys(), now);
        self.meters.keep(listed.keys());
        self.spent.retain(|peer, _| listed.contains_key(peer));
        for peer in listed.keys().filter(|peer| self.links.welcome(peer)) {
            self.swarm.behaviour_mut().allowed.allow_peer(*peer);
        }
        let about = |authority: &AuthorityId| directory.authority(authority).is_ok();
        self.last.retain(about);
        self.listed = listed;
    }

    fn tick(&mut self, now: Instant) {
        for peer in self.meters.take_over() {
            self.cut(peer, "it sent more than it may", now);
        }
        let gossipsub = &self.swarm.behaviour().gossipsub;
        let low = |peer: &&PeerId| {
            gossipsub
                .peer_score(peer)
                .is_some_and(|score| score < GRAYLIST)
        };
        let low: Vec<PeerId> = self.swarm.connected_peers().filter(low).copied().collect();
        for peer in low {
            self.cut(peer, "what it passes on is false", now);
        }
        for peer in self.links.forgive(now) {
            self.swarm.behaviour_mut().allowed.allow_peer(peer);
        }
        let room = DIALS_AT_ONCE.saturating_sub(self.resolving.len());
        for peer in self.links.due(now, room) {
            let Some(listed) = self.listed.get(&peer).filter(|of| !of.gossip.is_empty()) else {
                continue;
            };
            self.links.dialling(&peer);
            let (gossip, networks) = (listed.gossip.clone(), self.around.networks.clone());
            self.resolving
                .spawn(async move { (peer, peers::resolve(&gossip, &networks).await) });
        }
        self.ask_again(now);
        self.tell(now);
    }

    fn ask_last(&mut self, peer: PeerId, now: Instant, came: bool) {
        self.swarm.behaviour_mut().last.send_request(&peer, ());
        self.asked.insert(peer, (now, came));
    }

    /// GOS-5.1: once more when a peer has just come, because what was said between the first answer and the moment from
    /// which it tells us everything would be lost; and from time to time one of them.
    fn ask_again(&mut self, now: Instant) {
        let since = |asked: &Instant| now.duration_since(*asked);
        let due = |(asked, came): &(Instant, bool)| *came && since(asked) > ASKED_AGAIN_AFTER;
        let came = self.asked.iter().filter(|(_, asked)| due(asked));
        let mut again: Vec<PeerId> = came.map(|(peer, _)| *peer).collect();
        let newest = self.asked.values().map(|(asked, _)| *asked).max();
        if newest.is_some_and(|newest| since(&newest) > ASKED_EVERY) {
            let oldest = self.asked.iter().min_by_key(|(_, (asked, _))| *asked);
            again.extend(oldest.map(|(peer, _)| *peer));
        }
        for peer in again {
            self.ask_last(peer, now, false);
        }
    }

    /// Metrics, alarm, status.
    fn tell(&mut self, now: Instant) {
        let connected = self.links.connections();
        self.around.metrics.gossip.peers.set(connected as f64);
        let reachable = self.listed.values().any(|of| !of.gossip.is_empty());
        if connected > 0 || !reachable {
            self.alone_since = now;
        }
        let alone = now.duration_since(self.alone_since) > ALONE_AFTER;
        let detail = alone.then(|| {
            "no other node is connected by gossip: revocations come at the next refresh alone, and nobody here would \
             hear of a forked log; look at listen.gossip (UDP), and at pli node status for the reason of each peer"
                .to_owned()
        });
        let at = self.around.clock.now();
        self.around.alarms.set(AlarmKind::GossipAlone, at, detail);
        let peers = self
            .links
            .all()
            .filter_map(|(peer, connected, error, cut)| {
                let listed = self.listed.get(peer)?;
                let nowhere = listed
                    .gossip
                    .is_empty()
                    .then_some("it publishes no address");
                Some(GossipPeerStatus {
                    authority: listed.authority.to_string(),
                    connected,
                    because: match connected {
                        true => None,
                        false => cut.or(error).or(nowhere).map(str::to_owned),
                    },
                    cut_off: cut.is_some(),
                })
            });
        let mut peers: Vec<_> = peers.collect();
        peers.sort_by(|one, other| one.authority.cmp(&other.authority));
        *self.gossip.status.lock() = GossipStatus {
            enabled: true,
            peers,
        };
    }

    fn dial(&mut self, (peer, resolved): Resolved) {
        let now = Instant::now();
        let addresses = match resolved {
            Ok(addresses) => addresses,
            Err(because) => return self.links.failed(&peer, because, now),
        };
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::Disconnected)
            .addresses(addresses)
            .build();
        if let Err(error) = self.swarm.dial(options) {
            self.links.failed(&peer, error.to_string(), now);
        }
    }

    fn happened(&mut self, event: SwarmEvent<BehaviourEvent>) {
        let now = Instant::now();
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => {
                let topic = swarm::topic_of(&message.topic);
                self.heard(propagation_source, topic, message_id, message.data);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Last(event)) => self.last_words(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                self.links.connected(&peer_id, num_established.get());
                let both = self.pairs.opened(peer_id, connection_id, now);
                if both.is_empty() {
                    self.ask_last(peer_id, now, true);
                }
                for connection in both {
                    self.swarm.close_connection(connection);
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                let lasted = self.pairs.closed(peer_id, connection_id, now);
                self.links.closed(&peer_id, num_established, lasted, now);
                if num_established == 0 {
                    self.asked.remove(&peer_id);
                }
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => self.links.failed(&peer, error.to_string(), now),
            _ => {}
        }
    }

    /// GOS-4.4
    fn cut(&mut self, peer: PeerId, because: &'static str, now: Instant) {
        let whose = self.listed.get(&peer);
        let whose = whose.map_or_else(|| peer.to_string(), |of| of.authority.to_string());
        tracing::warn!(peer = whose, because, "cut off from gossip for a while");
        self.around.metrics.gossip.cut_total.increment(1);
        self.links.cut(&peer, because, now);
        self.swarm.behaviour_mut().allowed.disallow_peer(peer);
    }
}
