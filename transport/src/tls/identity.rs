//! A node's key as a TLS certificate. Spec: SES-1.2.

use std::fmt;
use std::sync::Arc;

use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::SERVER_NAME;
use super::pinned::subject_public_key_info;
use crate::error::BindError;
use crate::quic::ResetKey;

/// A node's key and the certificate that it signs for itself.
#[derive(Clone)]
pub struct Identity {
    key: Arc<SigningKey>,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Makes the certificate.
    pub fn new(key: SigningKey) -> Result<Self, BindError> {
        let key = Arc::new(key);
        let failed = |error: rcgen::Error| BindError::Certificate {
            detail: error.to_string(),
        };
        let parameters = rcgen::CertificateParams::new([SERVER_NAME.to_owned()]).map_err(failed)?;
        let certificate = parameters
            .self_signed(&NodeKey(key.clone()))
            .map_err(failed)?;
        let chain = vec![CertificateDer::from(certificate)];
        let certified = CertifiedKey::new(chain, Arc::new(NodeKey(key.clone())));
        Ok(Self {
            key,
            certified: Arc::new(certified),
        })
    }

    /// The key that diallers pin.
    pub fn public_key(&self) -> &PublicKey {
        self.key.public()
    }

    pub(crate) fn reset_key(&self) -> ResetKey {
        ResetKey::of(&self.key)
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Always(self.certified.clone()))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public_key())
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Signs for rcgen and rustls without handing the secret to either. What TLS has signed can
/// not be mistaken for an object of Pli: it opens with 64 spaces (RFC 8446, section 4.4.3),
/// ours with a context.
#[derive(Clone, Debug)]
struct NodeKey(Arc<SigningKey>);

impl rcgen::PublicKeyData for NodeKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.public().as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for NodeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).to_vec())
    }
}

impl rustls::sign::SigningKey for NodeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        offered
            .contains(&SignatureScheme::ED25519)
            .then(|| Box::new(self.clone()) as Box<dyn rustls::sign::Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(subject_public_key_info(self.0.public()).to_vec().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl rustls::sign::Signer for NodeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.0.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A thief: shows the certificate of one key and signs with another.
#[cfg(test)]
pub(super) struct Forged;

#[cfg(test)]
impl Forged {
    pub(super) fn resolver(shown: &Identity, held: SigningKey) -> Arc<dyn ResolvesServerCert> {
        let key = Arc::new(NodeKey(Arc::new(held)));
        Arc::new(Always(Arc::new(CertifiedKey::new(
            shown.certified.cert.clone(),
            key,
        ))))
    }
}
