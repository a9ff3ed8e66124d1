use pli_protocol::crypto::contexts::{ENVELOPE, RECEIPT};
use pli_protocol::envelope::Header;
use pli_protocol::signed::{sign_batch, sign_one};

use super::fixture::*;
use super::*;

fn submit() -> Way {
    Way::Submit(rdv())
}

fn forward() -> Way {
    Way::Forward(interior())
}

fn verdict_in(
    directory: &Directory,
    encoded: bytes::Bytes,
    way: &Way,
    now: Timestamp,
) -> Result<Verified, Code> {
    let own = match way {
        Way::Submit(_) => interior(),
        Way::Forward(_) => social(),
    };
    let received = Received::decode(encoded).map_err(|refused| refused.code)?;
    verify(received, way, &own, directory, &RootMemory::default(), now)
        .map_err(|refused| refused.code)
}

fn verdict(encoded: bytes::Bytes, way: &Way) -> Result<(), Code> {
    verdict_in(&directory(None), encoded, way, NOW).map(|_| ())
}

fn with(edit: impl FnOnce(&mut Header)) -> Header {
    let mut header = header();
    edit(&mut header);
    header
}

#[test]
fn cus_5_2_a_rightly_signed_letter_verifies_both_ways() {
    let verified = verdict_in(
        &directory(None),
        letter(&header(), &rdv_key()),
        &submit(),
        NOW,
    )
    .unwrap();
    assert_eq!(*verified.sender(), rdv());
    assert_eq!(verdict(letter(&header(), &rdv_key()), &forward()), Ok(()));
}

/// CUS-1.3
#[test]
fn r4_a_bad_signature_is_refused_on_every_way_in() {
    for way in [submit(), forward()] {
        let mut forged = letter(&header(), &rdv_key()).to_vec();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert_eq!(
            verdict(forged.into(), &way),
            Err(Code::BadSignature),
            "{way:?}"
        );
        let other_context = sign_one(RECEIPT, payload(&header()), &rdv_key());
        assert_eq!(
            verdict(other_context, &way),
            Err(Code::BadSignature),
            "{way:?}"
        );
        assert_eq!(
            verdict(letter(&header(), &key(99)), &way),
            Err(Code::UnknownKey),
            "{way:?}"
        );
    }
}

#[test]
fn r8_the_sender_the_signer_and_the_peer_are_one() {
    let as_otv = with(|h| h.sender = Sender::Service("otv@interieur.gouv.fr".parse().unwrap()));
    assert_eq!(
        verdict(letter(&as_otv, &rdv_key()), &submit()),
        Err(Code::SenderMismatch)
    );
    assert_eq!(
        verdict(letter(&as_otv, &rdv_key()), &forward()),
        Err(Code::UnknownKey)
    );
    let as_nobody =
        with(|h| h.sender = Sender::Service("nobody@interieur.gouv.fr".parse().unwrap()));
    assert_eq!(
        verdict(letter(&as_nobody, &rdv_key()), &forward()),
        Err(Code::UnknownService)
    );
}

#[test]
fn case_25_an_authority_that_signs_for_another_is_not_authoritative() {
    let as_caf = with(|h| h.sender = Sender::Service("caf@social.gouv.fr".parse().unwrap()));
    assert_eq!(
        verdict(letter(&as_caf, &rdv_key()), &submit()),
        Err(Code::NotAuthoritative)
    );
    assert_eq!(
        verdict(letter(&as_caf, &key(12)), &forward()),
        Err(Code::NotAuthoritative)
    );
}

#[test]
fn case_28_an_envelope_that_comes_back_is_refused() {
    let received = Received::decode(letter(&header(), &rdv_key())).unwrap();
    let way = Way::Forward(social());
    let roots = RootMemory::default();
    let refused = verify(received, &way, &social(), &directory(None), &roots, NOW).unwrap_err();
    assert_eq!(refused.code, Code::WrongHome);
}

#[test]
fn case_21_a_revoked_key_signs_nothing_new() {
    let revoked = directory(Some(NOW));
    let letter = letter(&header(), &rdv_key());
    let before = Timestamp::from_ms(NOW.as_ms() - 1);
    assert!(verdict_in(&revoked, letter.clone(), &submit(), before).is_ok());
    assert_eq!(
        verdict_in(&revoked, letter, &submit(), NOW).unwrap_err(),
        Code::KeyNotValid
    );
    let then = revoked.service_key_at(&rdv(), &rdv_key().public().id(), before);
    assert!(then.is_ok(), "what it signed before stays verifiable");
}

/// TRU-4.8
#[test]
fn case_21_what_waited_at_its_origin_when_the_key_ended_is_still_delivered() {
    let ended = directory(Some(NOW));
    let later = NOW.plus_ms(10 * 60_000);
    let waiting = |created: u64| {
        with(|header| {
            header.created = Timestamp::from_ms(created);
            header.expires = later.plus_ms(60_000);
        })
    };
    let before = letter(&waiting(NOW.as_ms() - 1), &rdv_key());
    assert!(verdict_in(&ended, before.clone(), &forward(), later).is_ok());
    let submitted = verdict_in(&ended, before, &submit(), later);
    assert_eq!(submitted.unwrap_err(), Code::KeyNotValid);
    let after = waiting(NOW.as_ms() + pli_protocol::limits::CLOCK_SKEW_MAX_MS);
    let after = verdict_in(&ended, letter(&after, &rdv_key()), &forward(), later);
    assert_eq!(after.unwrap_err(), Code::KeyNotValid);
}

/// CUS-6.8
#[test]
fn a_letter_is_judged_again_by_the_directory_of_its_origin() {
    let letter = Letter::decode(letter(&header(), &rdv_key())).unwrap();
    let allowed = |directory: &Directory| {
        still_allowed(&letter, directory, NOW).map_err(|refusal| refusal.code())
    };
    assert_eq!(allowed(&directory(None)), Ok(()));
    assert_eq!(allowed(&directory(Some(NOW))), Ok(()), "accepted before");
    let long_ago = Timestamp::from_ms(NOW.as_ms() - 86_400_000);
    assert_eq!(allowed(&directory(Some(long_ago))), Err(Code::KeyNotValid));
}

/// CUS-5.3
#[test]
fn only_its_sender_may_learn_that_a_letter_was_taken_before() {
    let received = |header: &Header| Received::decode(letter(header, &rdv_key())).unwrap();
    let of_rdv = received(&header());
    assert!(is_of_its_sender(&of_rdv, &submit(), &interior()));
    assert!(is_of_its_sender(&of_rdv, &forward(), &social()));
    assert!(!is_of_its_sender(
        &of_rdv,
        &Way::Forward(social()),
        &interior()
    ));
    let otv = Way::Submit("otv@interieur.gouv.fr".parse().unwrap());
    assert!(!is_of_its_sender(&of_rdv, &otv, &interior()));
    let reply = with(|header| header.sender = Sender::Citizen(header.recipient.clone()));
    assert!(!is_of_its_sender(&received(&reply), &forward(), &social()));
}

#[test]
fn case_19_with_an_expired_directory_nothing_new_is_accepted() {
    let directory = directory(None);
    let late = directory.expires();
    let fresh = with(|h| {
        h.created = late;
        h.expires = late.plus_ms(60_000);
    });
    let refused = verdict_in(&directory, letter(&fresh, &rdv_key()), &submit(), late);
    assert_eq!(refused.unwrap_err(), Code::DirectoryExpired);
}

#[test]
fn case_27_an_envelope_past_its_time_is_expired() {
    let at = |now| {
        verdict_in(
            &directory(None),
            letter(&header(), &rdv_key()),
            &forward(),
            now,
        )
    };
    assert!(at(Timestamp::from_ms(header().expires.as_ms() - 1)).is_ok());
    assert_eq!(at(header().expires).unwrap_err(), Code::Expired);
}

#[test]
fn env_3_4_a_message_bears_one_signature() {
    let mut wire: pli_protocol::wire::Signed = pli_protocol::codec::decode_canonical(
        &letter(&header(), &rdv_key()),
        pli_protocol::limits::ENVELOPE_MAX,
    )
    .unwrap();
    let payload = wire.payload.clone();
    let other: pli_protocol::wire::Signed = pli_protocol::codec::decode_canonical(
        &sign_one(ENVELOPE, payload, &key(11)),
        pli_protocol::limits::ENVELOPE_MAX,
    )
    .unwrap();
    wire.signatures.extend(other.signatures);
    wire.signatures.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    let twice = pli_protocol::codec::encode(&wire);
    assert_eq!(verdict(twice, &submit()), Err(Code::SignatureCount));
}

#[test]
fn sig_5_5_a_batch_costs_one_signature_check() {
    let payloads: Vec<_> = (0..16)
        .map(|n| payload(&with(|h| h.expires = h.expires.plus_ms(n))))
        .collect();
    let roots = RootMemory::default();
    let directory = directory(None);
    for encoded in sign_batch(ENVELOPE, payloads, &rdv_key()).unwrap() {
        let received = Received::decode(encoded).unwrap();
        verify(received, &submit(), &interior(), &directory, &roots, NOW).unwrap();
    }
}

/// CUS-5.8
#[test]
fn a_citizens_reply_has_no_way_in_yet() {
    let reply = with(|header| header.sender = Sender::Citizen(header.recipient.clone()));
    for way in [submit(), forward()] {
        assert_eq!(
            verdict(letter(&reply, &rdv_key()), &way),
            Err(Code::ClassNotAllowed)
        );
    }
}
