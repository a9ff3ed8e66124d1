use std::collections::HashMap;

use pli_protocol::envelope::{Class, Header, Importance, Urgency};

use super::*;
use crate::ingress::received::Received;
use crate::verify::fixture::{NOW, directory, header, interior, letter, rdv, rdv_key, social};
use crate::verify::{RootMemory, verify};

/// What a store would say; the last is whether it has seen the envelope before.
struct Known(HashMap<MailboxId, Mailbox>, bool);

impl Mailboxes for Known {
    fn mailbox(&self, mailbox: &MailboxId) -> Result<Option<Mailbox>, Code> {
        Ok(self.0.get(mailbox).cloned())
    }
    fn took(&self, _: &EnvelopeId) -> Result<Option<Timestamp>, Code> {
        Ok(self.1.then_some(NOW))
    }
}

fn granted_to(authority: AuthorityId, accepts: Class) -> Known {
    let mailbox = Mailbox {
        account: AccountId::new([1; 32]),
        authority,
        accepts: vec![accepts.number()],
    };
    Known(
        HashMap::from([(header().recipient.mailbox, mailbox)]),
        false,
    )
}

fn admit(own: &AuthorityId, way: &Way, header: &Header, known: &Known) -> Result<Place, Code> {
    let quotas = Quotas::new(QuotaLimits::default());
    admit_within(&quotas, own, way, header, known)
}

fn admit_within(
    quotas: &Quotas,
    own: &AuthorityId,
    way: &Way,
    header: &Header,
    known: &Known,
) -> Result<Place, Code> {
    let directory = directory(None);
    let received = Received::decode(letter(header, &rdv_key())).unwrap();
    let verified = verify(received, way, own, &directory, &RootMemory::default(), NOW).unwrap();
    let admission = Admission {
        own,
        directory: &directory,
        mailboxes: known,
        quotas,
        unwitnessed: false,
        now: NOW,
    };
    let admitted = admission
        .admit(verified, way)
        .map_err(|refused| refused.code)?;
    Ok(admitted.into_entry(NOW).0.place)
}

fn at_home(header: &Header, known: &Known) -> Result<Place, Code> {
    admit(&social(), &Way::Forward(interior()), header, known)
}

fn at_origin(header: &Header) -> Result<Place, Code> {
    let nobody = Known(HashMap::new(), false);
    admit(&interior(), &Way::Submit(rdv()), header, &nobody)
}

fn with(edit: impl FnOnce(&mut Header)) -> Header {
    let mut header = header();
    edit(&mut header);
    header
}

/// CUS-6.2
#[test]
fn cus_5_4_the_origin_queues_for_the_home_in_one_of_two_lanes() {
    let queue = |lane| Place::Queue {
        destination: social(),
        lane,
    };
    assert_eq!(at_origin(&header()), Ok(queue(Lane::Bulk)));
    assert_eq!(
        at_origin(&with(|h| h.urgency = Urgency::High)),
        Ok(queue(Lane::Priority))
    );
}

#[test]
fn an_authority_that_may_not_host_is_nobodys_home() {
    let elsewhere = with(|h| h.recipient.home = interior());
    let known = granted_to(interior(), Class::Message);
    // To its own node it is a mailbox that was never granted; from elsewhere it is no home.
    assert!(admit(&interior(), &Way::Submit(rdv()), &elsewhere, &known).is_ok());
    let nowhere = with(|h| h.recipient.home = "nulle-part.gouv.fr".parse().unwrap());
    assert_eq!(at_origin(&nowhere), Err(Code::UnknownAuthority));
}

#[test]
fn case_28_a_node_that_is_neither_origin_nor_home_refuses() {
    let third = with(|h| h.recipient.home = "numerique.gouv.fr".parse().unwrap());
    let known = granted_to(interior(), Class::Message);
    assert_eq!(at_home(&third, &known), Err(Code::WrongHome));
}

#[test]
fn mbx_4_a_mailbox_is_for_the_authority_it_was_granted_to() {
    assert!(at_home(&header(), &granted_to(interior(), Class::Message)).is_ok());
    assert_eq!(
        at_home(&header(), &granted_to(social(), Class::Message)),
        Err(Code::NotGranted)
    );
    assert_eq!(
        at_home(&header(), &granted_to(interior(), Class::Alert)),
        Err(Code::NotGranted)
    );
    let nobody = Known(HashMap::new(), false);
    assert_eq!(at_home(&header(), &nobody), Err(Code::UnknownMailbox));
}

#[test]
fn r8_a_service_sends_what_the_directory_allows() {
    assert_eq!(
        at_origin(&with(|h| h.importance = Importance::Legal)),
        Err(Code::ClassNotAllowed)
    );
    assert_eq!(
        at_origin(&with(|h| h.class = Class::Alert)),
        Err(Code::ClassNotAllowed)
    );
}

#[test]
fn r6_what_exceeds_its_senders_quota_is_refused() {
    let quotas = Quotas::new(QuotaLimits {
        sender_per_day: 0,
        ..QuotaLimits::default()
    });
    let mut known = granted_to(interior(), Class::Message);
    let way = Way::Forward(interior());
    let admitted = |known: &Known| admit_within(&quotas, &social(), &way, &header(), known);
    assert_eq!(admitted(&known), Err(Code::QuotaExceeded));
    // CUS-5.3: what filled it was accepted; sent again it is a duplicate, not a refusal.
    known.1 = true;
    assert!(admitted(&known).is_ok());
}

#[test]
fn r13_a_node_that_nobody_witnesses_takes_in_nothing_new() {
    let admitted = |known: &Known, way: &Way| {
        let (directory, quotas) = (directory(None), Quotas::new(QuotaLimits::default()));
        let received = Received::decode(letter(&header(), &rdv_key())).unwrap();
        let own = social();
        let verified =
            verify(received, way, &own, &directory, &RootMemory::default(), NOW).unwrap();
        let admission = Admission {
            own: &own,
            directory: &directory,
            mailboxes: known,
            quotas: &quotas,
            unwitnessed: true,
            now: NOW,
        };
        admission
            .admit(verified, way)
            .map_err(|refused| refused.code)
    };
    let way = Way::Forward(interior());
    let mut known = granted_to(interior(), Class::Message);
    assert_eq!(admitted(&known, &way).unwrap_err(), Code::Unwitnessed);
    // CUS-5.3, EVD-9.2: what was accepted before stays accepted.
    known.1 = true;
    assert!(admitted(&known, &way).is_ok());
}
