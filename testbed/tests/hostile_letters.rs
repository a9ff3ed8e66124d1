//! Letters that no node may take, handed to a real node over QUIC: each is refused by its code in a signed
//! acknowledgement, and the good one among them goes through.

use std::collections::BTreeSet;
use std::sync::Arc;

use pli_client::clock;
use pli_protocol::account::{AccountSecrets, Grant, SignedGrant};
use pli_protocol::code::Code;
use pli_protocol::content::{Content, Kind, Notice, Text};
use pli_protocol::custody::Disposition;
use pli_protocol::envelope::Class;
use pli_protocol::id::{MailboxAddress, MailboxId};
use pli_testbed::Federation;
use pli_testbed::hostile::{Hostile, prepared};
use pli_testbed::sending::submit_all;

/// A grant of a citizen whom no home knows: the origin cannot tell, so it accepts what is addressed to it.
fn grant(mailbox: u8) -> Arc<Grant> {
    let secrets = AccountSecrets::new([mailbox; 32], [mailbox; 32]);
    let home = "social.gouv.fr".parse().expect("an authority");
    let mailbox = MailboxAddress {
        mailbox: MailboxId::new([mailbox; 16]),
        home,
    };
    let to = "interieur.gouv.fr".parse().expect("an authority");
    let made = SignedGrant::make(
        &secrets,
        to,
        mailbox,
        BTreeSet::from([Class::Message]),
        clock::now(),
    );
    Arc::new(made.grant().clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_cases_25_and_27_each_hostile_letter_is_refused_by_its_code_and_the_good_one_passes() {
    let federation = Federation::builder()
        .two_hosts()
        .start()
        .await
        .expect("two nodes");
    let service = federation
        .service("rdv@interieur.gouv.fr")
        .await
        .expect("open");
    let notice = Notice::new(Text::french("Titre"), Text::french("Bonjour"));
    let hostile = Hostile::new(&service, grant(1), Content::from(Kind::Notice(notice)));
    let aides = "aides@social.gouv.fr".parse().expect("a service");
    let sibling = "autre@interieur.gouv.fr".parse().expect("a service");
    let expected = [
        ("good", hostile.good(), None),
        ("forged", hostile.forged(), Some(Code::UnknownKey)),
        (
            "bad signature",
            hostile.bad_signature(),
            Some(Code::BadSignature),
        ),
        (
            "in another authority's name",
            hostile.impersonating(&aides),
            Some(Code::NotAuthoritative),
        ),
        (
            "in a sibling's name",
            hostile.impersonating(&sibling),
            Some(Code::SenderMismatch),
        ),
        ("expired", hostile.expired(), Some(Code::Expired)),
        (
            "re-addressed",
            hostile.readdressed(&grant(2).mailbox),
            Some(Code::BadSignature),
        ),
        (
            "oversized",
            hostile.oversized(),
            Some(Code::EnvelopeTooLarge),
        ),
        ("good again", hostile.good(), None),
    ];
    let mut codes = Vec::new();
    let mut letters = Vec::new();
    for (name, letter, code) in expected {
        letters.push(prepared(name, letter.expect("it can be made")));
        codes.push(code);
    }
    let first = letters[0].clone();
    let settled = submit_all(&service, letters)
        .await
        .expect("all are answered");
    assert_eq!(settled.len(), codes.len());
    for (one, code) in settled.iter().zip(codes) {
        let expected = code.map_or(Disposition::Accepted, Disposition::Refused);
        assert_eq!(one.disposition, expected, "{}", one.tag);
    }

    // Sent again by its own sender it is a duplicate with the first receipt; by a thief it is refused.
    let again = submit_all(&service, vec![first.clone()])
        .await
        .expect("answered");
    assert!(
        matches!(again[0].disposition, Disposition::Duplicate { .. }),
        "{:?}",
        again[0].disposition
    );
    let thief = federation
        .service("aides@social.gouv.fr")
        .await
        .expect("open");
    let stolen = submit_all(&thief, vec![first]).await.expect("answered");
    assert_eq!(
        stolen[0].disposition,
        Disposition::Refused(Code::NotAuthoritative)
    );
}
