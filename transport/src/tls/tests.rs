//! Handshakes in memory, honest and not.

use std::io::{Read, Write};
use std::sync::Arc;

use pli_protocol::crypto::sign::SigningKey;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConnection, Connection, NamedGroup, ProtocolVersion, ServerConnection};

use super::identity::Forged;
use super::*;

fn identity(seed: u8) -> Identity {
    Identity::new(SigningKey::from_seed(&[seed; 32])).unwrap()
}

fn client_for(seed: u8, alpn: &[u8]) -> (ClientConfig, Arc<std::sync::OnceLock<Seen>>) {
    let (pinned, seen) = Pinned::new([*identity(seed).public_key()]);
    (client_config(pinned, alpn), seen)
}

/// Runs the handshake to its end, and returns both sides.
fn shake(
    client: ClientConfig,
    server: ServerConfig,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    for _ in 0..4 {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn pass<A, B, C, D>(from: &mut A, to: &mut B) -> Result<(), rustls::Error>
where
    A: std::ops::DerefMut<Target = rustls::ConnectionCommon<C>>,
    B: std::ops::DerefMut<Target = rustls::ConnectionCommon<D>>,
    C: rustls::SideData,
    D: rustls::SideData,
{
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut bytes = &bytes[..];
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn ses_1_2_the_server_that_holds_the_pinned_key_is_taken() {
    let (client, seen) = client_for(2, ALPN);
    let (mut client, mut server) = shake(client, server_config(&identity(2), ALPN)).unwrap();
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(client.alpn_protocol(), Some(ALPN));
    let key = Box::new(*identity(2).public_key());
    assert_eq!(seen.get(), Some(&Seen::Pinned(key)));
    client.writer().write_all(b"letter").unwrap();
    pass(&mut client, &mut server).unwrap();
    let mut read = [0; 6];
    server.reader().read_exact(&mut read).unwrap();
    assert_eq!(&read, b"letter");
}

#[test]
fn ses_1_3_x25519mlkem768_is_what_two_nodes_negotiate() {
    let (client, _) = client_for(2, ALPN);
    let (client, server) = shake(client, server_config(&identity(2), ALPN)).unwrap();
    for group in [
        Connection::from(client).negotiated_key_exchange_group(),
        Connection::from(server).negotiated_key_exchange_group(),
    ] {
        assert_eq!(
            group.map(SupportedKxGroup::name),
            Some(NamedGroup::X25519MLKEM768)
        );
    }
}

#[test]
fn ses_1_3_a_peer_without_it_is_served_with_x25519() {
    let classical = CryptoProvider {
        kx_groups: vec![kx_group::X25519],
        ..(*provider()).clone()
    };
    let (pinned, _) = Pinned::new([*identity(2).public_key()]);
    let mut client = ClientConfig::builder_with_provider(Arc::new(classical))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    client.alpn_protocols = vec![ALPN.to_vec()];
    let (client, _) = shake(client, server_config(&identity(2), ALPN)).unwrap();
    let group = client
        .negotiated_key_exchange_group()
        .map(SupportedKxGroup::name);
    assert_eq!(group, Some(NamedGroup::X25519));
}

#[test]
fn ses_1_2_any_of_the_pinned_keys_is_taken_and_no_other() {
    let keys = [3, 2, 4].map(|seed| *identity(seed).public_key());
    for (held, pinned) in [(2, true), (4, true), (5, false)] {
        let (verifier, seen) = Pinned::new(keys);
        let client = client_config(verifier, ALPN);
        let taken = shake(client, server_config(&identity(held), ALPN));
        let key = Box::new(*identity(held).public_key());
        let expected = if pinned {
            Seen::Pinned(key)
        } else {
            Seen::Other(key)
        };
        assert_eq!((taken.is_ok(), seen.get()), (pinned, Some(&expected)));
    }
}

#[test]
fn ses_1_2_another_key_is_refused_and_named() {
    let (client, seen) = client_for(3, ALPN);
    let refused = shake(client, server_config(&identity(2), ALPN)).map(drop);
    assert!(
        matches!(refused, Err(rustls::Error::InvalidCertificate(_))),
        "{refused:?}"
    );
    assert_eq!(
        seen.get(),
        Some(&Seen::Other(Box::new(*identity(2).public_key())))
    );
}

#[test]
fn ses_1_2_the_certificate_without_its_secret_key_is_refused() {
    // Anybody can copy a certificate. What they cannot do is sign the handshake.
    let mut server = server_config(&identity(2), ALPN);
    server.cert_resolver = Forged::resolver(&identity(2), SigningKey::from_seed(&[4; 32]));
    let (client, seen) = client_for(2, ALPN);
    let refused = shake(client, server).map(drop);
    let bad = rustls::CertificateError::BadSignature;
    assert_eq!(refused, Err(rustls::Error::InvalidCertificate(bad)));
    assert_eq!(
        seen.get(),
        Some(&Seen::Pinned(Box::new(*identity(2).public_key()))),
        "the key is the right one; who shows it does not have it"
    );
}

#[test]
fn ses_1_2_a_certificate_of_the_web_is_refused() {
    let web = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let secret = PrivatePkcs8KeyDer::from(web.signing_key.serialize_der());
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(web.cert)], secret.into())
        .unwrap();
    server.alpn_protocols = vec![ALPN.to_vec()];
    let (client, _) = client_for(2, ALPN);
    // The dialler offers Ed25519 signatures only, so such a server cannot even answer.
    assert!(shake(client, server).is_err());
}

#[test]
fn ses_1_1_another_application_protocol_is_refused() {
    let (client, _) = client_for(2, b"h3");
    let refused = shake(client, server_config(&identity(2), ALPN)).map(drop);
    assert_eq!(refused, Err(rustls::Error::NoApplicationProtocol));
}

#[test]
fn ses_1_1_tls_1_2_is_refused() {
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(identity(2).resolver());
    server.alpn_protocols = vec![ALPN.to_vec()];
    let (client, _) = client_for(2, ALPN);
    assert!(shake(client, server).is_err());
}

#[test]
fn ses_1_4_no_early_data_no_tickets_no_key_log() {
    let server = server_config(&identity(2), ALPN);
    assert_eq!(
        (server.max_early_data_size, server.send_tls13_tickets),
        (0, 0)
    );
    assert!(!server.session_storage.can_cache());
    let (client, _) = client_for(2, ALPN);
    assert!(!client.enable_early_data);
    for label in ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"] {
        assert!(!server.key_log.will_log(label) && !client.key_log.will_log(label));
    }
}
