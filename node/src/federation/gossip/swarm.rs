//! libp2p, put together: QUIC alone, peers by their keys, gossipsub that passes nothing on by itself.

use std::io;
use std::time::Duration;

use libp2p::allow_block_list::{self, AllowedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::gossipsub::{
    self, DataTransform, IdentTopic, IdentityTransform, MessageAuthenticity, MessageId,
    PeerScoreParams, PeerScoreThresholds, RawMessage, TopicHash, TopicScoreParams, ValidationMode,
    score_parameter_decay,
};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Swarm, identify, ping, quic};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::limits::{
    GOSSIP_BAN_MS, GOSSIP_CONNECTIONS_MAX, GOSSIP_MESSAGE_MAX, GOSSIP_REMEMBERED_MS,
};
use sha2::{Digest, Sha256};

use super::Topic;
use super::last::{LastCodec, PROTOCOL};
use super::meter::Meters;
use crate::metrics::Label;

/// GOS-1.3: connections that have not shown a key yet.
const PENDING_MAX: u32 = 64;
/// A peer has one, two when both dial at once, and a third when it was started again before the others timed out.
const PER_PEER_MAX: u32 = 3;
/// Streams that a peer may have open on a connection, and those of them that have not said yet what they are for.
const STREAMS_MAX: u32 = 16;
/// What a peer may have sent on a stream and on a connection that was not read yet.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Below it a peer's messages are not read any more; then it is cut off (GOS-4.4).
pub(super) const GRAYLIST: f64 = -80.0;
/// One false message costs 10 of them, two cost 40, three are too many.
const REJECTED_WEIGHT: f64 = -10.0;
/// What was false is forgiven slowly.
const REJECTED_FORGIVEN: Duration = Duration::from_secs(600);
/// What gossipsub puts around a payload: its author, number, topic and signature.
const MESSAGE_OVERHEAD: usize = 1_024;
/// What gossipsub reads ahead counts as if it belonged to the message that it reads: without it a few long messages one
/// after the other would end the stream.
const READ_AHEAD: usize = 8 << 10;
/// Messages and control items in one RPC.
const RPC_ITEMS_MAX: usize = 256;
/// Messages that wait for one peer; one that is too slow for them misses some.
const QUEUED_MAX: usize = 512;
/// A message waits this many heartbeats (seconds) for its judge.
const JUDGED_WITHIN: usize = 20;

/// What the swarm does. The order matters: who is not let in by the first two is never seen by the others.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) allowed: allow_block_list::Behaviour<AllowedPeers>,
    limits: connection_limits::Behaviour,
    pub(super) gossipsub: gossipsub::Behaviour<OurTopics>,
    pub(super) last: request_response::Behaviour<LastCodec>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A swarm that listens nowhere yet and lets nobody in.
pub(super) fn build(key: &SigningKey, meters: &Meters) -> io::Result<Swarm<Behaviour>> {
    let keypair = keypair(key);
    let peer_id = keypair.public().to_peer_id();
    let behaviour = behaviour(&keypair).map_err(io::Error::other)?;
    let mut config = quic::Config::new(&keypair);
    config.max_concurrent_stream_limit = STREAMS_MAX;
    config.max_stream_data = STREAM_WINDOW;
    config.max_connection_data = CONNECTION_WINDOW;
    let meters = meters.clone();
    let transport = quic::tokio::Transport::new(config).map(move |(peer, connection), _| {
        let metered = meters.of(&peer).over(StreamMuxerBox::new(connection));
        (peer, StreamMuxerBox::new(metered))
    });
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_max_negotiating_inbound_streams(STREAMS_MAX as usize)
        // A connection stays as long as the peer may: QUIC notices when it is gone.
        .with_idle_connection_timeout(Duration::from_secs(u64::from(u32::MAX)));
    Ok(Swarm::new(transport.boxed(), behaviour, peer_id, config))
}

/// GOS-1.1: the node's own key, so that the directory alone says who is who.
pub(super) fn keypair(key: &SigningKey) -> Keypair {
    let mut seed = key.seed();
    Keypair::ed25519_from_bytes(&mut seed[..]).expect("a seed has the length of a seed")
}

/// The topic as gossipsub knows it.
pub(super) fn ident(topic: Topic) -> IdentTopic {
    IdentTopic::new(topic.name())
}

/// Which topic this is.
pub(super) fn topic_of(hash: &TopicHash) -> Option<Topic> {
    let mut all = Topic::ALL.iter().copied();
    all.find(|topic| topic.name() == hash.as_str())
}

fn behaviour(keypair: &Keypair) -> Result<Behaviour, String> {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established(Some(GOSSIP_CONNECTIONS_MAX))
        .with_max_established_per_peer(Some(PER_PEER_MAX));
    // What identify hears is remembered by nobody: case 35.
    let identify = identify::Config::new("pli/1".to_owned(), keypair.public())
        .with_agent_version(concat!("pli-node/", env!("CARGO_PKG_VERSION")).to_owned())
        .with_cache_size(0)
        .with_hide_listen_addrs(true);
    let last = request_response::Config::default().with_max_concurrent_streams(2);
    Ok(Behaviour {
        allowed: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(limits),
        gossipsub: gossipsub(keypair)?,
        last: request_response::Behaviour::new([(PROTOCOL, ProtocolSupport::Full)], last),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::default(),
    })
}

/// GOS-2.1, GOS-2.2: of what is of no topic here, or too long for it, nothing is remembered, not even its name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OurTopics;

impl DataTransform for OurTopics {
    fn inbound_transform(&self, message: RawMessage) -> io::Result<gossipsub::Message> {
        match topic_of(&message.topic) {
            Some(topic) if message.data.len() <= topic.max() => {
                IdentityTransform.inbound_transform(message)
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(data)
    }
}

fn gossipsub(keypair: &Keypair) -> Result<gossipsub::Behaviour<OurTopics>, String> {
    let mut config = gossipsub::ConfigBuilder::default();
    config
        .validation_mode(ValidationMode::Strict)
        // GOS-3.1: nothing is passed on before its judge has said so.
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(GOSSIP_MESSAGE_MAX + MESSAGE_OVERHEAD + READ_AHEAD)
        .duplicate_cache_time(Duration::from_millis(GOSSIP_REMEMBERED_MS))
        .history_length(JUDGED_WITHIN)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .max_publish_messages(RPC_ITEMS_MAX)
        .max_control_messages_sent(RPC_ITEMS_MAX)
        .connection_handler_queue_len(QUEUED_MAX)
        // Case 35: nobody tells us whom to dial.
        .prune_peers(0);
    for topic in Topic::ALL {
        let max = topic.max() + MESSAGE_OVERHEAD;
        config.max_transmit_size_for_topic(max, ident(*topic).hash());
    }
    let config = config.build().map_err(|error| error.to_string())?;
    let signed = MessageAuthenticity::Signed(keypair.clone());
    let mut gossipsub = gossipsub::Behaviour::new(signed, config)?;
    gossipsub.with_peer_score(scores(), thresholds())?;
    for topic in Topic::ALL {
        let subscribed = gossipsub.subscribe(&ident(*topic));
        subscribed.map_err(|error| error.to_string())?;
    }
    Ok(gossipsub)
}

/// GOS-2.3: whoever says it, and however often, it is one message.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(message.topic.as_str().as_bytes());
    hash.update([0]);
    hash.update(&message.data);
    MessageId::new(&hash.finalize())
}

/// GOS-4.3: what is false counts, and what breaks gossipsub's own rules. How much a peer says does not: in a quiet
/// federation nobody has anything to say. Nor does its address: several nodes may share one.
fn scores() -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: REJECTED_WEIGHT,
        invalid_message_deliveries_decay: score_parameter_decay(REJECTED_FORGIVEN),
        ..TopicScoreParams::default()
    };
    let topics = Topic::ALL.iter();
    PeerScoreParams {
        topics: topics
            .map(|of| (ident(*of).hash(), topic.clone()))
            .collect(),
        ip_colocation_factor_weight: 0.0,
        slow_peer_weight: 0.0,
        behaviour_penalty_threshold: 6.0,
        // Whoever was cut off begins anew when it comes again.
        retain_score: Duration::from_millis(GOSSIP_BAN_MS / 2),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GRAYLIST / 4.0,
        publish_threshold: GRAYLIST / 2.0,
        graylist_threshold: GRAYLIST,
        accept_px_threshold: f64::MAX,
        opportunistic_graft_threshold: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_2_1_what_is_of_no_topic_here_or_too_long_for_it_is_not_remembered() {
        let taken = |topic: &str, bytes: usize| {
            let message = RawMessage {
                source: None,
                data: vec![0; bytes],
                sequence_number: None,
                topic: IdentTopic::new(topic).hash(),
                signature: None,
                key: None,
                validated: false,
            };
            OurTopics.inbound_transform(message).is_ok()
        };
        for topic in Topic::ALL {
            assert!(taken(topic.name(), topic.max()));
            assert!(!taken(topic.name(), topic.max() + 1));
        }
        assert!(!taken("pli/2/trust", 1) && !taken("", 1));
    }
}
