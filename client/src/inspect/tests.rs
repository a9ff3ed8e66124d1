//! Each object is known for what it is; what cannot be checked is said, and what fails too.

use std::collections::BTreeSet;

use bytes::Bytes;
use pli_protocol::account::{
    AccountSecrets, Enrolment, Invitation, InvitationId, InvitationLink, SignedGrant,
};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::envelope::Class;
use pli_protocol::id::{EnvelopeId, MailboxAddress, MailboxId};

use pli_protocol::limits;

use super::*;
use crate::device::grants::to_text;
use crate::device::verify::tests::{NOW, check_at, directory_until, letter};

fn key() -> SigningKey {
    SigningKey::from_seed(&[31; 32])
}

fn verdict(report: &Report, what: &str) -> &'static str {
    let check = report.checks.iter().find(|check| check.what == what);
    match check.map(|check| &check.verdict) {
        Some(Verdict::Holds(_)) => "holds",
        Some(Verdict::Fails { .. }) => "fails",
        Some(Verdict::NotChecked(_)) => "not checked",
        None => "absent",
    }
}

fn grant() -> SignedGrant {
    let secrets = AccountSecrets::new([1; 32], [2; 32]);
    let home = "social.gouv.fr".parse().expect("a domain");
    let mailbox = MailboxAddress {
        mailbox: MailboxId::new([7; 16]),
        home,
    };
    let to = "interieur.gouv.fr".parse().expect("a domain");
    SignedGrant::make(&secrets, to, mailbox, BTreeSet::from([Class::Message]), NOW)
}

fn invitation() -> Invitation {
    let home = "social.gouv.fr".parse().expect("a domain");
    Invitation {
        id: InvitationId::new([6; 16]),
        home,
        expires: NOW.plus_ms(60_000),
    }
}

#[test]
fn each_signed_object_is_known_for_what_it_is() {
    let receipt = Receipt {
        step: Step::Stored,
        node: "social.gouv.fr".parse().expect("a domain"),
        envelope: EnvelopeId::new([5; 32]),
        at: NOW,
    };
    let enrolment = Enrolment::sign(&invitation(), &key(), NOW);
    for (kind, encoded, signature) in [
        ("envelope", letter("Bonjour"), "not checked"),
        ("receipt", receipt.sign(&key()), "not checked"),
        ("grant", grant().encoded().clone(), "holds"),
        ("invitation", invitation().sign(&key()), "not checked"),
        ("enrolment", enrolment, "holds"),
    ] {
        let report = inspect(&encoded, None, NOW);
        assert_eq!(report.kind, kind);
        assert_eq!(verdict(&report, "signature"), signature, "{kind}");
        assert!(!report.has_failed(), "{kind}: {report:?}");
        // The same as text.
        let hex = pli_protocol::id::to_hex(&encoded);
        assert_eq!(inspect(format!("{hex}\n").as_bytes(), None, NOW).kind, kind);
    }
}

#[test]
fn the_texts_that_people_hand_over_are_understood() {
    let link = InvitationLink {
        home: invitation().home,
        root_sha256: [1; 32],
        invitation: invitation().sign(&key()),
    };
    assert_eq!(
        inspect(link.to_string().as_bytes(), None, NOW).kind,
        "invitation"
    );
    assert_eq!(
        inspect(to_text(&grant()).as_bytes(), None, NOW).kind,
        "grant"
    );
}

#[test]
fn what_does_not_hold_is_said() {
    let late = inspect(&letter("Bonjour"), None, NOW.plus_ms(365 * 86_400_000));
    assert_eq!(verdict(&late, "time"), "fails");
    let old = inspect(&invitation().sign(&key()), None, NOW.plus_ms(60_000));
    assert_eq!(verdict(&old, "time"), "fails");

    // A grant or an enrolment whose signature is false is shown as nothing better than that.
    let mut forged = Enrolment::sign(&invitation(), &key(), NOW).to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let report = inspect(&forged, None, NOW);
    assert_eq!(
        (report.kind, verdict(&report, "signature")),
        ("enrolment", "fails")
    );
    for garbage in [&b""[..], b"\x00", b"Bonjour", &[0xff; 100]] {
        let report = inspect(garbage, None, NOW);
        assert_eq!(report.kind, "unknown", "{garbage:?}");
        assert!(report.has_failed());
    }
}

#[test]
fn files_of_the_repository_are_known_and_their_faults_named() {
    let root = br#"{"signed":{"_type":"root","version":3,"expires":"2027-01-01T00:00:00Z","roles":{"root":{"threshold":2,"keyids":["a","b","c"]}}},"signatures":[{},{}]}"#;
    let report = inspect(root, None, NOW);
    assert_eq!(report.kind, "TUF metadata");
    assert!(report.fields.contains(&Field {
        name: "role keys",
        text: "root: 2 of 3".to_owned(),
        exact: None,
    }));
    let service = br#"{"version":1,"service":"rdv@interieur.gouv.fr","surprise":true}"#;
    let report = inspect(service, None, NOW);
    assert_eq!(report.kind, "service record");
    assert_eq!(verdict(&report, "form"), "fails");
    assert!(!Bytes::from_static(service).is_empty());
}

/// A key that ended around the letter's time: inspect says what the device and a node that is forwarded it say.
#[test]
fn tru_4_8_a_letter_is_judged_as_devices_and_nodes_judge_it() {
    const MINUTE: u64 = 60_000;
    let (created, now) = (NOW.as_ms(), NOW.plus_ms(MINUTE));
    let skew = limits::CLOCK_SKEW_MAX_MS;
    for (end_ms, verdict_is) in [
        (created - skew - MINUTE, "fails"),
        (created - skew, "fails"),
        (created - skew + 1, "holds"),
        (created - 1, "holds"),
        (created, "holds"),
        (created + 1, "holds"),
        (created + 10 * MINUTE, "holds"),
    ] {
        let end = Timestamp::from_ms(end_ms);
        let directory = directory_until(Some(end));
        let report = inspect(&letter("Bonjour"), Some(&directory), now);
        assert_eq!(verdict(&report, "signature"), verdict_is, "{end}");
        let device = check_at(letter("Bonjour"), now, Some(end)).is_ok();
        assert_eq!(device, verdict_is == "holds", "{end}");
        let service = "rdv@interieur.gouv.fr".parse().expect("a service");
        let signer = directory.service(&service).expect("listed").keys[0]
            .key
            .id();
        let node = directory.accepted_key(&service, &signer, NOW, now).is_ok();
        assert_eq!(node, device, "{end}");
        // MBX-5.9: what came after the end is shown with a caution.
        let caution = match verdict_is == "holds" && end <= now {
            true => "not checked",
            false => "absent",
        };
        assert_eq!(verdict(&report, "time of signing"), caution, "{end}");
    }
}

fn texts<'a>(report: &'a Report, name: &str) -> Vec<&'a str> {
    let fields = report.fields.iter().filter(|field| field.name == name);
    fields.map(|field| field.text.as_str()).collect()
}

#[test]
fn a_key_has_the_name_that_operators_type_wherever_it_is_known() {
    let directory = directory_until(None);
    let service = "rdv@interieur.gouv.fr".parse().expect("a service");
    let key = directory.service(&service).expect("listed").keys[0].key;
    let report = inspect(&letter("Bonjour"), Some(&directory), NOW);
    assert_eq!(texts(&report, "key"), [key.to_string()]);
    assert_eq!(texts(&report, "key id"), [key.id().to_string()]);
    // Without a directory nobody knows the key, and its id is all there is.
    let report = inspect(&letter("Bonjour"), None, NOW);
    assert!(texts(&report, "key").is_empty());
    assert_eq!(texts(&report, "key id"), [key.id().to_string()]);
    // Why a signature fails names it too.
    let ended = directory_until(Some(Timestamp::from_ms(2)));
    let report = inspect(&letter("Bonjour"), Some(&ended), NOW);
    let reason = report.checks.iter().find_map(|check| match &check.verdict {
        Verdict::Fails { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    let reason = reason.expect("it ended long ago");
    assert!(reason.starts_with(&key.to_string()), "{reason}");
    assert!(reason.contains("until 1970-01-01 00:00:00 UTC"), "{reason}");
}

#[test]
fn times_are_utc_for_people_and_exact_for_programs() {
    let report = inspect(&letter("Bonjour"), None, NOW);
    let created = report.fields.iter().find(|field| field.name == "created");
    let created = created.expect("a field of each envelope");
    assert_eq!(created.text, "2026-11-18 11:06:40 UTC");
    assert_eq!(created.exact.as_deref(), Some("2026-11-18T11:06:40Z"));
}

#[test]
fn a_key_is_named_as_what_it_is_and_a_secret_is_not_repeated() {
    let secret = key().to_secret_text();
    let bare = secret.strip_prefix("pli-secret-ed25519:").expect("SIG-4.4");
    let cut = &secret[..secret.len() - 4];
    let account = AccountSecrets::new([1; 32], [2; 32]).to_secret_text();
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----\n";
    for (text, kind) in [
        (secret.as_str(), "secret key"),
        (&format!("{}\n", *secret), "secret key"),
        (cut, "secret key"),
        (account.as_str(), "account secrets"),
        (pem, "secret key of another program (PEM)"),
    ] {
        let report = inspect(text.as_bytes(), None, NOW);
        assert_eq!(report.kind, kind);
        let said = texts(&report, "warning").join("");
        assert!(said.contains("never share"), "{kind}: {said}");
        let all = format!("{report:?}");
        for hidden in [bare, &bare[..20], &"01".repeat(32), "MC4CAQ"] {
            assert!(!all.contains(hidden), "{all}");
        }
    }
    let public = *key().public();
    let report = inspect(secret.as_bytes(), None, NOW);
    assert_eq!(texts(&report, "public half"), [public.to_string()]);
    let report = inspect(format!("{public}\n").as_bytes(), None, NOW);
    assert_eq!(report.kind, "public key");
    assert_eq!(texts(&report, "key"), [public.to_string()]);
    assert_eq!(texts(&report, "key id"), [public.id().to_string()]);
}

#[test]
fn what_is_none_of_pli_is_told_so_and_what_would_be() {
    let workspace = br#"{"version":1,"authority":"interieur.gouv.fr","role_version":2}"#;
    for garbage in [
        &b""[..],
        b"\x00",
        b"Bonjour",
        b"{\"a\":1}",
        workspace,
        &[0xff; 100],
    ] {
        let report = inspect(garbage, None, NOW);
        assert_eq!(report.kind, UNKNOWN, "{garbage:?}");
        let [check] = report.checks.as_slice() else {
            panic!("{report:?}")
        };
        let Verdict::Fails { reason, code: None } = &check.verdict else {
            panic!("{report:?}")
        };
        assert!(reason.starts_with("not a Pli object: "), "{reason}");
        assert!(
            reason.contains("expected one of an envelope, a receipt"),
            "{reason}"
        );
    }
}
