//! A connection that has a place but no name yet. Spec: SES-3, SES-4.1.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use pli_protocol::session::{Authenticated, Refusal, Welcome};
use quinn::Connecting;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use yamux::Mode;

use super::admission::{GaveWay, Permit};
use super::listener::Shared;
use crate::connection::{AcceptedConnection, Link, Via, Wire};
use crate::error::{HandshakeError, Lost};
use crate::handshake;
use crate::websocket::{self, Io, Mux, Rewound, Wanted};

/// A connection that has a place but no name yet. Dropping it closes it.
#[derive(Debug)]
pub struct Pending {
    stage: Stage,
    remote: SocketAddr,
    permit: Permit,
    gave_way: GaveWay,
    shared: Arc<Shared>,
    /// Runs from the first packet, not from when somebody looks at it.
    due: Instant,
}

#[derive(Debug)]
pub(super) enum Stage {
    Quic(Connecting),
    Tcp(TcpStream),
    Upgraded(Box<dyn Io>),
}

impl Pending {
    pub(super) fn new(
        stage: Stage,
        remote: SocketAddr,
        (permit, gave_way): (Permit, GaveWay),
        shared: Arc<Shared>,
    ) -> Self {
        let due = Instant::now() + shared.admission.limits().handshake_time;
        Self {
            stage,
            remote,
            permit,
            gave_way,
            shared,
            due,
        }
    }

    /// Where the stranger is.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// How it came.
    pub fn via(&self) -> Via {
        match self.stage {
            Stage::Quic(_) => Via::Quic,
            Stage::Tcp(_) | Stage::Upgraded(_) => Via::WebSocket,
        }
    }

    /// Does the TLS and the session handshake within `HANDSHAKE_TIMEOUT_MS`.
    ///
    /// `authorize` is asked once, after the dialler has proven to hold its key: whether the
    /// directory gives this key this name, and what the session may do. Its refusal is sent to
    /// the dialler, as are all others.
    pub async fn authenticate<F, Answer>(
        self,
        authorize: F,
    ) -> Result<AcceptedConnection, HandshakeError>
    where
        F: FnOnce(Authenticated) -> Answer,
        Answer: Future<Output = Result<Welcome, Refusal>>,
    {
        let shared = self.shared.clone();
        let outcome = self.handshake(authorize).await;
        if !matches!(outcome, Ok(_) | Err(HandshakeError::PlainHttp)) {
            shared.admission.counters.failed();
        }
        outcome
    }

    async fn handshake<F, Answer>(self, authorize: F) -> Result<AcceptedConnection, HandshakeError>
    where
        F: FnOnce(Authenticated) -> Answer,
        Answer: Future<Output = Result<Welcome, Refusal>>,
    {
        let Self {
            stage,
            remote,
            permit,
            mut gave_way,
            shared,
            due,
        } = self;
        let late = HandshakeError::TimedOut {
            limit_ms: shared.handshake_ms(),
        };
        let encrypted = tokio::select! {
            encrypted = timeout_at(due, encrypt(stage, remote, &shared)) => encrypted,
            () = gave_way.wait() => return Err(HandshakeError::GaveWay),
        };
        let wire = match encrypted {
            Ok(Ok(Encrypted::Wire(wire))) => wire,
            Ok(Ok(Encrypted::Http(io))) => {
                let request = PlainHttp {
                    io,
                    remote,
                    gave_way,
                    _permit: permit,
                };
                hand_over(&shared, request, due).await;
                return Err(HandshakeError::PlainHttp);
            }
            Ok(Err(lost)) => return Err(lost.into()),
            Err(_) => return Err(late),
        };
        let permit = Arc::new(Mutex::new(permit));
        let link = Link::new(wire, Some(permit.clone()));
        let place = |peer: &Authenticated| {
            let mut permit = permit
                .lock()
                .expect("no code panics while it holds this lock");
            permit
                .authenticated(peer.role(), peer.key)
                .map_err(|turned_away| Refusal::new(turned_away.code(), turned_away.to_string()))
        };
        let let_in = |peer: Authenticated| async move {
            let answer = authorize(peer.clone());
            let welcome = answer.await?;
            place(&peer)?;
            Ok(welcome)
        };
        let answering = handshake::answer(&link, shared.own.clone(), let_in);
        let answered = tokio::select! {
            answered = timeout_at(due, answering) => answered.unwrap_or(Err(late)),
            () = gave_way.wait() => Err(HandshakeError::GaveWay),
        };
        match answered {
            Ok(peer) => Ok(AcceptedConnection {
                link,
                peer: Arc::new(peer),
            }),
            Err(error) => {
                link.close(error.code(), &error.to_string());
                Err(error)
            }
        }
    }
}

/// What is below the session, once TLS is done.
enum Encrypted {
    Wire(Wire),
    Http(Rewound),
}

async fn encrypt(stage: Stage, remote: SocketAddr, shared: &Shared) -> Result<Encrypted, Lost> {
    match stage {
        Stage::Quic(connecting) => Ok(Encrypted::Wire(Wire::Quic(connecting.await?))),
        Stage::Upgraded(io) => {
            let socket = websocket::from_upgraded(io).await;
            Ok(Encrypted::Wire(mux(socket, remote, shared)))
        }
        Stage::Tcp(stream) => {
            let tls = shared
                .acceptor
                .accept(stream)
                .await
                .map_err(|error| fault(&error))?;
            match websocket::accept(Box::new(tls))
                .await
                .map_err(|error| fault(&error))?
            {
                Wanted::Session(socket) => Ok(Encrypted::Wire(mux(socket, remote, shared))),
                Wanted::Http(io) => Ok(Encrypted::Http(io)),
            }
        }
    }
}

fn mux(socket: WebSocketStream<Box<dyn Io>>, remote: SocketAddr, shared: &Shared) -> Wire {
    let alive = shared.muxes.subscribe();
    Wire::Mux(Mux::new(socket, Mode::Server, remote, Some(alive)))
}

fn fault(error: &io::Error) -> Lost {
    Lost::Fault {
        detail: error.to_string(),
    }
}

async fn hand_over(shared: &Shared, request: PlainHttp, due: Instant) {
    let remote = request.remote;
    let refused = match &shared.http {
        Some(http) => match http.try_send(request) {
            Ok(()) => return,
            Err(error) => error.into_inner(),
        },
        None => request,
    };
    // Who does not read the answer keeps no place by it.
    match timeout_at(due, websocket::not_found(refused.io)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%remote, %error, "no answer to a plain HTTP request"),
        Err(_) => tracing::debug!(%remote, "nobody read the answer to a plain HTTP request"),
    }
}

/// An HTTP connection that came to the WebSocket's port and wants no session: TLS is done, and
/// the request is to be read from its first byte. It holds its place among the connections, and
/// counts as an unfinished handshake: public HTTP is for strangers, and is short. When it must give
/// way to other strangers, reading and writing fail.
#[derive(Debug)]
pub struct PlainHttp {
    io: Rewound,
    remote: SocketAddr,
    gave_way: GaveWay,
    _permit: Permit,
}

impl PlainHttp {
    /// Where the client is.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    fn poll_place(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.gave_way.poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for PlainHttp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_place(cx)?;
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PlainHttp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_place(cx)?;
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
