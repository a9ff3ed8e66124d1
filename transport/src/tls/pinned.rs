//! Takes the keys of one server and no other. Spec: SES-1.2.

use std::sync::{Arc, OnceLock};

use pli_protocol::crypto::sign::{KEY_LEN, PublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

/// `SubjectPublicKeyInfo` of an Ed25519 key up to the key itself (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const SPKI_LEN: usize = SPKI_PREFIX.len() + KEY_LEN;

pub(super) fn subject_public_key_info(key: &PublicKey) -> [u8; SPKI_LEN] {
    let mut der = [0; SPKI_LEN];
    der[..SPKI_PREFIX.len()].copy_from_slice(&SPKI_PREFIX);
    der[SPKI_PREFIX.len()..].copy_from_slice(key.as_bytes());
    der
}

/// What the server showed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// One of the pinned keys. That the server holds it, TLS checks next.
    Pinned(Box<PublicKey>),
    Other(Box<PublicKey>),
    NoEd25519Key,
}

/// The verifier of one dial to one server.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// SES-1.2: any of them, since a server in the middle of a change has several.
    expected: Arc<[PublicKey]>,
    /// rustls passes nothing typed up; it is left here.
    seen: Arc<OnceLock<Seen>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    /// The verifier, and where it says what it saw.
    pub(crate) fn new(expected: impl Into<Arc<[PublicKey]>>) -> (Self, Arc<OnceLock<Seen>>) {
        let seen = Arc::new(OnceLock::new());
        let algorithms = super::provider().signature_verification_algorithms;
        (
            Self {
                expected: expected.into(),
                seen: seen.clone(),
                algorithms,
            },
            seen,
        )
    }
}

impl ServerCertVerifier for Pinned {
    // Names, dates and issuers of the certificate are not looked at: the directory says which
    // key is whose and for how long, and rustls checks next that the server holds this key.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let shown = parsed.subject_public_key_info();
        let shows = |key: &&PublicKey| shown.as_ref() == subject_public_key_info(key);
        let pinned = self.expected.iter().find(shows);
        let seen = match pinned {
            Some(key) => Seen::Pinned(Box::new(*key)),
            None => shown
                .strip_prefix(&SPKI_PREFIX)
                .and_then(|raw| PublicKey::from_bytes(raw).ok())
                .map_or(Seen::NoEd25519Key, |key| Seen::Other(Box::new(key))),
        };
        // Only the first dial of this verifier can set it, and there is only one.
        let _ = self.seen.set(seen);
        match pinned {
            Some(_) => Ok(ServerCertVerified::assertion()),
            None => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
