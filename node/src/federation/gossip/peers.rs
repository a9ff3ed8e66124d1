//! Who may be connected. In: the directory and the time. Out: a table of peer ids; nothing that is heard changes it
//! (case 35).

use std::collections::HashMap;
use std::net::SocketAddr;

use libp2p::identity::{PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use pli_protocol::crypto::sign;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::{Directory, HostPort};
use pli_transport::PrivateNetworks;

use crate::federation::standing;

/// A node that may be connected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    /// Whose.
    pub(super) authority: AuthorityId,
    /// Where it says that it listens; maybe nowhere, then it dials.
    pub(super) gossip: Vec<HostPort>,
}

/// GOS-1.1: the name of a node in libp2p, by its key in the directory.
pub(super) fn peer_id(key: &sign::PublicKey) -> PeerId {
    let key = ed25519::PublicKey::try_from_bytes(key.as_bytes())
        .expect("a key that was checked to be a point of the curve");
    PublicKey::from(key).to_peer_id()
}

/// GOS-1.2: the nodes whose keys are valid at `now`, of authorities that take part. An expired directory still says
/// who they are: by gossip may come the word of a newer one.
pub(super) fn listed(
    directory: &Directory,
    own: &sign::PublicKey,
    now: Timestamp,
) -> HashMap<PeerId, Listed> {
    let mut listed = HashMap::new();
    for record in directory.authorities() {
        let authority = &record.authority;
        let Ok(node) = directory.node_of(authority) else {
            continue;
        };
        if standing(directory, authority, now).is_err() {
            continue;
        }
        let valid = node.keys.iter().filter(|key| key.validity.contains(now));
        for key in valid.filter(|key| key.key != *own) {
            let entry = Listed {
                authority: authority.clone(),
                gossip: node.gossip.clone(),
            };
            listed.insert(peer_id(&key.key), entry);
        }
    }
    listed
}

/// GOS-1.4: the addresses of a node that may be dialled, and why others may not, judged after the names are resolved.
pub(super) async fn resolve(
    gossip: &[HostPort],
    networks: &PrivateNetworks,
) -> Result<Vec<Multiaddr>, String> {
    let (mut addresses, mut because) = (Vec::new(), Vec::new());
    for host in gossip {
        match pli_transport::resolve(host.to_string()).await {
            Ok(resolved) => {
                for address in resolved {
                    match networks.judge(address.ip()) {
                        Ok(()) => addresses.push(multiaddr(address)),
                        Err(why) => because.push(format!("{address}: {why}")),
                    }
                }
            }
            Err(error) => because.push(format!("{host} does not resolve: {error}")),
        }
    }
    match addresses.is_empty() {
        true => Err(because.join("; ")),
        false => Ok(addresses),
    }
}

/// QUIC version 1 at this address.
pub(super) fn multiaddr(address: SocketAddr) -> Multiaddr {
    let udp = Protocol::Udp(address.port());
    Multiaddr::from(address.ip())
        .with(udp)
        .with(Protocol::QuicV1)
}

/// The address in it, if it is one of QUIC.
pub(super) fn socket_addr(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Udp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}
