//! Whole handshakes, and a middleman in each place where one could stand.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::code::Code;
use crate::crypto::contexts::{self, Context};
use crate::crypto::sign::SigningKey;
use crate::id::Timestamp;
use crate::{codec, signed, wire};

const NONCE: [u8; 32] = [9; 32];

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn identity(seed: u8) -> ServerIdentity {
    ServerIdentity {
        authority: "social.gouv.fr".parse().unwrap(),
        key: *key(seed).public(),
    }
}

fn service() -> Principal {
    Principal::Service("rdv@interieur.gouv.fr".parse().unwrap())
}

fn server(seed: u8) -> ServerHandshake {
    ServerHandshake::new(identity(seed), Nonce::from_random(NONCE))
}

fn welcome() -> Welcome {
    Welcome {
        server_time: Timestamp::from_ms(1_700_000_000_000),
        max_batches_in_flight: 8,
    }
}

fn sent(output: Result<ServerOutput, SessionRefusal>) -> Bytes {
    match output {
        Ok(ServerOutput::Send(frame)) => frame,
        other => panic!("expected a frame, got {other:?}"),
    }
}

fn proven(output: Result<DiallerOutput, SessionRefusal>) -> Bytes {
    match output {
        Ok(DiallerOutput::Send(frame)) => frame,
        other => panic!("expected a frame, got {other:?}"),
    }
}

fn hello(versions: &[u32]) -> Bytes {
    codec::encode(&wire::DiallerHello {
        versions: versions.to_vec(),
    })
}

/// What an honest dialler with the key of seed 1 would sign for the server of seed 2.
fn honest() -> wire::SessionProof {
    wire::SessionProof {
        version: 1,
        offered_versions: vec![1],
        nonce: Bytes::copy_from_slice(&NONCE),
        server_key: Bytes::copy_from_slice(key(2).public().as_bytes()),
        role: wire::Role::Service.into(),
        own_key: Bytes::copy_from_slice(key(1).public().as_bytes()),
        name: "rdv@interieur.gouv.fr".into(),
    }
}

/// The answer of the server of seed 2 to this proof under this context, signed by this key.
fn answer_to(
    proof: &wire::SessionProof,
    context: Context,
    signer: &SigningKey,
) -> Result<ServerOutput, SessionRefusal> {
    let mut server = server(2);
    sent(server.handle(&hello(&[1])));
    server.handle(&signed::sign_one(context, codec::encode(proof), signer))
}

fn refusal_of(proof: &wire::SessionProof) -> SessionRefusal {
    answer_to(proof, contexts::SESSION, &key(1)).unwrap_err()
}

#[test]
fn ses_3_a_handshake_tells_each_side_who_the_other_is() {
    for principal in [
        Principal::Node("interieur.gouv.fr".parse().unwrap()),
        service(),
        Principal::Gateway("interieur.gouv.fr".parse().unwrap()),
        Principal::Device,
    ] {
        let own = key(1);
        let (mut dialler, first) = DiallerHandshake::start(principal.clone(), &own, identity(2));
        let mut server = server(2);
        let server_hello = sent(server.handle(&first));
        let proof = proven(dialler.handle(&server_hello));
        let authenticated = server.handle(&proof).unwrap();
        let expected = Authenticated {
            principal,
            key: *own.public(),
        };
        assert_eq!(authenticated, ServerOutput::Authenticated(expected));
        let end = dialler.handle(&encode_welcome(&welcome())).unwrap();
        assert_eq!(end, DiallerOutput::Welcome(welcome()));
        // A finished machine takes nothing more.
        assert_eq!(server.handle(&proof), Err(SessionRefusal::OutOfTurn));
        assert_eq!(
            dialler.handle(&server_hello),
            Err(SessionRefusal::OutOfTurn)
        );
    }
}

#[test]
fn case_06_version_0_future_only_and_none_are_unsupported() {
    for offer in [&[][..], &[0], &[0, 1], &[2], &[2, 3, u32::MAX]] {
        let refusal = server(2).handle(&hello(offer)).unwrap_err();
        assert_eq!(refusal.code(), Code::UnsupportedVersion, "{offer:?}");
    }
    // A newer dialler that still speaks version 1 is served.
    sent(server(2).handle(&hello(&[1, 2, 3])));
}

#[test]
fn case_06_the_highest_version_in_common_is_chosen() {
    let nonce = Nonce::from_random(NONCE);
    let mut server = ServerHandshake::with_supported(identity(2), nonce, &[1, 2, 3]);
    let frame = sent(server.handle(&hello(&[1, 2, 7])));
    let chosen: wire::ServerHello = codec::decode_canonical(&frame, 1_024).unwrap();
    assert_eq!(chosen.version, 2);
}

#[test]
fn case_06_a_downgrade_by_a_middleman_is_seen() {
    let own = key(1);
    let (mut dialler, offered) =
        DiallerHandshake::start_with(service(), &own, identity(2), &[1, 2]);
    assert_eq!(offered, hello(&[1, 2]));
    let nonce = Nonce::from_random(NONCE);
    let mut server = ServerHandshake::with_supported(identity(2), nonce, &[1, 2]);
    // The middleman removes the better version from the offer.
    let proof = proven(dialler.handle(&sent(server.handle(&hello(&[1])))));
    let refusal = server.handle(&proof).unwrap_err();
    assert!(
        matches!(refusal, SessionRefusal::Downgrade { .. }),
        "{refusal}"
    );
    assert_eq!(refusal.code(), Code::UnsupportedVersion);
}

#[test]
fn case_06_a_dialler_refuses_a_version_that_it_did_not_offer() {
    for version in [0, 2, u32::MAX] {
        let own = key(1);
        let (mut dialler, _) = DiallerHandshake::start(service(), &own, identity(2));
        let frame = codec::encode(&server_hello_of(2, |hello| hello.version = version));
        let refusal = dialler.handle(&frame).unwrap_err();
        assert_eq!(refusal.code(), Code::UnsupportedVersion, "{version}");
    }
}

fn server_hello_of(seed: u8, change: impl FnOnce(&mut wire::ServerHello)) -> wire::ServerHello {
    let frame = sent(server(seed).handle(&hello(&[1])));
    let mut hello = codec::decode_canonical(&frame, 1_024).unwrap();
    change(&mut hello);
    hello
}

#[test]
fn ses_3_1_offers_are_ascending_and_bounded() {
    for offer in [&[1, 1][..], &[2, 1], &[1, 0], &[0, 0]] {
        let refusal = server(2).handle(&hello(offer)).unwrap_err();
        assert_eq!(refusal.code(), Code::FieldInvalid, "{offer:?}");
    }
    let most: Vec<u32> = (1..).take(limits::VERSIONS_MAX).collect();
    sent(server(2).handle(&hello(&most)));
    let more: Vec<u32> = (1..).take(limits::VERSIONS_MAX + 1).collect();
    let refusal = server(2).handle(&hello(&more)).unwrap_err();
    assert_eq!(
        refusal,
        SessionRefusal::TooManyVersions {
            got: limits::VERSIONS_MAX + 1
        }
    );
    assert_eq!(refusal.code(), Code::TooMany);
}

#[test]
fn ses_3_4_a_proof_collected_by_another_server_is_worthless_here() {
    // A dialler talks to the server of seed 3, which passes on the challenge of seed 2 ...
    let own = key(1);
    let (mut dialler, first) = DiallerHandshake::start(service(), &own, identity(3));
    let mut victim = server(2);
    let challenge = sent(victim.handle(&first));
    // ... as it is: the dialler sees a key that is not the one of its TLS connection,
    let refusal = dialler.handle(&challenge).unwrap_err();
    assert!(
        matches!(refusal, SessionRefusal::ServerKeyMismatch { .. }),
        "{refusal}"
    );
    assert_eq!(refusal.code(), Code::ServerKeyMismatch);
    // ... or with its own key in it: the victim sees that the proof names another server.
    let (mut dialler, _) = DiallerHandshake::start(service(), &own, identity(3));
    let proof = proven(dialler.handle(&codec::encode(&server_hello_of(3, |_| {}))));
    let refusal = victim.handle(&proof).unwrap_err();
    assert_eq!(
        refusal,
        SessionRefusal::ProofForAnotherServer {
            expected: Box::new(*key(2).public())
        }
    );
    assert_eq!(refusal.code(), Code::AuthFailed);
}

#[test]
fn ses_3_4_a_proof_of_another_challenge_is_refused() {
    let mut proof = honest();
    proof.nonce = Bytes::copy_from_slice(&[8; 32]);
    assert_eq!(refusal_of(&proof), SessionRefusal::WrongNonce);
    assert_eq!(refusal_of(&proof).code(), Code::AuthFailed);
}

#[test]
fn ses_3_3_the_dialler_checks_nonce_and_authority() {
    let own = key(1);
    for length in [0, 31, 33] {
        let (mut dialler, _) = DiallerHandshake::start(service(), &own, identity(2));
        let frame = codec::encode(&server_hello_of(2, |hello| {
            hello.nonce = vec![1; length].into()
        }));
        let refusal = dialler.handle(&frame).unwrap_err();
        assert_eq!(refusal, SessionRefusal::NonceLength { got: length });
    }
    let (mut dialler, _) = DiallerHandshake::start(service(), &own, identity(2));
    let frame = codec::encode(&server_hello_of(2, |hello| {
        hello.authority = "finances.gouv.fr".into()
    }));
    let refusal = dialler.handle(&frame).unwrap_err();
    assert!(
        matches!(refusal, SessionRefusal::WrongAuthority { .. }),
        "{refusal}"
    );
    assert_eq!(refusal.code(), Code::AuthFailed);
}

#[test]
fn case_13_a_proof_signed_under_another_context_is_refused() {
    for context in contexts::ALL
        .into_iter()
        .filter(|context| *context != contexts::SESSION)
    {
        let refusal = answer_to(&honest(), context, &key(1)).unwrap_err();
        assert_eq!(refusal.code(), Code::BadSignature, "{context:?}");
    }
}

#[test]
fn ses_3_4_the_signer_is_the_key_that_the_proof_names() {
    let refusal = answer_to(&honest(), contexts::SESSION, &key(4)).unwrap_err();
    assert_eq!(refusal, SessionRefusal::NotSignedByOwnKey);
    assert_eq!(refusal.code(), Code::AuthFailed);
    // Another key may sign for itself: it is then that key that is authenticated.
    let mut proof = honest();
    proof.own_key = Bytes::copy_from_slice(key(4).public().as_bytes());
    let output = answer_to(&proof, contexts::SESSION, &key(4)).unwrap();
    assert!(
        matches!(&output, ServerOutput::Authenticated(peer) if peer.key == *key(4).public()),
        "{output:?}"
    );
}

#[test]
fn ses_3_4_a_second_signature_is_refused() {
    let payload = codec::encode(&honest());
    let mut both: Vec<wire::Signature> = [1, 4]
        .map(|seed| signed::sign_one(contexts::SESSION, payload.clone(), &key(seed)))
        .iter()
        .map(|bytes| codec::decode_canonical::<wire::Signed>(bytes, 8_192).unwrap())
        .flat_map(|signed| signed.signatures)
        .collect();
    both.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    let inclusion = Some(wire::Inclusion {
        index: 0,
        tree_size: 1,
        path: vec![],
    });
    let mut server = server(2);
    sent(server.handle(&hello(&[1])));
    let proof = codec::encode(&wire::Signed {
        payload,
        inclusion,
        signatures: both,
    });
    assert_eq!(
        server.handle(&proof),
        Err(SessionRefusal::SignatureCount { got: 2 })
    );
}

#[test]
fn case_11_a_weak_own_key_is_refused() {
    let mut proof = honest();
    proof.own_key = Bytes::from_static(&[0; 32]);
    assert_eq!(refusal_of(&proof).code(), Code::WeakKey);
}

#[test]
fn ses_3_5_a_name_belongs_to_its_role() {
    let wrong = [
        (wire::Role::Node, "rdv@interieur.gouv.fr"),
        (wire::Role::Node, ""),
        (wire::Role::Gateway, "rdv@interieur.gouv.fr"),
        (wire::Role::Service, "interieur.gouv.fr"),
        (wire::Role::Service, "Rdv@interieur.gouv.fr"),
        (wire::Role::Device, "interieur.gouv.fr"),
    ];
    for (role, name) in wrong {
        let mut proof = honest();
        proof.role = role.into();
        proof.name = name.into();
        assert_eq!(
            refusal_of(&proof).code(),
            Code::FieldInvalid,
            "{role:?} {name:?}"
        );
    }
    let mut proof = honest();
    proof.role = 0;
    assert_eq!(refusal_of(&proof).code(), Code::FieldMissing);
    proof.role = 5;
    assert_eq!(refusal_of(&proof), SessionRefusal::UnknownRole { got: 5 });
}

#[test]
fn ses_3_2_a_message_over_the_limit_or_out_of_turn_is_refused() {
    let long = Bytes::from(vec![0; limits::SIGNED_OBJECT_MAX + 1]);
    assert_eq!(server(2).handle(&long).unwrap_err().code(), Code::TooLong);
    let mut machine = server(2);
    sent(machine.handle(&hello(&[1])));
    assert_eq!(machine.handle(&long).unwrap_err().code(), Code::TooLong);
    let own = key(1);
    let (mut dialler, _) = DiallerHandshake::start(service(), &own, identity(2));
    assert_eq!(dialler.handle(&long).unwrap_err().code(), Code::TooLong);
    // A welcome before the proof lets nobody in.
    let (mut dialler, _) = DiallerHandshake::start(service(), &own, identity(2));
    let refusal = dialler.handle(&encode_welcome(&welcome())).unwrap_err();
    assert_eq!(refusal, SessionRefusal::OutOfTurn);
}

#[test]
fn ses_3_6_a_refusal_is_heard_at_every_turn() {
    let refusal = Refusal::new(Code::UnknownAuthority, "no such authority").retry_after_ms(5_000);
    let own = key(1);
    let (mut early, _) = DiallerHandshake::start(service(), &own, identity(2));
    let heard = early.handle(&encode_refusal(&refusal)).unwrap_err();
    assert_eq!(heard, SessionRefusal::ByServer(refusal.clone()));
    assert_eq!(heard.code(), Code::UnknownAuthority);

    let (mut late, first) = DiallerHandshake::start(service(), &own, identity(2));
    proven(late.handle(&sent(server(2).handle(&first))));
    assert_eq!(late.handle(&encode_refusal(&refusal)).unwrap_err(), heard);
}

#[test]
fn ses_3_6_replies_are_bounded() {
    let own = key(1);
    let reply = |outcome| {
        let (mut dialler, first) = DiallerHandshake::start(service(), &own, identity(2));
        proven(dialler.handle(&sent(server(2).handle(&first))));
        dialler.handle(&codec::encode(&wire::SessionReply { outcome }))
    };
    let welcome = |server_time_ms, max_batches_in_flight| {
        let welcome = wire::Welcome {
            server_time_ms,
            max_batches_in_flight,
        };
        reply(Some(wire::session_reply::Outcome::Welcome(welcome)))
    };
    assert!(welcome(limits::INTEGER_MAX, limits::BATCHES_IN_FLIGHT_MAX).is_ok());
    for (time, batches) in [
        (limits::INTEGER_MAX + 1, 1),
        (1, 0),
        (1, limits::BATCHES_IN_FLIGHT_MAX + 1),
    ] {
        assert_eq!(
            welcome(time, batches).unwrap_err().code(),
            Code::FieldInvalid
        );
    }
    assert_eq!(reply(None), Err(SessionRefusal::EmptyReply));
    let refusal = |length| {
        let refusal = wire::Refusal {
            code: 1,
            detail: "x".repeat(length),
            retry_after_ms: 0,
        };
        reply(Some(wire::session_reply::Outcome::Refusal(refusal)))
            .unwrap_err()
            .code()
    };
    assert_eq!(refusal(limits::DETAIL_MAX), Code::FrameTooLarge);
    assert_eq!(refusal(limits::DETAIL_MAX + 1), Code::TooLong);
}

#[test]
fn ses_3_6_a_long_detail_is_cut_between_characters() {
    let refusal = Refusal::new(Code::AuthFailed, "é".repeat(limits::DETAIL_MAX));
    assert_eq!(refusal.detail().len(), limits::DETAIL_MAX);
    let odd = Refusal::new(
        Code::AuthFailed,
        format!("x{}", "é".repeat(limits::DETAIL_MAX)),
    );
    assert_eq!(odd.detail().len(), limits::DETAIL_MAX - 1);
}

proptest! {
    /// One flipped bit anywhere in the proof: never let in.
    #[test]
    fn a_flipped_bit_in_the_proof_is_refused(position in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let own = key(1);
        let (mut dialler, first) = DiallerHandshake::start(service(), &own, identity(2));
        let mut server = server(2);
        let proof = proven(dialler.handle(&sent(server.handle(&first))));
        let mut flipped = proof.to_vec();
        flipped[position.index(proof.len())] ^= 1 << bit;
        prop_assert!(server.handle(&flipped.into()).is_err());
    }

    /// Case 2: a message cut anywhere is refused, by either side.
    #[test]
    fn case_02_a_cut_message_is_refused(at in any::<prop::sample::Index>()) {
        let own = key(1);
        let (mut dialler, first) = DiallerHandshake::start(service(), &own, identity(2));
        let mut server = server(2);
        let server_hello = sent(server.handle(&first));
        let cut = server_hello.slice(..at.index(server_hello.len()));
        let (mut hasty, _) = DiallerHandshake::start(service(), &own, identity(2));
        prop_assert!(hasty.handle(&cut).is_err());
        let proof = proven(dialler.handle(&server_hello));
        prop_assert!(server.handle(&proof.slice(..at.index(proof.len()))).is_err());
    }

    /// Any bytes: no panic, nobody let in, and the machine is spent.
    #[test]
    fn any_bytes_are_refused_and_end_the_handshake(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let bytes = Bytes::from(bytes);
        let mut server = server(2);
        sent(server.handle(&hello(&[1])));
        prop_assert!(server.handle(&bytes).is_err());
        prop_assert_eq!(server.handle(&hello(&[1])), Err(SessionRefusal::OutOfTurn));
    }
}
