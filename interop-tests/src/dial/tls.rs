//! What the suite offers in TLS, and the server key it finds. The suite accepts any certificate and
//! writes its key down: whether it is the right key is a case's question, not the library's.
//! Spec: SES-1.

use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
};

use super::Via;
use crate::crypto::keys::PublicKey;

/// ALPN of Pli over QUIC.
pub const ALPN_PLI: &[u8] = b"pli/1";
/// ALPN of the WebSocket's HTTP.
pub const ALPN_HTTP: &[u8] = b"http/1.1";

/// DER of a SubjectPublicKeyInfo for Ed25519 (RFC 8410) up to the key itself.
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The key exchange groups to offer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Groups {
    /// X25519MLKEM768, then the classical ones.
    Preferred,
    OnlyHybrid,
    OnlyX25519,
}

/// What a dialler offers in TLS.
#[derive(Clone, Debug)]
pub struct Offer {
    pub alpn: Vec<Vec<u8>>,
    pub groups: Groups,
    /// TLS 1.2 and nothing newer.
    pub only_tls12: bool,
}

impl Offer {
    pub fn right(via: Via) -> Self {
        let alpn = match via {
            Via::Quic => ALPN_PLI,
            Via::WebSocket => ALPN_HTTP,
        };
        Self {
            alpn: vec![alpn.to_vec()],
            groups: Groups::Preferred,
            only_tls12: false,
        }
    }
}

/// Where the verifier leaves the certificate's key.
pub type Found = Arc<Mutex<Option<PublicKey>>>;

/// A client configuration for the offer.
pub fn config(offer: &Offer) -> (ClientConfig, Found) {
    let hybrid: &dyn SupportedKxGroup = aws_lc_rs::kx_group::X25519MLKEM768;
    let classical = [aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = match offer.groups {
        Groups::Preferred => vec![hybrid, classical[0], classical[1]],
        Groups::OnlyHybrid => vec![hybrid],
        Groups::OnlyX25519 => vec![classical[0]],
    };
    let versions: &[&SupportedProtocolVersion] = if offer.only_tls12 {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13]
    };
    let algorithms = provider.signature_verification_algorithms;
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    let found = Found::default();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("the provider has cipher suites of both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(WriteDown {
            found: found.clone(),
            algorithms,
        }))
        .with_no_client_auth();
    config.alpn_protocols = offer.alpn.clone();
    (config, found)
}

#[derive(Debug)]
struct WriteDown {
    found: Found,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for WriteDown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let info = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let key = info
            .strip_prefix(&ED25519_SPKI[..])
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .map(PublicKey);
        *self
            .found
            .lock()
            .expect("no code panics while it holds this lock") = key;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
