//! From the name of an authority to an authenticated connection to its node.
//! Spec: SES-1, TRU-4.6, TRU-4.7.

use std::net::SocketAddr;

use pli_protocol::code::Code;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::session::{Refusal, SessionRefusal};
use pli_protocol::trust::{Directory, NodeRecord, TrustRefusal};
use pli_transport::{ConnectError, DialledConnection, Dialler, Endpoints};

/// Why a node was not reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The directory names no such node, or it may not be dialled now.
    #[error(transparent)]
    Directory(#[from] TrustRefusal),
    /// A node without a key is not dialled: nothing could be pinned.
    #[error(
        "the directory lists no key of {authority}'s node that is valid now; its operator must publish one"
    )]
    NoKey { authority: AuthorityId },
    /// No name of it leads anywhere.
    #[error("no address for {authority}'s node: {detail}; check the network's name service")]
    NoAddress {
        authority: AuthorityId,
        detail: String,
    },
    /// Nobody answered, or refused.
    #[error("{authority}: {source}")]
    Connect {
        authority: AuthorityId,
        source: ConnectError,
    },
}

impl ReachError {
    /// The code, where somebody gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Directory(refusal) => Some(refusal.code()),
            Self::NoKey { .. } => Some(Code::KeyNotValid),
            Self::NoAddress { .. } => None,
            Self::Connect { source, .. } => source.code(),
        }
    }

    /// What the node answered, if it was reached and did not let us in.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Connect {
                source: ConnectError::Refused(SessionRefusal::ByServer(refusal)),
                ..
            } => Some(refusal),
            _ => None,
        }
    }

    /// Whether the same attempt may succeed a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAddress { .. } => true,
            Self::Directory(_) | Self::NoKey { .. } => false,
            Self::Connect {
                source: ConnectError::Refused(_),
                ..
            } => self.code().is_some_and(Code::retryable),
            // A wrong key in one place may be a node in the middle of a change of keys.
            Self::Connect { .. } => true,
        }
    }
}

/// Connects to the node of `authority`, by any key of it that is valid now.
pub async fn connect(
    dialler: &Dialler,
    directory: &Directory,
    authority: &AuthorityId,
    now: Timestamp,
) -> Result<DialledConnection, ReachError> {
    let keys: Vec<_> = directory.node_keys(authority, now)?.copied().collect();
    let endpoints = resolve(directory.node_of(authority)?).await?;
    let dialled = dialler.connect_any(authority, &keys, &endpoints).await;
    dialled.map_err(|error| {
        let authority = authority.clone();
        match error {
            ConnectError::NoKey => ReachError::NoKey { authority },
            source => ReachError::Connect { authority, source },
        }
    })
}

async fn resolve(node: &NodeRecord) -> Result<Endpoints, ReachError> {
    let mut endpoints = Endpoints::default();
    let mut details = Vec::new();
    for quic in &node.quic {
        match lookup(&quic.host, quic.port).await {
            Ok(addresses) => endpoints.quic.extend(addresses),
            Err(detail) => details.push(detail),
        }
    }
    for url in &node.websocket {
        match lookup(url.host(), url.port()).await {
            Ok(addresses) => endpoints.websocket.extend(addresses),
            Err(detail) => details.push(detail),
        }
    }
    if endpoints.quic.is_empty() && endpoints.websocket.is_empty() {
        let authority = node.authority.clone();
        return Err(ReachError::NoAddress {
            authority,
            detail: details.join("; "),
        });
    }
    Ok(endpoints)
}

async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let addresses = pli_transport::resolve((host, port)).await;
    addresses.map_err(|error| format!("{host}: {error}"))
}
