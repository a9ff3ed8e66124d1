//! The fallback: one binary WebSocket over TLS over TCP, yamux on it, one yamux stream per call.
//! Spec: SES-6.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{AsyncRead, AsyncWrite, Sink as _, SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

use super::stream::{Ended, Stream};
use super::tls::{Offer, config};
use super::{Connection, DialError, SOON, Server, Via, Wire};
use crate::crypto::keys::PublicKey;

/// The path of the upgrade request.
pub const PATH: &str = "/pli/1";
/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "pli.1";
/// WebSocket close codes from here on are ours: 4000 + code.
const CLOSE_BASE: u16 = 4_000;
/// How long a broken stream waits for the reason of the connection's end.
const REASON_WAIT: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<TlsStream<TcpStream>>;

pub async fn websocket(
    address: SocketAddr,
    authority: &str,
    offer: &Offer,
) -> Result<Connection, DialError> {
    let (tls, certified) = secure(address, authority, offer).await?;
    let group = tls.get_ref().1.negotiated_key_exchange_group();
    let group = group.map(|group| format!("{:?}", group.name()));
    let socket = upgrade(tls, authority, PATH).await?;
    Ok(Connection {
        wire: Wire::WebSocket(Mux::start(socket)),
        certified,
        group,
    })
}

/// TCP and TLS: the stream and the Ed25519 key of the certificate.
async fn secure(
    address: SocketAddr,
    authority: &str,
    offer: &Offer,
) -> Result<(TlsStream<TcpStream>, Option<PublicKey>), DialError> {
    let (tls, found) = config(offer);
    let name = ServerName::try_from(authority.to_owned())
        .map_err(|why| DialError::Address(why.to_string()))?;
    let tcp = within("TCP", TcpStream::connect(address)).await?;
    let _ = tcp.set_nodelay(true);
    let tls = within("TLS", TlsConnector::from(Arc::new(tls)).connect(name, tcp)).await?;
    let certified = *found
        .lock()
        .expect("no code panics while it holds this lock");
    Ok((tls, certified))
}

async fn upgrade(
    tls: TlsStream<TcpStream>,
    authority: &str,
    path: &str,
) -> Result<Socket, DialError> {
    let mut request = format!("wss://{authority}{path}")
        .into_client_request()
        .map_err(|why| DialError::Address(why.to_string()))?;
    request.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    let upgraded = within("WebSocket", tokio_tungstenite::client_async(request, tls)).await?;
    Ok(upgraded.0)
}

async fn within<T, E: std::fmt::Display>(
    stage: &'static str,
    doing: impl Future<Output = Result<T, E>>,
) -> Result<T, DialError> {
    match tokio::time::timeout(SOON, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(why)) => Err(DialError::Refused {
            stage,
            why: why.to_string(),
        }),
        Err(_) => Err(DialError::TimedOut {
            stage,
            within: SOON,
        }),
    }
}

/// What is said on the port that is no session.
#[derive(Clone, Copy, Debug)]
pub enum NotASession {
    OtherPath,
    PlainGet,
    TextMessage,
    Garbage,
}

/// Says it. `Ok(Err(why))` when the server took it for a session or left it open.
pub async fn misuse(server: &Server, how: NotASession) -> Result<Result<(), String>, DialError> {
    let address = server.resolve(Via::WebSocket).await?;
    let (tls, _) = secure(address, &server.authority, &Offer::right(Via::WebSocket)).await?;
    let message = match how {
        NotASession::OtherPath => {
            return match upgrade(tls, &server.authority, "/pli/2").await {
                Err(DialError::Refused {
                    stage: "WebSocket", ..
                }) => Ok(Ok(())),
                Err(error) => Err(error),
                Ok(_) => Ok(Err("upgraded at another path".to_owned())),
            };
        }
        NotASession::PlainGet => return plain_get(tls, &server.authority).await,
        NotASession::TextMessage => Message::Text("hello".into()),
        // Version 0xff of yamux.
        NotASession::Garbage => Message::Binary(vec![0xff; 64].into()),
    };
    let mut socket = upgrade(tls, &server.authority, PATH).await?;
    within("WebSocket", socket.send(message)).await?;
    let closed = async { while let Some(Ok(_)) = socket.next().await {} };
    match tokio::time::timeout(SOON, closed).await {
        Ok(()) => Ok(Ok(())),
        Err(_) => Ok(Err(format!("still open after {} s", SOON.as_secs()))),
    }
}

async fn plain_get(
    mut tls: TlsStream<TcpStream>,
    authority: &str,
) -> Result<Result<(), String>, DialError> {
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    within("HTTP", tls.write_all(request.as_bytes())).await?;
    let mut head = [0; 12];
    let answered = tokio::time::timeout(SOON, tls.read_exact(&mut head)).await;
    // Closed without a word is as good as 4xx; 101 or 200 is not.
    Ok(match answered {
        Ok(Ok(_)) if head.starts_with(b"HTTP/1.1 4") || head.starts_with(b"HTTP/1.0 4") => Ok(()),
        Ok(Ok(_)) => Err(format!("answered {:?}", String::from_utf8_lossy(&head))),
        Ok(Err(_)) => Ok(()),
        Err(_) => Err(format!("no answer within {} s", SOON.as_secs())),
    })
}

/// Lets a stream learn why its connection ended.
#[derive(Clone, Debug)]
pub struct Losing(watch::Receiver<Option<Ended>>);

impl Losing {
    async fn wait(mut self) -> Ended {
        let ended = match self.0.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone(),
            Err(_) => None,
        };
        ended.unwrap_or_else(|| Ended::Broken("the connection is gone".to_owned()))
    }

    /// The reason, if the connection ends now.
    pub async fn soon(&self) -> Option<Ended> {
        tokio::time::timeout(REASON_WAIT, self.clone().wait())
            .await
            .ok()
    }
}

type Opening = oneshot::Sender<Result<yamux::Stream, String>>;

/// A handle on the task that drives yamux; the connection closes when it is dropped.
#[derive(Debug)]
pub struct Mux {
    open: mpsc::Sender<Opening>,
    losing: Losing,
}

impl Mux {
    fn start(socket: Socket) -> Self {
        let (lost, losing) = watch::channel(None);
        let (open, opening) = mpsc::channel(1);
        let bytes = Bytes {
            socket,
            received: Vec::new(),
            at: 0,
            lost: lost.clone(),
            unheard: false,
        };
        let connection =
            yamux::Connection::new(bytes, yamux::Config::default(), yamux::Mode::Client);
        tokio::spawn(drive(connection, opening, lost));
        Self {
            open,
            losing: Losing(losing),
        }
    }

    pub(super) async fn open(&self) -> Result<Stream, Ended> {
        let (ask, answer) = oneshot::channel();
        if self.open.send(ask).await.is_err() {
            return Err(self.closed().await);
        }
        match answer.await {
            Ok(Ok(stream)) => Ok(Stream::websocket(stream, self.losing.clone())),
            Ok(Err(why)) => Err(self.losing.soon().await.unwrap_or(Ended::Broken(why))),
            Err(_) => Err(self.closed().await),
        }
    }

    pub(super) async fn closed(&self) -> Ended {
        self.losing.clone().wait().await
    }
}

/// Drives the connection until it ends or nobody holds it any more.
async fn drive(
    mut connection: yamux::Connection<Bytes>,
    mut opening: mpsc::Receiver<Opening>,
    lost: watch::Sender<Option<Ended>>,
) {
    let mut asked: Option<Opening> = None;
    let why = poll_fn(|cx| {
        loop {
            if let Some(answer) = asked.take() {
                match connection.poll_new_outbound(cx) {
                    Poll::Ready(Ok(stream)) => {
                        let _ = answer.send(Ok(stream));
                        continue;
                    }
                    Poll::Ready(Err(why)) => {
                        let _ = answer.send(Err(why.to_string()));
                    }
                    Poll::Pending => asked = Some(answer),
                }
            }
            if asked.is_none() {
                match opening.poll_recv(cx) {
                    Poll::Ready(Some(answer)) => {
                        asked = Some(answer);
                        continue;
                    }
                    Poll::Ready(None) => return Poll::Ready("closed by the suite".to_owned()),
                    Poll::Pending => {}
                }
            }
            // Streams are opened by the dialler alone; one from the server is dropped, which resets it.
            match ready!(connection.poll_next_inbound(cx)) {
                Some(Ok(_stream)) => {}
                Some(Err(why)) => return Poll::Ready(why.to_string()),
                None => return Poll::Ready("yamux ended".to_owned()),
            }
        }
    })
    .await;
    // The close frame's reason, if there was one, stays.
    lost.send_if_modified(|ended| {
        ended
            .is_none()
            .then(|| *ended = Some(Ended::Broken(why)))
            .is_some()
    });
    let _ = tokio::time::timeout(REASON_WAIT, poll_fn(|cx| connection.poll_close(cx))).await;
}

/// The WebSocket as a plain stream of bytes.
struct Bytes {
    socket: Socket,
    received: Vec<u8>,
    at: usize,
    lost: watch::Sender<Option<Ended>>,
    /// The server takes nothing more; its close frame may still be unread.
    unheard: bool,
}

fn other(why: impl std::fmt::Display) -> io::Error {
    io::Error::other(why.to_string())
}

impl AsyncRead for Bytes {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.at == this.received.len() {
            match ready!(this.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(bytes))) => {
                    this.received = bytes.to_vec();
                    this.at = 0;
                }
                Some(Ok(Message::Close(frame))) => {
                    let ended = match frame {
                        Some(frame) if u16::from(frame.code) >= CLOSE_BASE => Ended::Closed {
                            code: u64::from(u16::from(frame.code) - CLOSE_BASE),
                            reason: frame.reason.to_string(),
                        },
                        Some(frame) => Ended::Closed {
                            code: 0,
                            reason: format!("{} {}", frame.code, frame.reason),
                        },
                        None => Ended::Closed {
                            code: 0,
                            reason: String::new(),
                        },
                    };
                    this.lost.send_if_modified(|lost| {
                        lost.is_none().then(|| *lost = Some(ended)).is_some()
                    });
                }
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(other("a text message on a binary WebSocket")));
                }
                Some(Ok(_)) => {}
                Some(Err(why)) => return Poll::Ready(Err(other(why))),
                None => return Poll::Ready(Ok(0)),
            }
        }
        let length = buffer.len().min(this.received.len() - this.at);
        buffer[..length].copy_from_slice(&this.received[this.at..this.at + length]);
        this.at += length;
        Poll::Ready(Ok(length))
    }
}

/// A failed write ends nothing: reading goes on until it finds why.
impl AsyncWrite for Bytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.unheard {
            let mut sent = ready!(self.socket.poll_ready_unpin(cx));
            if sent.is_ok() {
                let message = Message::Binary(bytes.to_vec().into());
                sent = self.socket.start_send_unpin(message);
            }
            self.unheard = sent.is_err();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unheard {
            self.unheard = ready!(self.socket.poll_flush_unpin(cx)).is_err();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(other)
    }
}
