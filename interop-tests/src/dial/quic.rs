//! QUIC version 1 with quinn. Spec: SES-1.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;

use super::tls::{Offer, config};
use super::{Connection, DialError, SOON, Wire};

pub async fn quic(
    address: SocketAddr,
    authority: &str,
    offer: &Offer,
) -> Result<Connection, DialError> {
    let local: SocketAddr = if address.is_ipv6() {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    }
    .parse()
    .expect("an address literal");
    let (tls, found) = config(offer);
    let crypto = QuicClientConfig::try_from(tls)
        .map_err(|why| DialError::Address(format!("this offer cannot be made over QUIC: {why}")))?;
    let mut endpoint = quinn::Endpoint::client(local)
        .map_err(|why| DialError::Address(format!("no UDP socket: {why}")))?;
    let mut client = quinn::ClientConfig::new(Arc::new(crypto));
    let mut transport = quinn::TransportConfig::default();
    // A case may wait long for the server to lose patience; the connection must not die before.
    transport.keep_alive_interval(Some(std::time::Duration::from_secs(10)));
    client.transport_config(Arc::new(transport));
    endpoint.set_default_client_config(client);
    let refused = |stage, why: String| DialError::Refused { stage, why };
    let connecting = endpoint
        .connect(address, authority)
        .map_err(|why| DialError::Address(why.to_string()))?;
    let connection = tokio::time::timeout(SOON, connecting)
        .await
        .map_err(|_| DialError::TimedOut {
            stage: "QUIC",
            within: SOON,
        })?
        .map_err(|why| refused("QUIC", why.to_string()))?;
    let certified = *found
        .lock()
        .expect("no code panics while it holds this lock");
    Ok(Connection {
        wire: Wire::Quic {
            connection,
            _endpoint: endpoint,
        },
        certified,
        group: None,
    })
}
