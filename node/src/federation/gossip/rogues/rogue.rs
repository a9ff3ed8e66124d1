//! A peer that does as it pleases.

use std::net::SocketAddr;
use std::time::Duration;

use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::futures::StreamExt;
use libp2p::gossipsub::{self, MessageAuthenticity};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Swarm, identify, quic};
use tokio::time::timeout;

use super::super::last::{LastCodec, PROTOCOL, Said};
use super::super::{Topic, peers, swarm as ours};
use super::fixture::{PATIENCE, key};
use crate::metrics::Label as _;

/// Speaks libp2p and keeps to no rule of Pli.
pub(super) struct Rogue {
    pub(super) n: u16,
    swarm: Swarm<Unruly>,
    last: Vec<Said>,
}

#[derive(NetworkBehaviour)]
pub(super) struct Unruly {
    gossipsub: gossipsub::Behaviour,
    last: request_response::Behaviour<LastCodec>,
    identify: identify::Behaviour,
}

impl Rogue {
    /// With this node's key. `last`: what it answers when it is asked for its last words.
    pub(super) fn new(n: u16, last: Vec<Said>) -> Self {
        let keypair = ours::keypair(&key(n));
        let config = gossipsub::ConfigBuilder::default()
            .max_transmit_size(1 << 20)
            .connection_handler_queue_len(1 << 20)
            .build()
            .expect("valid");
        let signed = MessageAuthenticity::Signed(keypair.clone());
        let mut gossipsub = gossipsub::Behaviour::new(signed, config).expect("valid");
        for topic in Topic::ALL {
            gossipsub
                .subscribe(&ours::ident(*topic))
                .expect("subscribed");
        }
        let protocols = [(PROTOCOL, ProtocolSupport::Full)];
        let behaviour = Unruly {
            gossipsub,
            last: request_response::Behaviour::new(protocols, request_response::Config::default()),
            identify: identify::Behaviour::new(identify::Config::new(
                "pli/1".to_owned(),
                keypair.public(),
            )),
        };
        let transport = quic::tokio::Transport::new(quic::Config::new(&keypair));
        let transport = transport
            .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
            .boxed();
        let config = libp2p::swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(Duration::from_secs(3_600));
        let id = keypair.public().to_peer_id();
        let swarm = Swarm::new(transport, behaviour, id, config);
        Self { n, swarm, last }
    }

    pub(super) fn dial(&mut self, n: u16, address: SocketAddr) {
        let options = DialOpts::peer_id(peers::peer_id(key(n).public()))
            .condition(PeerCondition::Always)
            .addresses(vec![peers::multiaddr(address)])
            .build();
        self.swarm.dial(options).expect("a dial begins");
    }

    /// Connects, and goes on until the other has said what it listens to.
    pub(super) async fn join(&mut self, n: u16, address: SocketAddr) {
        self.dial(n, address);
        let mut subscribed = 0;
        self.until("the other subscribes", |event| {
            if let SwarmEvent::Behaviour(UnrulyEvent::Gossipsub(gossipsub::Event::Subscribed {
                ..
            })) = event
            {
                subscribed += 1;
            }
            subscribed == Topic::ALL.len()
        })
        .await;
    }

    /// Puts a message into the queue of whoever listens.
    pub(super) fn say(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        let topic = gossipsub::IdentTopic::new(topic);
        let payload: Vec<u8> = payload.into();
        // Nobody may listen to it, or it was said before.
        let _said = self.swarm.behaviour_mut().gossipsub.publish(topic, payload);
    }

    /// Goes on until this happens.
    pub(super) async fn until(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&SwarmEvent<UnrulyEvent>) -> bool,
    ) {
        let all = async {
            loop {
                let event = self.swarm.select_next_some().await;
                let done = wanted(&event);
                self.answer(event);
                if done {
                    return;
                }
            }
        };
        assert!(timeout(PATIENCE, all).await.is_ok(), "not in time: {what}");
    }

    /// Goes on until its last connection is closed.
    pub(super) async fn closed(&mut self) {
        self.until("the connection is closed", |event| {
            matches!(
                event,
                SwarmEvent::ConnectionClosed {
                    num_established: 0,
                    ..
                } | SwarmEvent::OutgoingConnectionError { .. }
            )
        })
        .await;
    }

    /// Goes on for ever, beside something else.
    pub(super) async fn live(&mut self) {
        loop {
            let event = self.swarm.select_next_some().await;
            self.answer(event);
        }
    }

    fn answer(&mut self, event: SwarmEvent<UnrulyEvent>) {
        if let SwarmEvent::Behaviour(UnrulyEvent::Last(request_response::Event::Message {
            message: request_response::Message::Request { channel, .. },
            ..
        })) = event
        {
            let last = self.last.clone();
            let _gone = self.swarm.behaviour_mut().last.send_response(channel, last);
        }
    }

    /// Tells whoever connects that it listens there, too.
    pub(super) fn claim(&mut self, address: SocketAddr) {
        let address = peers::multiaddr(address);
        self.swarm.add_external_address(address);
    }
}
