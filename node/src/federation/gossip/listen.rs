//! The socket of gossip, before anybody is let in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use libp2p::Swarm;
use libp2p::futures::StreamExt;
use libp2p::swarm::SwarmEvent;
use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::meter::Meters;
use super::swarm::{self, Behaviour};
use super::task::Task;
use super::{Announcement, Around, Gossip, Judge, peers};
use crate::shutdown::Shutdown;

/// A listener that does not say where it listens within this does not listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// A swarm that listens, and lets nobody in before it runs.
pub struct Opened {
    swarm: Swarm<Behaviour>,
    meters: Meters,
    own: PublicKey,
    address: SocketAddr,
    gossip: Gossip,
    announced: mpsc::Receiver<Announcement>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({})", self.address)
    }
}

impl Opened {
    /// Listens (UDP). GOS-1.1: by the node's own key.
    pub async fn listen(key: &SigningKey, address: SocketAddr) -> io::Result<Self> {
        let meters = Meters::default();
        let mut swarm = swarm::build(key, &meters)?;
        for address in families(address) {
            swarm
                .listen_on(peers::multiaddr(address))
                .map_err(io::Error::other)?;
        }
        let listening = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { address, .. } => {
                        if let Some(address) = peers::socket_addr(&address) {
                            return Ok(address);
                        }
                    }
                    SwarmEvent::ListenerClosed { reason, .. } => {
                        return Err(reason.err().unwrap_or(io::ErrorKind::Other.into()));
                    }
                    SwarmEvent::ListenerError { error, .. } => return Err(error),
                    _ => {}
                }
            }
        };
        let bound = timeout(LISTENS_WITHIN, listening).await??;
        let (gossip, announced) = Gossip::new();
        Ok(Self {
            swarm,
            meters,
            own: *key.public(),
            // All interfaces are told one by one; the operator named them together.
            address: SocketAddr::new(address.ip(), bound.port()),
            gossip,
            announced,
        })
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Speaks to the loop.
    pub fn gossip(&self) -> Gossip {
        self.gossip.clone()
    }

    /// Runs until the stop.
    pub async fn run(self, around: Around, judge: Arc<dyn Judge>, shutdown: Shutdown) {
        let task = Task::new(
            self.swarm,
            self.meters,
            self.own,
            self.gossip,
            around,
            judge,
        );
        task.run(self.announced, shutdown).await;
    }
}

/// libp2p's sockets are of one family: everywhere means two of them.
fn families(address: SocketAddr) -> Vec<SocketAddr> {
    let mut all = vec![address];
    if address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) && address.port() != 0 {
        all.push((Ipv4Addr::UNSPECIFIED, address.port()).into());
    }
    all
}
