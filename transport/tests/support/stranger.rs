//! Somebody who speaks TLS and WebSocket, and not Pli.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::SinkExt;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

pub async fn tls(server: SocketAddr) -> TlsStream<TcpStream> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    let stream = TcpStream::connect(server).await.unwrap();
    let name = ServerName::try_from("anything.example").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

pub struct Socket(WebSocketStream<TlsStream<TcpStream>>);

pub async fn websocket(server: SocketAddr) -> Socket {
    let uri = "ws://anything.example/pli/1".parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("pli.1");
    let (socket, _) = client_async(request, tls(server).await).await.unwrap();
    Socket(socket)
}

impl Socket {
    pub async fn send(&mut self, message: Message) -> Result<(), tungstenite::Error> {
        self.0.send(message).await
    }

    /// The first stream of yamux, and so many bytes on it at once.
    pub async fn send_on_a_stream(&mut self, bytes: u32) -> Result<(), tungstenite::Error> {
        // Version 0, data, SYN, stream 1, length (yamux's specification, section "Framing").
        let mut frame = vec![0, 0, 0, 1, 0, 0, 0, 1];
        frame.extend(bytes.to_be_bytes());
        frame.extend(std::iter::repeat_n(1, bytes as usize));
        for part in frame.chunks(32_768) {
            self.send(Message::Binary(part.to_vec().into())).await?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
