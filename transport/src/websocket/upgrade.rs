//! From a byte stream to a WebSocket, as either side; the server's port is shared with plain
//! HTTP. Spec: SES-6.1.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::bytes::{Buf, Bytes, BytesMut};
use pli_protocol::limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config, client_async_with_config};

/// Where the session is, on the port that it shares with HTTP.
pub const WEBSOCKET_PATH: &str = "/pli/1";
/// `Sec-WebSocket-Protocol`: what the messages are.
pub const WEBSOCKET_PROTOCOL: &str = "pli.1";

/// The head of an HTTP request, which is read before anything else is known of the peer.
const HEAD_MAX: usize = 8_192;
/// One WebSocket message. The bounds of messages mean nothing; this bounds the buffers. SES-6.3.
const MESSAGE_MAX: usize = limits::FRAME_MAX + YAMUX_HEADER;
pub(super) const YAMUX_HEADER: usize = 12;
const READ_BUFFER: usize = 16_384;
const HEAD_END: &[u8] = b"\r\n\r\n";
const PROTOCOL_HEADER: &str = "sec-websocket-protocol";

/// A byte stream below the session: TLS over TCP, or what an HTTP server hands over.
pub trait Io: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Io for T {}

/// What somebody wanted who connected to the shared port.
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
pub(crate) enum Wanted {
    Session(WebSocketStream<Box<dyn Io>>),
    /// A plain HTTP request, to be read from its first byte.
    Http(Rewound),
}

/// Reads the head of the first request and finds out what it wants.
pub(crate) async fn accept(mut io: Box<dyn Io>) -> io::Result<Wanted> {
    let head = read_head(&mut io).await?;
    let wants_session = asks_for_session(&head);
    let rewound = Rewound { prefix: head, io };
    if !wants_session {
        return Ok(Wanted::Http(rewound));
    }
    let socket = accept_hdr_async_with_config(
        Box::new(rewound) as Box<dyn Io>,
        check_protocol,
        Some(config()),
    );
    socket.await.map(Wanted::Session).map_err(io::Error::other)
}

/// Asks the server at the other end of `io` for a session.
pub(crate) async fn dial(io: Box<dyn Io>) -> io::Result<WebSocketStream<Box<dyn Io>>> {
    let uri = Uri::builder()
        .scheme("ws")
        .authority(crate::tls::SERVER_NAME)
        .path_and_query(WEBSOCKET_PATH)
        .build()
        .expect("constants make a URI");
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(WEBSOCKET_PROTOCOL);
    let dialled = client_async_with_config(request, io, Some(config())).await;
    dialled.map(|(socket, _)| socket).map_err(io::Error::other)
}

/// A stream on which somebody else has done the WebSocket handshake as the server.
pub(crate) async fn from_upgraded(io: Box<dyn Io>) -> WebSocketStream<Box<dyn Io>> {
    WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await
}

/// The answer to plain HTTP where nobody serves it.
pub(crate) async fn not_found(mut io: Rewound) -> io::Result<()> {
    io.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await?;
    io.shutdown().await
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MESSAGE_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
}

async fn read_head(io: &mut Box<dyn Io>) -> io::Result<Bytes> {
    let mut head = BytesMut::with_capacity(1_024);
    loop {
        let seen = head.len();
        if io.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The end may lie across two reads.
        let from = seen.saturating_sub(HEAD_END.len() - 1);
        if head[from..]
            .windows(HEAD_END.len())
            .any(|bytes| bytes == HEAD_END)
        {
            return Ok(head.freeze());
        }
        if head.len() > HEAD_MAX {
            return Err(io::Error::other("the head of the request is too long"));
        }
    }
}

/// Only decides who reads the request: the WebSocket library checks all of it again.
fn asks_for_session(head: &[u8]) -> bool {
    let Ok(head) = std::str::from_utf8(head) else {
        return false;
    };
    let mut lines = head.split("\r\n");
    let mut request = lines.next().unwrap_or_default().split(' ');
    let upgrade = |line: &str| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("upgrade") && value.trim().eq_ignore_ascii_case("websocket")
        })
    };
    request.next() == Some("GET") && request.next() == Some(WEBSOCKET_PATH) && lines.any(upgrade)
}

#[expect(clippy::result_large_err, reason = "the library's signature")]
fn check_protocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(PROTOCOL_HEADER).iter();
    let speaks_pli = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == WEBSOCKET_PROTOCOL);
    if !speaks_pli {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    response.headers_mut().insert(
        PROTOCOL_HEADER,
        HeaderValue::from_static(WEBSOCKET_PROTOCOL),
    );
    Ok(response)
}

/// A stream of which the first bytes have been read, and are given out again.
#[derive(Debug)]
pub(crate) struct Rewound {
    prefix: Bytes,
    io: Box<dyn Io>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.prefix.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        let length = this.prefix.len().min(buffer.remaining());
        buffer.put_slice(&this.prefix[..length]);
        this.prefix.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
