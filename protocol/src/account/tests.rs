//! Secrets, grants, invitations and enrolments: what is accepted, and each neighbour refused.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::*;
use crate::code::Code;
use crate::codec;
use crate::crypto::contexts::{self, ENROLMENT, GRANT, INVITATION};
use crate::crypto::seal::{self, SealRandomness};
use crate::crypto::sign::SigningKey;
use crate::envelope::Class;
use crate::id::{AuthorityId, MailboxAddress, MailboxId, Timestamp};
use crate::limits;
use crate::signed::{Signed, sign_one};
use crate::wire;

const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

fn authority(name: &str) -> AuthorityId {
    AuthorityId::new(name).expect("a domain")
}

fn home() -> AuthorityId {
    authority("social.gouv.fr")
}

fn secrets() -> AccountSecrets {
    AccountSecrets::new([1; 32], [2; 32])
}

fn mailbox(byte: u8) -> MailboxAddress {
    MailboxAddress {
        mailbox: MailboxId::new([byte; 16]),
        home: home(),
    }
}

fn grant_to(name: &str, byte: u8) -> SignedGrant {
    let accepts = BTreeSet::from([Class::Message, Class::Alert]);
    SignedGrant::make(&secrets(), authority(name), mailbox(byte), accepts, NOW)
}

/// A grant with one change, signed as if it were good.
fn changed(change: impl FnOnce(&mut wire::Grant)) -> Bytes {
    let grant = grant_to("interieur.gouv.fr", 7);
    let signed = Signed::decode(grant.encoded().clone(), GRANT).expect("made here");
    let mut payload: wire::Grant =
        codec::decode_canonical(signed.payload(), limits::SIGNED_OBJECT_MAX).expect("made here");
    change(&mut payload);
    let key = secrets().identity(&authority("interieur.gouv.fr"));
    sign_one(GRANT, codec::encode(&payload), &key)
}

fn refusal(encoded: Bytes) -> Code {
    SignedGrant::verify(encoded, NOW)
        .expect_err("refused")
        .code()
}

#[test]
fn p5_two_authorities_see_nothing_in_common() {
    let (a, b) = (
        grant_to("interieur.gouv.fr", 7),
        grant_to("social.gouv.fr", 8),
    );
    assert_ne!(a.grant().identity, b.grant().identity);
    let keys = [&a, &b].map(|grant| grant.grant().sealing.key.to_bytes());
    // No run of eight bytes of one grant's keys is anywhere in the other's, so neither is a
    // shared half of an X-Wing key.
    let of = |grant: &SignedGrant, sealing: &Bytes| {
        let mut bytes = grant.grant().identity.as_bytes().to_vec();
        bytes.extend_from_slice(sealing);
        bytes
    };
    let (of_a, of_b) = (of(&a, &keys[0]), of(&b, &keys[1]));
    let runs: BTreeSet<&[u8]> = of_a.windows(8).collect();
    assert!(of_b.windows(8).all(|run| !runs.contains(run)));
    assert_eq!(
        of_a,
        of(&grant_to("interieur.gouv.fr", 9), &keys[0]),
        "derived, not random"
    );
}

#[test]
fn what_is_sealed_to_a_grant_opens_only_with_its_own_authority_and_epoch() {
    let grant = grant_to("interieur.gouv.fr", 7);
    let to = &grant.grant().sealing;
    let sealed = seal::seal(
        &to.key,
        to.epoch,
        b"header",
        b"content",
        SealRandomness::new([3; 64]),
    )
    .unwrap();
    let mut secrets = secrets();
    let with = |secrets: &AccountSecrets, name: &str, epoch: u32| {
        let key = secrets
            .sealing(&authority(name), epoch)
            .expect("has the epoch");
        seal::open(&key, b"header", &sealed).map(|content| content.to_vec())
    };
    assert_eq!(
        with(&secrets, "interieur.gouv.fr", to.epoch).unwrap(),
        b"content"
    );
    assert!(with(&secrets, "social.gouv.fr", to.epoch).is_err());
    let next = secrets.begin_epoch([9; 32]);
    assert!(with(&secrets, "interieur.gouv.fr", next).is_err());
    assert_eq!(
        with(&secrets, "interieur.gouv.fr", to.epoch).unwrap(),
        b"content"
    );
    assert!(secrets.sealing(&home(), next + 1).is_none());
}

#[test]
fn case_59_a_new_epoch_shares_nothing_with_what_a_lost_device_knows() {
    let mut ours = secrets();
    let lost = secrets();
    let epoch = ours.begin_epoch([9; 32]);
    assert_eq!(epoch, lost.latest_epoch() + 1);
    assert!(lost.sealing(&home(), epoch).is_none());
    let new = ours.sealing(&home(), epoch).expect("begun").public();
    let old = lost
        .sealing(&home(), lost.latest_epoch())
        .expect("known")
        .public();
    assert_ne!(new, old);
}

#[test]
fn derived_keys_are_hkdf_sha256_as_written() {
    // Computed with Python's hmac from the formulas in the module's doc.
    let identity = secrets().identity(&authority("interieur.gouv.fr"));
    assert_eq!(crate::id::to_hex(identity.seed().as_slice()), IDENTITY_SEED);
    let sealing = secrets()
        .sealing(&authority("interieur.gouv.fr"), 1)
        .expect("the first epoch");
    let seed = crate::id::from_hex(SEALING_SEED).expect("32 bytes");
    assert_eq!(
        sealing.public(),
        seal::SealingSecretKey::from_seed(&seed).public()
    );
}

const IDENTITY_SEED: &str = "a4e7be4f08eea5ed95588823998453caf22fc3627b6b6f9ab802983ed09051f5";
const SEALING_SEED: &str = "5bee206b25fb90b5475042378c10b956a0da47b23a84426cc108f9e29e4ba3b7";

/// MBX-3.5
#[test]
fn secrets_read_back_from_their_text_and_never_show() {
    let mut secrets = secrets();
    secrets.begin_epoch([3; 32]);
    let text = secrets.to_secret_text();
    let read = AccountSecrets::from_secret_text(&text).expect("written above");
    assert_eq!(*read.to_secret_text(), *text);
    assert_eq!(read.latest_epoch(), 2);
    assert_eq!(format!("{secrets:?}"), "AccountSecrets(secret, epoch 2)");
    let hex = "11".repeat(32);
    for (bad, why) in [
        (String::new(), SecretsError::Incomplete),
        (format!("root {hex}\n"), SecretsError::Incomplete),
        (format!("sealing-1 {hex}\n"), SecretsError::Incomplete),
        (
            format!("root {hex}\nroot {hex}\n"),
            SecretsError::Repeated { line: 2 },
        ),
        (
            format!("root {hex}\nsealing-0 {hex}\n"),
            SecretsError::Line { line: 2 },
        ),
        (
            format!("root {hex}\nsealing-01 {hex}\n"),
            SecretsError::Line { line: 2 },
        ),
        (
            format!("root {}\n", &hex[2..]),
            SecretsError::Line { line: 1 },
        ),
        (
            "pli-secret-ed25519:AAAA\n".to_owned(),
            SecretsError::Line { line: 1 },
        ),
    ] {
        let error = AccountSecrets::from_secret_text(&bad).expect_err(&bad);
        assert_eq!(error, why);
        assert!(
            !error.to_string().contains(&hex),
            "an error never repeats a secret"
        );
    }
}

#[test]
fn a_grant_is_read_back_by_its_own_key() {
    let made = grant_to("interieur.gouv.fr", 7);
    let read = SignedGrant::verify(made.encoded().clone(), NOW).expect("made above");
    assert_eq!(read, made);
    read.for_authority(&authority("interieur.gouv.fr"))
        .expect("for it");
    read.for_home(&home()).expect("its mailbox is there");
}

#[test]
fn case_25_a_grant_for_another_authority_or_home_is_refused() {
    let grant = grant_to("interieur.gouv.fr", 7);
    let error = grant.for_authority(&home()).expect_err("for another");
    assert_eq!(error.code(), Code::NotAuthoritative);
    let error = grant
        .for_home(&authority("interieur.gouv.fr"))
        .expect_err("at another");
    assert_eq!(error.code(), Code::WrongHome);
}

#[test]
fn every_neighbour_of_a_grant_is_refused() {
    SignedGrant::verify(changed(|_| ()), NOW).expect("unchanged");
    for (code, encoded) in [
        (Code::UnsupportedVersion, changed(|grant| grant.version = 0)),
        (Code::UnsupportedVersion, changed(|grant| grant.version = 2)),
        (
            Code::FieldInvalid,
            changed(|grant| grant.identity_key = Bytes::from(vec![1; 31])),
        ),
        (
            Code::WeakKey,
            changed(|grant| grant.identity_key = Bytes::from(vec![0; 32])),
        ),
        // Someone else's key, so the signature is not by the key it names.
        (
            Code::UnknownKey,
            changed(|grant| {
                let other = SigningKey::from_seed(&[9; 32]);
                grant.identity_key = other.public().as_bytes().to_vec().into();
            }),
        ),
        (
            Code::FieldInvalid,
            changed(|grant| grant.authority = "Interieur.gouv.fr".into()),
        ),
        (Code::FieldMissing, changed(|grant| grant.mailbox = None)),
        (
            Code::FieldInvalid,
            changed(|grant| {
                grant.mailbox.as_mut().expect("has one").mailbox = Bytes::from(vec![1; 17]);
            }),
        ),
        (
            Code::FieldMissing,
            changed(|grant| grant.sealing_key = None),
        ),
        (
            Code::UnknownSuite,
            changed(|grant| grant.sealing_key.as_mut().expect("has one").suite = 2),
        ),
        (
            Code::FieldMissing,
            changed(|grant| grant.sealing_key.as_mut().expect("has one").epoch = 0),
        ),
        (
            Code::FieldInvalid,
            changed(|grant| {
                grant
                    .sealing_key
                    .as_mut()
                    .expect("has one")
                    .public_key
                    .truncate(1_215);
            }),
        ),
        (Code::FieldMissing, changed(|grant| grant.issued_ms = 0)),
        (
            Code::FieldInvalid,
            changed(|grant| grant.issued_ms = limits::INTEGER_MAX + 1),
        ),
        (
            Code::NotYetValid,
            changed(|grant| grant.issued_ms += limits::CLOCK_SKEW_MAX_MS + 1),
        ),
        (Code::FieldMissing, changed(|grant| grant.accepts.clear())),
        (Code::FieldMissing, changed(|grant| grant.accepts = vec![0])),
        (
            Code::FieldInvalid,
            changed(|grant| grant.accepts = vec![1, 5]),
        ),
        (
            Code::NotCanonical,
            changed(|grant| grant.accepts = vec![3, 1]),
        ),
        (
            Code::NotCanonical,
            changed(|grant| grant.accepts = vec![1, 1]),
        ),
        (
            Code::TooMany,
            changed(|grant| grant.accepts = vec![1, 2, 3, 4, 5]),
        ),
        (
            Code::UnknownCriticalExtension,
            changed(|grant| {
                grant.extensions.push(wire::Extension {
                    id: 1,
                    critical: true,
                    value: Bytes::new(),
                });
            }),
        ),
    ] {
        assert_eq!(refusal(encoded), code);
    }
    SignedGrant::verify(
        changed(|grant| grant.issued_ms += limits::CLOCK_SKEW_MAX_MS),
        NOW,
    )
    .expect("within the skew");
}

#[test]
fn case_13_a_grant_signed_under_another_context_is_refused() {
    let grant = grant_to("interieur.gouv.fr", 7);
    let signed = Signed::decode(grant.encoded().clone(), GRANT).expect("made above");
    let key = secrets().identity(&authority("interieur.gouv.fr"));
    let other = sign_one(contexts::ENVELOPE, signed.payload().clone(), &key);
    assert_eq!(refusal(other), Code::BadSignature);
}

/// MBX-4.3
#[test]
fn a_grant_is_replaced_only_by_a_newer_one_of_the_same_account() {
    let first = grant_to("interieur.gouv.fr", 7);
    let later = |secrets: &AccountSecrets, mailbox: MailboxAddress, ms: u64| {
        let accepts = BTreeSet::from([Class::Message]);
        let name = authority("interieur.gouv.fr");
        SignedGrant::make(secrets, name, mailbox, accepts, NOW.plus_ms(ms))
    };
    let mut ours = secrets();
    later(&ours, mailbox(7), 1)
        .replaces(first.grant())
        .expect("newer");
    ours.begin_epoch([9; 32]);
    let second = later(&ours, mailbox(7), 2);
    second.replaces(first.grant()).expect("newer, next epoch");
    let moved = MailboxAddress {
        home: authority("interieur.gouv.fr"),
        ..mailbox(7)
    };
    later(&ours, moved, 3)
        .replaces(first.grant())
        .expect("a mailbox keeps its bytes when it moves");

    let stranger = AccountSecrets::new([5; 32], [6; 32]);
    for refused in [
        later(&ours, mailbox(7), 0).replaces(first.grant()),
        later(&ours, mailbox(8), 1).replaces(first.grant()),
        later(&stranger, mailbox(7), 1).replaces(first.grant()),
        later(&secrets(), mailbox(7), 3).replaces(second.grant()),
    ] {
        assert_eq!(refused.expect_err("stale").code(), Code::StaleGrant);
    }
}

fn node() -> SigningKey {
    SigningKey::from_seed(&[4; 32])
}

fn invitation() -> Invitation {
    Invitation {
        id: InvitationId::new([6; 16]),
        home: home(),
        expires: NOW.plus_ms(60_000),
    }
}

fn invited(encoded: Bytes, now: Timestamp) -> Result<Invitation, Code> {
    let keys = [*SigningKey::from_seed(&[8; 32]).public(), *node().public()];
    Invitation::verify(encoded, &home(), &keys, now).map_err(|error| error.code())
}

#[test]
fn an_invitation_is_good_at_its_home_in_its_time() {
    let encoded = invitation().sign(&node());
    assert_eq!(invited(encoded.clone(), NOW), Ok(invitation()));
    let last = invitation().expires;
    assert_eq!(invited(encoded.clone(), last), Err(Code::InvitationExpired));
    assert!(invited(encoded.clone(), Timestamp::from_ms(last.as_ms() - 1)).is_ok());
    let early = Timestamp::from_ms(last.as_ms() - limits::INVITATION_LIFETIME_MAX_MS);
    assert!(invited(encoded.clone(), early).is_ok());
    let earlier = Timestamp::from_ms(early.as_ms() - 1);
    assert_eq!(
        invited(encoded.clone(), earlier),
        Err(Code::LifetimeTooLong)
    );

    let stranger = SigningKey::from_seed(&[5; 32]);
    assert_eq!(
        invited(invitation().sign(&stranger), NOW),
        Err(Code::UnknownKey)
    );
    let elsewhere = Invitation {
        home: authority("interieur.gouv.fr"),
        ..invitation()
    };
    assert_eq!(invited(elsewhere.sign(&node()), NOW), Err(Code::WrongHome));

    let raw = |change: fn(&mut wire::Invitation)| {
        let mut payload = wire::Invitation {
            version: VERSION,
            id: Bytes::from(vec![6; 16]),
            home: home().to_string(),
            expires_ms: NOW.as_ms() + 1,
        };
        change(&mut payload);
        sign_one(INVITATION, codec::encode(&payload), &node())
    };
    assert!(invited(raw(|_| ()), NOW).is_ok());
    assert_eq!(
        invited(raw(|payload| payload.version = 2), NOW),
        Err(Code::UnsupportedVersion)
    );
    assert_eq!(
        invited(raw(|payload| payload.id.truncate(15)), NOW),
        Err(Code::FieldInvalid)
    );
    assert_eq!(
        invited(raw(|payload| payload.expires_ms = 0), NOW),
        Err(Code::FieldMissing)
    );
    assert_eq!(
        invited(raw(|payload| payload.expires_ms = u64::MAX), NOW),
        Err(Code::FieldInvalid)
    );

    let mut forged = encoded.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(invited(forged.into(), NOW), Err(Code::BadSignature));
}

#[test]
fn an_enrolment_is_good_for_its_invitation_and_its_own_session() {
    let device = SigningKey::from_seed(&[10; 32]);
    let verify = |encoded: Bytes, session: &SigningKey, now| {
        Enrolment::verify(encoded, &invitation(), session.public(), now)
            .map_err(|error| error.code())
    };
    let encoded = Enrolment::sign(&invitation(), &device, NOW);
    let read = verify(encoded.clone(), &device, NOW).expect("made above");
    assert_eq!(read.device, *device.public());

    let thief = SigningKey::from_seed(&[11; 32]);
    assert_eq!(
        verify(encoded.clone(), &thief, NOW),
        Err(Code::SenderMismatch)
    );
    let other = Invitation {
        id: InvitationId::new([7; 16]),
        ..invitation()
    };
    assert_eq!(
        verify(Enrolment::sign(&other, &device, NOW), &device, NOW),
        Err(Code::FieldInvalid)
    );
    let elsewhere = Invitation {
        home: authority("interieur.gouv.fr"),
        ..invitation()
    };
    assert_eq!(
        verify(Enrolment::sign(&elsewhere, &device, NOW), &device, NOW),
        Err(Code::WrongHome)
    );

    let skew = limits::CLOCK_SKEW_MAX_MS;
    let earlier = |ms| Timestamp::from_ms(NOW.as_ms() - ms);
    assert!(verify(encoded.clone(), &device, NOW.plus_ms(skew)).is_ok());
    assert_eq!(
        verify(encoded.clone(), &device, NOW.plus_ms(skew + 1)),
        Err(Code::Expired)
    );
    assert!(verify(encoded.clone(), &device, earlier(skew)).is_ok());
    assert_eq!(
        verify(encoded, &device, earlier(skew + 1)),
        Err(Code::NotYetValid)
    );

    let raw = |signer: &SigningKey, change: fn(&mut wire::Enrolment)| {
        let mut payload = wire::Enrolment {
            version: VERSION,
            invitation_id: Bytes::from(vec![6; 16]),
            home: home().to_string(),
            device_key: device.public().as_bytes().to_vec().into(),
            at_ms: NOW.as_ms(),
        };
        change(&mut payload);
        verify(
            sign_one(ENROLMENT, codec::encode(&payload), signer),
            &device,
            NOW,
        )
    };
    assert!(raw(&device, |_| ()).is_ok());
    assert_eq!(raw(&thief, |_| ()), Err(Code::UnknownKey));
    assert_eq!(
        raw(&device, |payload| payload.version = 0),
        Err(Code::UnsupportedVersion)
    );
    assert_eq!(
        raw(&device, |payload| payload.device_key =
            Bytes::from(vec![0; 32])),
        Err(Code::WeakKey)
    );
}

/// MBX-1.3
#[test]
fn an_invitation_link_reads_back_and_its_neighbours_do_not() {
    let link = InvitationLink {
        home: home(),
        root_sha256: [0xab; 32],
        invitation: invitation().sign(&node()),
    };
    let text = link.to_string();
    assert!(
        text.starts_with("pli:invite?home=social.gouv.fr&root=abab"),
        "{text}"
    );
    assert_eq!(format!("  {text}\n").parse::<InvitationLink>(), Ok(link));
    for bad in [
        "",
        "https://social.gouv.fr/",
        &text[1..],
        &text.replace("home=", "hom="),
        &text.replace("root=ab", "root=AB"),
        &text.replace("&i=", "&j="),
        &format!("{text}&x=1"),
        &format!("{text}!"),
        &format!(
            "pli:invite?home=social.gouv.fr&root={}&i={}",
            "ab".repeat(32),
            "A".repeat(20_000)
        ),
        &text.replace("social.gouv.fr", "social"),
    ] {
        assert!(bad.parse::<InvitationLink>().is_err(), "{bad}");
    }
}
