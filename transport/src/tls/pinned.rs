//! Takes one server key and no other. Spec: SES-1.2.

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

/// What the server showed in place of the pinned key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    Key(Box<PublicKey>),
    NoEd25519Key,
}

/// The verifier of one dial to one server.
#[derive(Debug)]
pub(crate) struct Pinned {
    expected: PublicKey,
    /// rustls passes no typed reason up; it is left here.
    mismatch: Arc<OnceLock<Seen>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    /// The verifier, and where it says what it saw if it refuses.
    pub(crate) fn new(expected: PublicKey) -> (Self, Arc<OnceLock<Seen>>) {
        let mismatch = Arc::new(OnceLock::new());
        let algorithms = super::provider().signature_verification_algorithms;
        (
            Self {
                expected,
                mismatch: mismatch.clone(),
                algorithms,
            },
            mismatch,
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
        if shown.as_ref() == subject_public_key_info(&self.expected) {
            return Ok(ServerCertVerified::assertion());
        }
        let key = shown
            .strip_prefix(&SPKI_PREFIX)
            .and_then(|raw| PublicKey::from_bytes(raw).ok());
        // Only the first dial of this verifier can set it, and there is only one.
        let _ = self
            .mismatch
            .set(key.map_or(Seen::NoEd25519Key, |key| Seen::Key(Box::new(key))));
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
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
