//! TLS 1.3 with self-signed node certificates and pinned keys. Spec: SES-1.1 to SES-1.4.
//!
//! In: an Ed25519 key of a node, or the key to expect. Out: rustls configurations. The web PKI
//! has no part in it: the directory says which key a node has, and no certificate authority can
//! put another in its place. No 0-RTT (it could be replayed), no resumption (it would skip the
//! check of the key), no key log.

mod identity;
mod pinned;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

pub use identity::Identity;
pub(crate) use pinned::{Pinned, Seen};

/// QUIC's application protocol. SES-1.1.
pub const ALPN: &[u8] = b"pli/1";
/// The fallback speaks HTTP first.
pub(crate) const ALPN_HTTP: &[u8] = b"http/1.1";
/// Sent instead of a host name: which authority is dialled is nobody else's business, and the
/// pinned key says more than a name could. RFC 6761 keeps it from ever being a real name.
pub(crate) const SERVER_NAME: &str = "pli.invalid";

/// AWS-LC, named here because more than one provider may be compiled in. Its first key exchange
/// is X25519MLKEM768: what is recorded today stays closed to a quantum computer.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

pub(crate) fn server_config(identity: &Identity, alpn: &[u8]) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("AWS-LC has TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![alpn.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config
}

pub(crate) fn client_config(pinned: Pinned, alpn: &[u8]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("AWS-LC has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

#[cfg(test)]
mod tests;
