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

use super::*;
use crate::device::grants::to_text;
use crate::device::verify::tests::{NOW, letter};

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
    assert!(
        report
            .fields
            .contains(&("role keys", "root: 2 of 3".to_owned()))
    );
    let service = br#"{"version":1,"service":"rdv@interieur.gouv.fr","surprise":true}"#;
    let report = inspect(service, None, NOW);
    assert_eq!(report.kind, "service record");
    assert_eq!(verdict(&report, "form"), "fails");
    assert!(!Bytes::from_static(service).is_empty());
}
