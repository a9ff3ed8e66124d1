//! The dialler's side: from the addresses and the key of a server to an authenticated connection.
//!
//! In: who we are, where the server may be, which key it must have. Out: a
//! [`DialledConnection`], by QUIC where it can be had and by WebSocket where UDP is blocked.
//! Spec: SES-1.2, SES-1.7, SES-1.8.

mod attempt;
mod names;
mod networks;
mod race;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::id::AuthorityId;
use pli_protocol::limits;
use pli_protocol::session::{Principal, ServerIdentity};
use quinn::Endpoint;

use crate::connection::DialledConnection;
use crate::error::ConnectError;
use crate::quic;

pub use names::resolve;
pub use networks::{PrivateNetwork, PrivateNetworkError, PrivateNetworks};

/// Who we are to every server.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Our role and name.
    pub principal: Principal,
    /// The key that the directory, or the home, knows us by.
    pub key: Arc<SigningKey>,
}

/// Where a server may be reached; the first of each kind is tried first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Endpoints {
    /// UDP addresses.
    pub quic: Vec<SocketAddr>,
    /// TCP addresses of the fallback.
    pub websocket: Vec<SocketAddr>,
}

/// How to dial.
#[derive(Clone, Debug)]
pub struct DiallerConfig {
    /// When to try WebSocket while QUIC has not answered; `FALLBACK_AFTER_MS` by default. SES-1.7.
    pub fallback_after: Duration,
    /// When to give a way up.
    pub handshake_time: Duration,
    /// Where private addresses may be dialled; by default everywhere. SES-1.8.
    pub private_networks: PrivateNetworks,
}

impl Default for DiallerConfig {
    fn default() -> Self {
        Self {
            fallback_after: Duration::from_millis(limits::FALLBACK_AFTER_MS),
            handshake_time: Duration::from_millis(limits::HANDSHAKE_TIMEOUT_MS),
            private_networks: PrivateNetworks::All,
        }
    }
}

/// Dials servers. Its QUIC connections share one socket for each address family; each dialler
/// has its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialler(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    credential: Credential,
    config: DiallerConfig,
    sockets: Mutex<Sockets>,
}

/// Opened when first needed.
#[derive(Debug, Default)]
struct Sockets {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
}

/// Whom one attempt may reach.
#[derive(Debug)]
struct Target<'a> {
    authority: &'a AuthorityId,
    /// All that are in force.
    keys: Arc<[PublicKey]>,
}

impl Dialler {
    /// A dialler with the registry's times, for a program that dials the server that its user chose.
    pub fn new(credential: Credential) -> Self {
        Self::with_config(credential, DiallerConfig::default())
    }

    /// A dialler with other times or networks.
    pub fn with_config(credential: Credential, config: DiallerConfig) -> Self {
        Self(Arc::new(Inner {
            credential,
            config,
            sockets: Mutex::default(),
        }))
    }

    /// Who we are.
    pub fn credential(&self) -> &Credential {
        &self.0.credential
    }

    /// Connects to the one server that holds `server.key`, as [`connect_any`](Self::connect_any) does.
    pub async fn connect(
        &self,
        server: &ServerIdentity,
        endpoints: &Endpoints,
    ) -> Result<DialledConnection, ConnectError> {
        self.connect_any(&server.authority, &[server.key], endpoints)
            .await
    }

    /// Connects to the server of `authority` that holds any of `keys`, by whichever way answers first. All keys are
    /// pinned at once, so a server with many is dialled no more often than one with a single key;
    /// [`DialledConnection::server`] says which one it has (SES-1.2).
    ///
    /// QUIC has a head start; WebSocket follows after `fallback_after`, or at once when every
    /// QUIC address has failed (case 49). The losers are closed. A refusal by the server ends
    /// it: another way would not change that. An address that SES-1.8 forbids is not dialled, and the error says so.
    /// Cancel-safe: nothing stays behind.
    pub async fn connect_any(
        &self,
        authority: &AuthorityId,
        keys: &[PublicKey],
        endpoints: &Endpoints,
    ) -> Result<DialledConnection, ConnectError> {
        let target = Target {
            authority,
            keys: keys.into(),
        };
        race::run(self, &target, endpoints).await
    }

    /// Moves every QUIC connection to a fresh socket, as after a change of network; the
    /// sessions survive (case 50).
    pub fn rebind(&self) -> io::Result<()> {
        let sockets = self.sockets();
        for endpoint in [&sockets.v4, &sockets.v6].into_iter().flatten() {
            endpoint.rebind(quic::socket(quic::unspecified(endpoint.local_addr()?))?)?;
        }
        Ok(())
    }

    /// Waits until the peers of all closed connections could hear of it, a few seconds at most; before a process
    /// ends. A connection that is still open is not told anything, so it is not waited for any longer than that.
    pub async fn wait_idle(&self) {
        let endpoints: Vec<Endpoint> = {
            let sockets = self.sockets();
            [&sockets.v4, &sockets.v6]
                .into_iter()
                .flatten()
                .cloned()
                .collect()
        };
        quic::wait_idle(&endpoints).await;
    }

    fn endpoint(&self, peer: SocketAddr) -> io::Result<Endpoint> {
        let mut sockets = self.sockets();
        let slot = if peer.is_ipv4() {
            &mut sockets.v4
        } else {
            &mut sockets.v6
        };
        if let Some(endpoint) = slot {
            return Ok(endpoint.clone());
        }
        let endpoint = quic::endpoint(quic::unspecified(peer), None)?;
        *slot = Some(endpoint.clone());
        Ok(endpoint)
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.0
            .sockets
            .lock()
            .expect("no code panics while it holds this lock")
    }
}
