//! Reaching another node: by any address of the directory, proven by any key that the directory has in force (TRU-4.7).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::AuthorityId;
use pli_protocol::session::{Principal, SessionRefusal};
use pli_protocol::trust::TrustRefusal;
use pli_transport::{
    ConnectError, Credential, DialledConnection, Dialler, DiallerConfig, Endpoints, PrivateNetworks,
};

use super::forward::{Broken, asked_wait};
use crate::relay::Relay;

/// Dials as the node of `authority`, in public and in these networks (SES-1.8).
pub fn dialler(authority: &AuthorityId, key: &SigningKey, networks: PrivateNetworks) -> Dialler {
    let credential = Credential {
        principal: Principal::Node(authority.clone()),
        key: Arc::new(key.clone()),
    };
    let config = DiallerConfig {
        private_networks: networks,
        ..DiallerConfig::default()
    };
    Dialler::with_config(credential, config)
}

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
    let keys = directory.node_keys(node_of, now).map_err(refused)?;
    let keys: Vec<_> = keys.copied().collect();
    let asked = relay.clock.now();
    let dialled = relay.dialler.connect_any(node_of, &keys, &endpoints);
    let error = match dialled.await {
        Ok(connection) => {
            let theirs = connection.welcome().server_time;
            let received = relay.clock.now();
            let watch = &relay.clock_watch;
            watch.observe(node_of, theirs, asked, received, Instant::now());
            return Ok(connection);
        }
        Err(ConnectError::NoKey) => {
            let why = format!("{node_of} has no key in force");
            return Err(unreached(why));
        }
        Err(error) => error,
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
    // The first alone says nothing more than the names that do not resolve.
    if !matches!(error, ConnectError::NoEndpoint) || unresolved.is_empty() {
        unresolved.insert(0, error.to_string());
    }
    Err(Broken::Unreached {
        reason: unresolved.join("; "),
        retry_after,
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
