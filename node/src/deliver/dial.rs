//! Reaching another node: by any address of the directory, proven by any key that the directory has in force (TRU-4.7).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::AuthorityId;
use pli_protocol::session::SessionRefusal;
use pli_protocol::trust::{NodeRecord, TrustRefusal};
use pli_transport::{ConnectError, DialledConnection, Dialler, Endpoints};

use super::forward::{Broken, asked_wait};
use super::pinned;
use crate::relay::Relay;

/// Connects to any endpoint of the node that proves to hold a key of the directory.
pub async fn dial(relay: &Relay, node_of: &AuthorityId) -> Result<DialledConnection, Broken> {
    let directory = relay.directory();
    let now = relay.clock.now();
    let unreached = |reason: String| Broken::Unreached {
        reason,
        retry_after: Duration::ZERO,
    };
    let refused = |error: TrustRefusal| unreached(error.to_string());
    let node = directory.node_of(node_of).map_err(refused)?;
    let keys = directory.node_keys(node_of, now).map_err(refused)?;
    let keys: Vec<_> = keys.copied().collect();
    let asked = relay.clock.now();
    let NotReached { reason, error } = match connect(&relay.dialler, node, &keys).await {
        Ok(connection) => {
            let theirs = connection.welcome().server_time;
            let received = relay.clock.now();
            let watch = &relay.clock_watch;
            watch.observe(node_of, theirs, asked, received, Instant::now());
            let (directory, clock) = (relay.directory.clone(), Arc::clone(&relay.clock));
            pinned::guard(connection.clone(), node_of, directory, clock);
            return Ok(connection);
        }
        Err(not_reached) => not_reached,
    };
    // TRU-5.5
    if error.code() == Some(Code::ServerKeyMismatch) {
        relay.directory.want_newer_for_stranger();
    }
    let retry_after = match &error {
        ConnectError::Refused(SessionRefusal::ByServer(refusal)) => {
            asked_wait(refusal.retry_after())
        }
        _ => Duration::ZERO,
    };
    Err(Broken::Unreached {
        reason,
        retry_after,
    })
}

/// A node that was not reached.
#[derive(Debug)]
pub struct NotReached {
    /// In full, for a human.
    pub reason: String,
    /// How the last way to it ended.
    pub error: ConnectError,
}

/// Connects to any endpoint of `node` that proves to hold one of `keys`.
pub async fn connect(
    dialler: &Dialler,
    node: &NodeRecord,
    keys: &[PublicKey],
) -> Result<DialledConnection, NotReached> {
    let mut endpoints = Endpoints::default();
    let mut unresolved = Vec::new();
    for host in &node.quic {
        let addresses = resolve(&host.to_string(), &mut unresolved).await;
        endpoints.quic.extend(addresses);
    }
    for url in &node.websocket {
        let host = format!("{}:{}", url.host(), url.port());
        let addresses = resolve(&host, &mut unresolved).await;
        endpoints.websocket.extend(addresses);
    }
    let connected = dialler.connect_any(&node.authority, keys, &endpoints).await;
    connected.map_err(|error| {
        // The first alone says nothing more than the names that do not resolve.
        if matches!(error, ConnectError::NoKey) {
            unresolved = vec![format!("{} has no key in force", node.authority)];
        } else if !matches!(error, ConnectError::NoEndpoint) || unresolved.is_empty() {
            unresolved.insert(0, error.to_string());
        }
        NotReached {
            reason: unresolved.join("; "),
            error,
        }
    })
}

/// The addresses of a host; none if it does not resolve now.
async fn resolve(host: &str, unresolved: &mut Vec<String>) -> Vec<SocketAddr> {
    match pli_transport::resolve(host).await {
        Ok(addresses) => addresses,
        Err(error) => {
            tracing::debug!(%host, %error, "does not resolve");
            unresolved.push(format!("{host} does not resolve: {error}"));
            Vec::new()
        }
    }
}
