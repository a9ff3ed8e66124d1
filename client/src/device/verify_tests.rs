//! A letter as an honest service and home give it is shown; each neighbour with one lie is not.

use std::collections::BTreeSet;

use pli_protocol::account::SignedGrant;
use pli_protocol::content::{HttpsUrl, Kind, Link, Notice, Text};
use pli_protocol::crypto::contexts::{ENVELOPE, GRANT};
use pli_protocol::crypto::seal::SealRandomness;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::{self, Class, Importance, Urgency};
use pli_protocol::signed::{Signed, sign_batch, sign_one};
use pli_protocol::trust::{
    AuthorityRecord, DirectoryBuilder, Environment, Quotas, ServiceRecord, Standing, TrustRole,
    ValidKey, Validity, Versions,
};

use super::*;

pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);
const MINUTE: u64 = 60_000;

fn authority(name: &str) -> AuthorityId {
    name.parse().expect("a domain")
}

fn home() -> AuthorityId {
    authority("social.gouv.fr")
}

fn service() -> ServiceId {
    "rdv@interieur.gouv.fr".parse().expect("a service")
}

fn service_key() -> SigningKey {
    SigningKey::from_seed(&[21; 32])
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

/// Mailbox 7 is granted to the Interior, mailbox 8 to Health.
fn grants() -> Grants {
    let mut grants = Grants::default();
    for (name, byte) in [("interieur.gouv.fr", 7), ("sante.gouv.fr", 8)] {
        let accepts = BTreeSet::from([Class::Message]);
        grants.insert(SignedGrant::make(
            &secrets(),
            authority(name),
            mailbox(byte),
            accepts,
            NOW,
        ));
    }
    grants
}

/// The Interior's service signs with key 21 until `until`, Health's with key 22.
pub(crate) fn directory_until(until: Option<Timestamp>) -> Directory {
    let versions = Versions {
        root: 1,
        timestamp: 1,
        snapshot: 1,
        targets: 1,
    };
    let later = NOW.plus_ms(1_000_000_000);
    let mut builder = DirectoryBuilder::new(
        Environment::Development,
        versions,
        TrustRole::TOP.map(|role| (role, later)),
    );
    for (name, service, seed, not_after) in [
        ("interieur.gouv.fr", "rdv@interieur.gouv.fr", 21, until),
        ("sante.gouv.fr", "vaccins@sante.gouv.fr", 22, None),
    ] {
        let display = DisplayName::new("Rendez-vous", "Appointments").expect("plain text");
        let record = AuthorityRecord {
            authority: authority(name),
            name: display.clone(),
            standing: Standing::Active,
            may_host: true,
            may_lookup: false,
            alerts: Vec::new(),
            legal_bases: BTreeSet::new(),
            quotas: Quotas::default(),
        };
        builder.authority(record).expect("an authority");
        builder.role(&authority(name), later);
        let key = ValidKey {
            key: *SigningKey::from_seed(&[seed; 32]).public(),
            validity: Validity {
                not_before: Timestamp::from_ms(1),
                not_after,
            },
        };
        let record = ServiceRecord {
            service: service.parse().expect("a service"),
            name: display,
            standing: Standing::Active,
            keys: vec![key],
            classes: BTreeSet::from([Class::Message]),
            importances: BTreeSet::from([Importance::Information]),
            link_hosts: BTreeSet::from(["rdv.interieur.gouv.fr".parse().expect("a host")]),
        };
        builder
            .service(&authority(name), record)
            .expect("a service");
    }
    builder.build()
}

fn header() -> Header {
    Header {
        sender: Sender::Service(service()),
        recipient: mailbox(7),
        created: NOW,
        expires: NOW.plus_ms(60 * MINUTE),
        class: Class::Message,
        urgency: Urgency::Normal,
        importance: Importance::Information,
        supersedes: None,
        extensions: Vec::new(),
    }
}

fn content(body: &str, url: &str) -> Bytes {
    let mut notice = Notice::new(Text::french("Titre"), Text::french(body));
    notice.link = Some(Link {
        url: HttpsUrl::new(url).expect("https"),
        label: None,
    });
    Content::from(Kind::Notice(notice)).encode().expect("fits")
}

/// Sealed to the mailbox's own grant under this header: the payload of an envelope.
fn payload(header: &Header, content: &[u8]) -> Bytes {
    let grants = grants();
    let to = &grants
        .of_mailbox(&mailbox(7).mailbox)
        .expect("granted")
        .sealing;
    envelope::seal(
        header,
        &to.key,
        to.epoch,
        content,
        SealRandomness::new([3; 64]),
    )
    .expect("fits")
}

fn signed(header: &Header) -> Bytes {
    let content = content("Bonjour", "https://rdv.interieur.gouv.fr/a");
    sign_one(ENVELOPE, payload(header, &content), &service_key())
}

/// A letter that [`verify`] accepts, with this body.
pub(crate) fn letter(body: &str) -> Bytes {
    let content = content(body, "https://rdv.interieur.gouv.fr/a");
    sign_one(ENVELOPE, payload(&header(), &content), &service_key())
}

pub(crate) fn check_at(
    encoded: Bytes,
    stored: Timestamp,
    until: Option<Timestamp>,
) -> Result<VerifiedLetter, Code> {
    let (directory, grants, secrets, roots) = (
        directory_until(until),
        grants(),
        secrets(),
        Roots::default(),
    );
    let now = NOW.plus_ms(10 * MINUTE);
    let with = Verifier {
        directory: &directory,
        grants: &grants,
        secrets: &secrets,
        now,
        roots: &roots,
    };
    verify(encoded, stored, with).map_err(|refusal| refusal.code())
}

fn check(encoded: Bytes) -> Result<VerifiedLetter, Code> {
    check_at(encoded, NOW.plus_ms(MINUTE), None)
}

fn refusal(change: impl FnOnce(&mut Header)) -> Code {
    let mut header = header();
    change(&mut header);
    check(signed(&header)).expect_err("refused")
}

#[test]
fn p1_an_honest_letter_is_shown_with_its_sender() {
    let letter = check(letter("Bonjour")).expect("honest");
    assert_eq!(*letter.sender(), service());
    assert_eq!(letter.sender_name().fr, "Rendez-vous");
    let content = letter.content().expect("plain text");
    assert_eq!(content.notice().body.in_language("fr"), "Bonjour");
    assert!(letter.link_is_clickable());
}

#[test]
fn case_58_a_letter_that_the_home_injects_is_refused() {
    // Signed by nobody that the directory knows; by another authority's service; altered.
    let plain = content("Bonjour", "https://rdv.interieur.gouv.fr/a");
    let stranger = sign_one(
        ENVELOPE,
        payload(&header(), &plain),
        &SigningKey::from_seed(&[99; 32]),
    );
    assert_eq!(check(stranger).unwrap_err(), Code::UnknownKey);
    let other = sign_one(
        ENVELOPE,
        payload(&header(), &plain),
        &SigningKey::from_seed(&[22; 32]),
    );
    assert_eq!(check(other).unwrap_err(), Code::UnknownKey);
    let mut bytes = letter("Bonjour").to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(check(bytes.into()).unwrap_err(), Code::BadSignature);
    assert_eq!(
        check(Bytes::from_static(b"garbage")).unwrap_err(),
        Code::Decode
    );
}

#[test]
fn case_13_a_signature_of_another_context_is_refused() {
    let plain = content("Bonjour", "https://rdv.interieur.gouv.fr/a");
    let wrong = sign_one(GRANT, payload(&header(), &plain), &service_key());
    assert_eq!(check(wrong).unwrap_err(), Code::BadSignature);
}

#[test]
fn r08_sender_signature_directory_and_grant_agree_or_it_is_refused() {
    assert_eq!(
        refusal(|header| header.recipient = mailbox(9)),
        Code::UnknownMailbox
    );
    assert_eq!(
        refusal(|header| header.recipient.home = authority("sante.gouv.fr")),
        Code::UnknownMailbox
    );
    // Health's mailbox: the Interior found its address, but it was not granted to it.
    assert_eq!(
        refusal(|header| header.recipient = mailbox(8)),
        Code::NotGranted
    );
    assert_eq!(
        refusal(|header| header.class = Class::Control),
        Code::NotGranted
    );
    let service = |name: &str| Sender::Service(name.parse().expect("a service"));
    assert_eq!(
        refusal(|header| header.sender = service("impots@interieur.gouv.fr")),
        Code::UnknownService
    );
    assert_eq!(
        refusal(|header| header.sender = service("vaccins@sante.gouv.fr")),
        Code::NotGranted
    );
    assert_eq!(
        refusal(|header| header.sender = Sender::Citizen(mailbox(7))),
        Code::FieldInvalid
    );
}

#[test]
fn case_21_a_revoked_key_signs_nothing_new_and_what_it_signed_before_stays() {
    let revoked = Some(NOW.plus_ms(5 * MINUTE));
    assert!(check_at(letter("avant"), NOW.plus_ms(MINUTE), revoked).is_ok());
    // TRU-4.8: accepted in time, it came to its home after the key had ended.
    assert!(check_at(letter("en route"), NOW.plus_ms(6 * MINUTE), revoked).is_ok());
    let long_ended = Some(Timestamp::from_ms(
        NOW.as_ms() - limits::CLOCK_SKEW_MAX_MS - MINUTE,
    ));
    let after = check_at(letter("après"), NOW.plus_ms(MINUTE), long_ended);
    assert_eq!(after.unwrap_err(), Code::KeyNotValid);
}

#[test]
fn case_17_times_that_no_honest_home_gives_are_refused() {
    let at = |stored| check_at(letter("Bonjour"), stored, None).map(drop);
    assert_eq!(at(NOW.plus_ms(MINUTE)), Ok(()));
    assert_eq!(at(NOW.plus_ms(60 * MINUTE)), Err(Code::NotYetValid));
    assert_eq!(
        at(NOW.plus_ms(15 * MINUTE)),
        Ok(()),
        "a skew of five minutes"
    );
    assert_eq!(at(NOW.plus_ms(15 * MINUTE + 1)), Err(Code::NotYetValid));
    let skew = |ms: u64| Timestamp::from_ms(NOW.as_ms() - ms);
    assert_eq!(at(skew(limits::CLOCK_SKEW_MAX_MS)), Ok(()));
    assert_eq!(
        at(skew(limits::CLOCK_SKEW_MAX_MS + 1)),
        Err(Code::NotYetValid)
    );
    assert_eq!(
        refusal(|header| header.expires = NOW.plus_ms(MINUTE)),
        Code::Expired
    );
}

#[test]
fn case_16_a_body_under_another_header_opens_as_corruption_does() {
    let plain = content("Bonjour", "https://rdv.interieur.gouv.fr/a");
    let mut moved: pli_protocol::wire::Envelope =
        pli_protocol::codec::decode_canonical(&payload(&header(), &plain), limits::ENVELOPE_MAX)
            .expect("made here");
    let mut other = header();
    other.urgency = Urgency::High;
    moved.header = other.encode();
    let moved = sign_one(
        ENVELOPE,
        pli_protocol::codec::encode(&moved),
        &service_key(),
    );
    assert_eq!(check(moved).unwrap_err(), Code::OpenFailed);
    // Sealed to somebody else, or to an epoch that this device does not know.
    let stranger = AccountSecrets::new([5; 32], [6; 32]);
    let key = stranger
        .sealing(&authority("interieur.gouv.fr"), 1)
        .expect("the first epoch")
        .public();
    let seal = |key, epoch| {
        let randomness = SealRandomness::new([3; 64]);
        let payload = envelope::seal(&header(), key, epoch, &plain, randomness).expect("fits");
        sign_one(ENVELOPE, payload, &service_key())
    };
    assert_eq!(check(seal(&key, 1)).unwrap_err(), Code::OpenFailed);
    assert_eq!(check(seal(&key, 2)).unwrap_err(), Code::OpenFailed);
}

#[test]
fn env_3_4_one_signature_and_no_more() {
    let encoded = letter("Bonjour");
    let signed = Signed::decode(encoded.clone(), ENVELOPE).expect("made here");
    let mut wire: pli_protocol::wire::Signed =
        pli_protocol::codec::decode_canonical(&encoded, limits::ENVELOPE_MAX).expect("made here");
    let second = pli_protocol::signed::sign_root(
        ENVELOPE,
        1,
        signed.leaf(),
        &SigningKey::from_seed(&[22; 32]),
    );
    wire.signatures.push(second);
    wire.signatures.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    assert_eq!(
        check(pli_protocol::codec::encode(&wire)).unwrap_err(),
        Code::SignatureCount
    );
}

#[test]
fn case_61_what_is_authentic_but_hostile_is_not_shown_and_only_listed_hosts_are_clickable() {
    let elsewhere = content("Bonjour", "https://rdv-interieur.example/a");
    let letter = check(sign_one(
        ENVELOPE,
        payload(&header(), &elsewhere),
        &service_key(),
    ))
    .expect("authentic");
    assert!(!letter.link_is_clickable());
    let mut hostile: pli_protocol::wire::Content =
        pli_protocol::codec::decode_canonical(&elsewhere, limits::CONTENT_MAX).expect("made here");
    if let Some(pli_protocol::wire::content::Kind::Notice(notice)) = &mut hostile.kind {
        notice.title.as_mut().expect("has one").translations[0].text = "a\u{202e}b".into();
    }
    let hostile = pli_protocol::codec::encode(&hostile);
    let letter = check(sign_one(
        ENVELOPE,
        payload(&header(), &hostile),
        &service_key(),
    ))
    .expect("authentic");
    let error = letter.content().expect_err("cannot be shown");
    assert_eq!(error.field.to_string(), "notice.title.fr");
    assert!(!letter.link_is_clickable());
}

#[test]
fn a_letter_of_a_batch_proves_itself_alone_and_roots_are_remembered() {
    let plain = |n: usize| content(&format!("Lettre {n}"), "https://rdv.interieur.gouv.fr/a");
    let payloads = (0..5).map(|n| payload(&header(), &plain(n))).collect();
    let batch = sign_batch(ENVELOPE, payloads, &service_key()).expect("five are a tree");
    assert!(
        check(batch[3].clone()).is_ok(),
        "alone, with no memory of the others"
    );
    let (directory, grants, secrets, roots) =
        (directory_until(None), grants(), secrets(), Roots::default());
    let now = NOW.plus_ms(MINUTE);
    let with = Verifier {
        directory: &directory,
        grants: &grants,
        secrets: &secrets,
        now,
        roots: &roots,
    };
    for letter in &batch {
        verify(letter.clone(), now, with).expect("honest");
    }
    assert_eq!(roots.0.lock().expect("not poisoned").len(), 1);
    let mut forged = batch[4].to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(
        verify(forged.into(), now, with).is_err(),
        "a known root does not excuse a false signature"
    );
}
