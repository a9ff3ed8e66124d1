//! One way to a server: one address, by QUIC or by WebSocket. Spec: SES-1.2, SES-1.3.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::session::ServerIdentity;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use yamux::Mode;

use super::{Dialler, Target};
use crate::connection::{DialledConnection, Link, Via, Wire};
use crate::error::{AttemptError, Lost};
use crate::tls::{self, Pinned, Seen};
use crate::websocket::{self, Mux};
use crate::{handshake, quic};

pub(super) async fn run(
    dialler: &Dialler,
    target: &Target<'_>,
    via: Via,
    address: SocketAddr,
) -> Result<DialledConnection, AttemptError> {
    let time = dialler.0.config.handshake_time;
    let attempt = async {
        let (wire, key) = match via {
            Via::Quic => dial_quic(dialler, target, address).await?,
            Via::WebSocket => dial_websocket(target, address).await?,
        };
        let server = ServerIdentity {
            authority: target.authority.clone(),
            key,
        };
        let link = Link::new(wire, None);
        let welcome = handshake::dial(&link, dialler.credential(), server.clone())
            .await
            .inspect_err(|error| link.close(error.code(), &error.to_string()))?;
        Ok(DialledConnection {
            link,
            server,
            welcome,
        })
    };
    timeout(time, attempt).await.unwrap_or_else(|_| {
        let limit_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Err(AttemptError::TimedOut { limit_ms })
    })
}

async fn dial_quic(
    dialler: &Dialler,
    target: &Target<'_>,
    address: SocketAddr,
) -> Result<(Wire, PublicKey), AttemptError> {
    let (pinned, seen) = Pinned::new(target.keys.clone());
    let tls = QuicClientConfig::try_from(tls::client_config(pinned, tls::ALPN))
        .expect("AWS-LC has the initial cipher suite of QUIC");
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(quic::dialler_transport()));
    let endpoint = dialler
        .endpoint(address)
        .map_err(|error| no_socket(&error))?;
    let connecting = endpoint
        .connect_with(config, address, tls::SERVER_NAME)
        .map_err(|error| AttemptError::Socket {
            detail: error.to_string(),
        })?;
    let connection = connecting
        .await
        .map_err(|error| blame(target, &seen, error.into()))?;
    Ok((Wire::Quic(connection), proven(&seen)))
}

async fn dial_websocket(
    target: &Target<'_>,
    address: SocketAddr,
) -> Result<(Wire, PublicKey), AttemptError> {
    let (pinned, seen) = Pinned::new(target.keys.clone());
    let connector = TlsConnector::from(Arc::new(tls::client_config(pinned, tls::ALPN_HTTP)));
    let name = ServerName::try_from(tls::SERVER_NAME).expect("a constant name");
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| fault(&error))?;
    stream
        .set_nodelay(true)
        .map_err(|error| no_socket(&error))?;
    let tls = connector.connect(name, stream).await;
    let tls = tls.map_err(|error| blame(target, &seen, io_lost(&error)))?;
    let socket = websocket::dial(Box::new(tls))
        .await
        .map_err(|error| fault(&error))?;
    let mux = Mux::new(socket, Mode::Client, address, None);
    Ok((Wire::Mux(mux), proven(&seen)))
}

/// Says what the verifier saw, if it was the verifier that refused.
fn blame(target: &Target<'_>, seen: &OnceLock<Seen>, lost: Lost) -> AttemptError {
    let expected = Arc::clone(&target.keys);
    match seen.get() {
        Some(Seen::Other(got)) => AttemptError::ServerKey {
            got: got.clone(),
            expected,
        },
        Some(Seen::NoEd25519Key) => AttemptError::NotANode { expected },
        Some(Seen::Pinned(_)) | None => lost.into(),
    }
}

/// The key of a server with which the TLS handshake is done.
fn proven(seen: &OnceLock<Seen>) -> PublicKey {
    match seen.get() {
        Some(Seen::Pinned(key)) => **key,
        other => unreachable!("TLS has no handshake without its verifier: {other:?}"),
    }
}

fn io_lost(error: &io::Error) -> Lost {
    Lost::Fault {
        detail: error.to_string(),
    }
}

fn fault(error: &io::Error) -> AttemptError {
    AttemptError::Lost(io_lost(error))
}

fn no_socket(error: &io::Error) -> AttemptError {
    AttemptError::Socket {
        detail: error.to_string(),
    }
}
