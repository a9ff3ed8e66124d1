//! A server that has several keys in force, as in the middle of a change. Spec: SES-1.2, SES-1.7.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::limits::KEYS_PER_HOLDER_MAX;
use pli_transport::{AttemptError, ConnectError};
use support::*;

/// As many keys as a directory gives a node, without that of `SERVER_SEED`.
fn others() -> Vec<PublicKey> {
    let seeds = 100..100 + KEYS_PER_HOLDER_MAX as u8;
    seeds.map(|seed| *key(seed).public()).collect()
}

#[tokio::test]
async fn ses_1_2_the_dialler_learns_which_of_the_keys_the_server_has() {
    for via in VIAS {
        let mut server = Server::start();
        let mut keys = others();
        keys[3] = server.identity.key;
        let (dialler, authority) = (dialler(1), &server.identity.authority);
        let dialled = within(dialler.connect_any(authority, &keys, &server.only(via)))
            .await
            .unwrap();
        assert_eq!(dialled.server(), &server.identity, "{via}");
        server.session().await;
    }
}

/// CUS-6.3: an authority does not multiply the dials of others by the number of its keys.
#[tokio::test]
async fn ses_1_7_an_address_is_dialled_once_however_many_keys_are_in_force() {
    for via in VIAS {
        let server = Server::start();
        let (keys, authority) = (others(), &server.identity.authority);
        let refused = dialler(1)
            .connect_any(authority, &keys, &server.only(via))
            .await;
        let ConnectError::Unreachable { attempts } = refused.unwrap_err() else {
            panic!("{via}: every address was tried")
        };
        let [attempt] = &attempts[..] else {
            panic!("{via}: {attempts:?}")
        };
        let expected = AttemptError::ServerKey {
            got: Box::new(server.identity.key),
            expected: keys.into(),
        };
        assert_eq!(attempt.error, expected, "{via}");
        let said = attempt.error.to_string();
        assert!(said.ends_with("or one of 15 others"), "{said}");
        assert_eq!(server.listener.stats().admitted, 1, "{via}");
    }
}

#[tokio::test]
async fn ses_1_2_a_server_without_a_key_is_not_dialled() {
    let server = Server::start();
    let refused = dialler(1)
        .connect_any(&server.identity.authority, &[], &server.endpoints)
        .await;
    assert_eq!(refused.unwrap_err(), ConnectError::NoKey);
    assert_eq!(server.listener.stats().admitted, 0);
}
