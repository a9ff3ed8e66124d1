//! Peers that this node would not dial. In: the directory, `dial.private_networks`. Out: a line for each authority that
//! publishes an address which a dial would leave out. Spec: SES-1.8.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pli_protocol::id::AuthorityId;
use pli_protocol::trust::{Directory, NodeRecord};
use pli_transport::{PrivateNetworks, resolve};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// All names together; one that does not resolve by then is judged when it is dialled.
const RESOLVED_WITHIN: Duration = Duration::from_secs(5);

/// What a dial would leave out, by authority.
pub(super) async fn not_dialled(
    directory: &Directory,
    own: &AuthorityId,
    networks: &PrivateNetworks,
) -> Vec<String> {
    let until = Instant::now() + RESOLVED_WITHIN;
    let mut asking = JoinSet::new();
    for record in directory.authorities() {
        let authority = &record.authority;
        if let Ok(node) = directory.node_of(authority)
            && authority != own
        {
            asking.spawn(judged(
                authority.clone(),
                hosts(node),
                networks.clone(),
                until,
            ));
        }
    }
    let mut lines: Vec<String> = asking.join_all().await.into_iter().flatten().collect();
    lines.sort();
    lines
}

/// With its port, as a name service is asked.
fn hosts(node: &NodeRecord) -> Vec<String> {
    let quic = node.quic.iter().map(ToString::to_string);
    let websocket = node.websocket.iter();
    let websocket = websocket.map(|url| format!("{}:{}", url.host(), url.port()));
    quic.chain(websocket).collect()
}

async fn judged(
    authority: AuthorityId,
    hosts: Vec<String>,
    networks: PrivateNetworks,
    until: Instant,
) -> Option<String> {
    let mut left_out = Vec::new();
    for host in hosts {
        for ip in addresses(&host, until).await {
            if let Err(why) = networks.judge(ip) {
                let shown = match host.parse::<SocketAddr>() {
                    Ok(_) => host.clone(),
                    Err(_) => format!("{host} ({ip})"),
                };
                left_out.push(format!("{shown} is {why}"));
            }
        }
    }
    left_out.dedup();
    (!left_out.is_empty()).then(|| {
        format!(
            "{authority}: {}. Letters for it wait while no other address of it answers: list its network in \
             `dial.private_networks` if it is there for you, or ask it to publish another address",
            left_out.join("; ")
        )
    })
}

async fn addresses(host: &str, until: Instant) -> Vec<IpAddr> {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return vec![address.ip()];
    }
    match timeout_at(until, resolve(host)).await {
        Ok(Ok(found)) => found.iter().map(SocketAddr::ip).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}
