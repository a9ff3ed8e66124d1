//! A real server and real diallers on the loopback, for the tests inside and outside the crate.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]
#![allow(
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "a test that panics says so"
)]

pub mod relay;
pub mod stranger;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::Timestamp;
use pli_protocol::session::{Authenticated, Principal, Refusal, ServerIdentity, Welcome};
use pli_transport::{
    AcceptedConnection, Credential, DialledConnection, Dialler, Endpoints, HandshakeError,
    Identity, Listener, ListenerConfig, ListenerLimits, PlainHttp, Via,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
pub const SERVER_SEED: u8 = 2;
pub const VIAS: [Via; 2] = [Via::Quic, Via::WebSocket];

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub fn welcome() -> Welcome {
    Welcome {
        server_time: Timestamp::from_ms(1_700_000_000_000),
        max_batches_in_flight: 8,
    }
}

/// The principal of tests that do not care.
pub fn node() -> Principal {
    Principal::Node("interieur.gouv.fr".parse().unwrap())
}

pub fn dialler(seed: u8) -> Dialler {
    dialler_of(node(), seed)
}

pub fn dialler_of(principal: Principal, seed: u8) -> Dialler {
    Dialler::new(Credential {
        principal,
        key: Arc::new(key(seed)),
    })
}

/// A listener, and a task that authenticates all who come.
pub struct Server {
    pub identity: ServerIdentity,
    pub endpoints: Endpoints,
    pub listener: Arc<Listener>,
    pub sessions: mpsc::Receiver<Result<AcceptedConnection, HandshakeError>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Lets everybody in.
    pub fn start() -> Self {
        Self::with_limits(ListenerLimits::default())
    }

    pub fn with_limits(limits: ListenerLimits) -> Self {
        Self::with(limits, None, |_| Ok(welcome()))
    }

    /// Another server, which says that it is the same authority.
    pub fn with_key(seed: u8) -> Self {
        Self::serve(listener_of(seed, ListenerLimits::default(), None), |_| {
            Ok(welcome())
        })
    }

    pub fn with(
        limits: ListenerLimits,
        http: Option<mpsc::Sender<PlainHttp>>,
        authorize: impl Fn(&Authenticated) -> Result<Welcome, Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(listener_of(SERVER_SEED, limits, http), authorize)
    }

    fn serve(
        listener: Listener,
        authorize: impl Fn(&Authenticated) -> Result<Welcome, Refusal> + Send + Sync + 'static,
    ) -> Self {
        let listener = Arc::new(listener);
        let (send, sessions) = mpsc::channel(1_024);
        let authorize = Arc::new(authorize);
        let accepting = listener.clone();
        let task = tokio::spawn(async move {
            while let Some(pending) = accepting.accept().await {
                let (send, authorize) = (send.clone(), authorize.clone());
                tokio::spawn(async move {
                    let session = pending
                        .authenticate(|peer| async move { authorize(&peer) })
                        .await;
                    // A test that has seen enough does not read further.
                    let _ = send.try_send(session);
                });
            }
        });
        let endpoints = Endpoints {
            quic: listener.quic_addr().into_iter().collect(),
            websocket: listener.websocket_addr().into_iter().collect(),
        };
        Self {
            identity: server_identity(),
            endpoints,
            listener,
            sessions,
            task,
        }
    }

    /// Only the endpoint of one kind.
    pub fn only(&self, via: Via) -> Endpoints {
        match via {
            Via::Quic => Endpoints {
                websocket: vec![],
                ..self.endpoints.clone()
            },
            Via::WebSocket => Endpoints {
                quic: vec![],
                ..self.endpoints.clone()
            },
        }
    }

    pub async fn dial(&self, dialler: &Dialler, via: Via) -> DialledConnection {
        let dialled = dialler.connect(&self.identity, &self.only(via)).await;
        dialled.unwrap_or_else(|error| panic!("{via}: {error}"))
    }

    /// The next session, which must have been let in.
    pub async fn session(&mut self) -> AcceptedConnection {
        self.outcome().await.expect("let in")
    }

    pub async fn outcome(&mut self) -> Result<AcceptedConnection, HandshakeError> {
        within(self.sessions.recv())
            .await
            .expect("the accepting task runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn server_identity() -> ServerIdentity {
    ServerIdentity {
        authority: "social.gouv.fr".parse().unwrap(),
        key: *key(SERVER_SEED).public(),
    }
}

pub fn listener_of(
    seed: u8,
    limits: ListenerLimits,
    http: Option<mpsc::Sender<PlainHttp>>,
) -> Listener {
    Listener::bind(ListenerConfig {
        identity: Identity::new(key(seed)).unwrap(),
        authority: server_identity().authority,
        quic: Some(ANY_PORT),
        websocket: Some(ANY_PORT),
        http,
        limits,
    })
    .unwrap()
}

/// Both ends of one session.
pub async fn pair(via: Via) -> (DialledConnection, AcceptedConnection, Server) {
    let mut server = Server::start();
    let dialled = server.dial(&dialler(1), via).await;
    let accepted = server.session().await;
    (dialled, accepted, server)
}

/// No test hangs: what should happen happens soon, even on a busy machine.
pub async fn within<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("within a minute")
}
