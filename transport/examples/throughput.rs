//! How fast bytes cross one connection on this machine, sender and receiver in one process:
//! raw quinn with 1 KiB messages as the limit, then frames over QUIC and over WebSocket.
//!
//! `cargo run --release -p pli-transport --example throughput [MiB]`

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::Timestamp;
use pli_protocol::session::{Principal, ServerIdentity, Welcome};
use pli_transport::{
    AcceptedConnection, Credential, DialledConnection, Dialler, Endpoints, Identity, Listener,
    ListenerConfig, ListenerLimits, Via,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LOOPBACK: &str = "127.0.0.1:0";
const DEFAULT_MIB: usize = 512;
const MESSAGE: usize = 1_024;
const FRAME: usize = 61_440;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mib = std::env::args()
        .nth(1)
        .map_or(Ok(DEFAULT_MIB), |text| text.parse())?;
    let bytes = mib << 20;
    report(
        "raw quinn, 1 KiB messages",
        bytes,
        raw_quinn(bytes, MESSAGE).await?,
    );
    report(
        "raw quinn, 60 KiB writes",
        bytes,
        raw_quinn(bytes, FRAME).await?,
    );
    for (via, size) in [
        (Via::Quic, MESSAGE),
        (Via::Quic, FRAME),
        (Via::WebSocket, MESSAGE),
        (Via::WebSocket, FRAME),
    ] {
        let name = format!("{via}, frames of {size} B");
        report(&name, bytes, frames(via, bytes, size).await?);
    }
    Ok(())
}

fn report(what: &str, bytes: usize, took: Duration) {
    let rate = bytes as f64 / 1e6 / took.as_secs_f64();
    println!("{what:32} {rate:8.0} MB/s");
}

async fn frames(via: Via, bytes: usize, size: usize) -> Outcome<Duration> {
    let (dialled, accepted, _listener) = connect(via).await?;
    let count = bytes / size;
    let started = Instant::now();
    let receiver = tokio::spawn(async move {
        let mut call = accepted.accept_call().await?;
        let mut got = 0;
        while let Some(frame) = call.recv.next().await? {
            got += frame.len();
        }
        // One byte back, so that the time is that of the last byte's arrival.
        call.send.send(vec![1]).await?;
        call.send.finish().await?;
        Outcome::Ok((got, accepted))
    });
    let mut call = dialled.open_call().await?;
    let body = Bytes::from(vec![7; size]);
    let mut left = count;
    while left > 0 {
        let batch = left.min((256 << 10) / size);
        call.send
            .send_many(std::iter::repeat_n(body.clone(), batch))
            .await?;
        left -= batch;
    }
    call.send.finish().await?;
    call.recv.next().await?;
    let took = started.elapsed();
    let (got, _accepted) = receiver.await??;
    assert_eq!(got, count * size, "every byte arrived");
    Ok(took)
}

async fn connect(via: Via) -> Outcome<(DialledConnection, AcceptedConnection, Listener)> {
    let own = SigningKey::from_seed(&[2; 32]);
    let server = ServerIdentity {
        authority: "social.gouv.fr".parse()?,
        key: *own.public(),
    };
    let address: SocketAddr = LOOPBACK.parse()?;
    let listener = Listener::bind(ListenerConfig {
        identity: Identity::new(own)?,
        authority: server.authority.clone(),
        quic: (via == Via::Quic).then_some(address),
        websocket: (via == Via::WebSocket).then_some(address),
        http: None,
        limits: ListenerLimits::default(),
    })?;
    let endpoints = Endpoints {
        quic: listener.quic_addr().into_iter().collect(),
        websocket: listener.websocket_addr().into_iter().collect(),
    };
    let principal = Principal::Node("interieur.gouv.fr".parse()?);
    let dialler = Dialler::new(Credential {
        principal,
        key: Arc::new(SigningKey::from_seed(&[1; 32])),
    });
    let accepting = async {
        let pending = listener.accept().await.ok_or("the listener is open")?;
        let welcome = Welcome {
            server_time: Timestamp::from_ms(1),
            max_batches_in_flight: 64,
        };
        Outcome::Ok(pending.authenticate(|_| async move { Ok(welcome) }).await?)
    };
    let (dialled, accepted) = tokio::join!(dialler.connect(&server, &endpoints), accepting);
    Ok((dialled?, accepted?, listener))
}

/// quinn with its defaults, and one stream.
async fn raw_quinn(bytes: usize, size: usize) -> Outcome<Duration> {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = CertificateDer::from(key.cert);
    let secret = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], secret.into())?;
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let server = quinn::Endpoint::server(config, LOOPBACK.parse()?)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = quinn::Endpoint::client(LOOPBACK.parse()?)?;
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let connecting = client.connect_with(config, server.local_addr()?, "localhost")?;
    let receiver = tokio::spawn(async move {
        let connection = server.accept().await.ok_or("the endpoint is open")?.await?;
        let (mut send, mut recv) = connection.accept_bi().await?;
        let mut got = 0;
        while let Some(chunk) = recv.read_chunk(usize::MAX, true).await? {
            got += chunk.bytes.len();
        }
        send.write_all(&[1]).await?;
        send.finish()?;
        connection.closed().await;
        Outcome::Ok(got)
    });
    let connection = connecting.await?;
    let started = Instant::now();
    let (mut send, mut recv) = connection.open_bi().await?;
    let message = Bytes::from(vec![7; size]);
    for _ in 0..bytes / size {
        send.write_chunk(message.clone()).await?;
    }
    send.finish()?;
    recv.read_to_end(1).await?;
    let took = started.elapsed();
    connection.close(0_u32.into(), b"");
    assert_eq!(receiver.await??, bytes / size * size, "every byte arrived");
    Ok(took)
}
