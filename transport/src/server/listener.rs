//! The sockets of a server, and what comes in on them. Spec: SES-1, SES-5.1.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::session::ServerIdentity;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::admission::{Admission, ListenerStats, TurnedAway};
use super::config::ListenerConfig;
use super::pending::{Pending, PlainHttp, Stage};
use crate::connection::Via;
use crate::error::BindError;
use crate::websocket::{CLOSE_TIME, Io};
use crate::{quic, tls};

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: u32 = 1_024;
/// How long accepting pauses when there is no descriptor left (case 54).
const PAUSE: Duration = Duration::from_millis(200);

/// The sockets of a server.
#[derive(Debug)]
pub struct Listener {
    quic: Option<Endpoint>,
    websocket: Option<TcpListener>,
    shared: Arc<Shared>,
    stopped: watch::Sender<bool>,
}

/// What every pending connection needs.
pub(super) struct Shared {
    pub(super) own: ServerIdentity,
    pub(super) admission: Arc<Admission>,
    pub(super) acceptor: TlsAcceptor,
    pub(super) http: Option<mpsc::Sender<PlainHttp>>,
    /// Each connection over WebSocket holds a receiver.
    pub(super) muxes: watch::Sender<()>,
}

impl Shared {
    pub(super) fn handshake_ms(&self) -> u64 {
        u64::try_from(self.admission.limits().handshake_time.as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds the sockets. Must be called within a tokio runtime.
    pub fn bind(config: ListenerConfig) -> Result<Self, BindError> {
        let handshakes = config.limits.handshakes;
        let quic = config
            .quic
            .map(|address| {
                let tls = tls::server_config(&config.identity, tls::ALPN);
                let tls = QuicServerConfig::try_from(tls)
                    .expect("AWS-LC has the initial cipher suite of QUIC");
                let server = quic::server_config(tls, handshakes);
                quic::endpoint(address, Some((server, config.identity.reset_key())))
                    .map_err(|error| socket_error(address, &error))
            })
            .transpose()?;
        let websocket = config
            .websocket
            .map(|address| listen(address).map_err(|error| socket_error(address, &error)))
            .transpose()?;
        let tls = tls::server_config(&config.identity, tls::ALPN_HTTP);
        let shared = Arc::new(Shared {
            own: ServerIdentity {
                authority: config.authority,
                key: *config.identity.public_key(),
            },
            admission: Admission::new(config.limits),
            acceptor: TlsAcceptor::from(Arc::new(tls)),
            http: config.http,
            muxes: watch::Sender::new(()),
        });
        Ok(Self {
            quic,
            websocket,
            shared,
            stopped: watch::Sender::new(false),
        })
    }

    /// Where QUIC is taken.
    pub fn quic_addr(&self) -> Option<SocketAddr> {
        self.quic
            .as_ref()
            .and_then(|endpoint| endpoint.local_addr().ok())
    }

    /// Where WebSocket is taken.
    pub fn websocket_addr(&self) -> Option<SocketAddr> {
        self.websocket
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// The next connection that has a place. Cheap: call [`Pending::authenticate`] in a task of
    /// its own. `None` once [stopped](Self::stop_accepting). Cancel-safe.
    pub async fn accept(&self) -> Option<Pending> {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            pending = self.accept_quic() => pending,
            pending = self.accept_websocket() => Some(pending),

        }
    }

    /// Takes a stream on which the node's own HTTP server has done the WebSocket handshake
    /// (path [`WEBSOCKET_PATH`](crate::websocket::WEBSOCKET_PATH), protocol
    /// [`WEBSOCKET_PROTOCOL`](crate::websocket::WEBSOCKET_PROTOCOL)).
    pub fn adopt_upgraded(
        &self,
        io: Box<dyn Io>,
        remote: SocketAddr,
    ) -> Result<Pending, TurnedAway> {
        self.pending(Stage::Upgraded(io), remote)
    }

    /// How often what has happened.
    pub fn stats(&self) -> ListenerStats {
        self.shared.admission.stats()
    }

    /// Takes no new connections; those that stand, stay. [`accept`](Self::accept) ends.
    pub fn stop_accepting(&self) {
        if let Some(endpoint) = &self.quic {
            endpoint.set_server_config(None);
        }
        self.stopped.send_replace(true);
    }

    /// Closes every QUIC connection at once, and waits until the peers could hear of it. Those
    /// over WebSocket are closed one by one, by their holders; it waits until they have said so.
    /// A few seconds at most, whatever a peer does.
    pub async fn close(&self, code: Option<Code>, reason: &str) {
        self.stop_accepting();
        if let Some(endpoint) = &self.quic {
            endpoint.close(code.map_or(0, Code::number).into(), reason.as_bytes());
            quic::wait_idle(std::slice::from_ref(endpoint)).await;
        }
        if timeout(CLOSE_TIME, self.shared.muxes.closed())
            .await
            .is_err()
        {
            tracing::debug!("not every websocket closed cleanly");
        }
    }

    async fn accept_quic(&self) -> Option<Pending> {
        let Some(endpoint) = &self.quic else {
            return std::future::pending().await;
        };
        loop {
            let incoming = endpoint.accept().await?;
            // SES-1.5, case 51: a spoofed address cannot answer, and costs no memory.
            if self.shared.admission.under_load() && !incoming.remote_address_validated() {
                self.shared.admission.counters.retried();
                if incoming.retry().is_err() {
                    tracing::debug!("an address that is not validated can always be retried");
                }
                continue;
            }
            let remote = incoming.remote_address();
            let place = match self.shared.admission.admit(Via::Quic, remote.ip()) {
                Ok(place) => place,
                Err(turned_away) => {
                    tracing::debug!(%remote, %turned_away, "quic connection turned away");
                    incoming.refuse();
                    continue;
                }
            };
            match incoming.accept() {
                Ok(connecting) => {
                    let stage = Stage::Quic(connecting);
                    return Some(Pending::new(stage, remote, place, self.shared.clone()));
                }
                Err(error) => {
                    self.shared.admission.counters.failed();
                    tracing::debug!(%remote, %error, "first packet refused");
                }
            }
        }
    }

    async fn accept_websocket(&self) -> Pending {
        let Some(listener) = &self.websocket else {
            return std::future::pending().await;
        };
        loop {
            let (stream, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.after_failed_accept(&error).await;
                    continue;
                }
            };
            match self.admit_tcp(stream, remote) {
                Ok(pending) => return pending,
                // Dropping the stream closes it: nothing was spent on it.
                Err(turned_away) => {
                    tracing::debug!(%remote, %turned_away, "tcp connection turned away");
                }
            }
        }
    }

    fn admit_tcp(&self, stream: TcpStream, remote: SocketAddr) -> Result<Pending, TurnedAway> {
        // Frames leave when they are written: yamux gathers, TCP need not.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%remote, %error, "no TCP_NODELAY");
        }
        self.pending(Stage::Tcp(stream), remote)
    }

    fn pending(&self, stage: Stage, remote: SocketAddr) -> Result<Pending, TurnedAway> {
        let place = self.shared.admission.admit(Via::WebSocket, remote.ip())?;
        Ok(Pending::new(stage, remote, place, self.shared.clone()))
    }

    /// Case 54: without descriptors the connection stays in the kernel's queue and accepting
    /// would fail again at once, for ever and at full speed. So it pauses, and goes on by itself.
    async fn after_failed_accept(&self, error: &io::Error) {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            // The peer left the queue. The next one may be fine.
            return;
        }
        self.shared.admission.counters.paused();
        tracing::warn!(%error, "cannot accept; pausing");
        tokio::time::sleep(PAUSE).await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A node that restarts must not wait for the connections of its former self to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn socket_error(address: SocketAddr, error: &io::Error) -> BindError {
    BindError::Socket {
        address,
        detail: error.to_string(),
    }
}
