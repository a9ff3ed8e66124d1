//! The operations one by one.

use pli_node::store::{
    AbsenceReason, AccountRecord, Appended, CustodyState, DeviceRecord, Enrolment, InvitationId, Item, Lane,
    MailboxRecord, Outcome, PageBound, Report, Sender, Settlement, StoreError, Usage,
};
use pli_protocol::id::KeyId;

use crate::Opener;
use crate::fixture::*;

fn r1_exact_bytes_come_out_again(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let entries: Vec<_> = (0..200).map(|n| if n % 2 == 0 { letter(n, 1) } else { parcel(n, 2, Lane::Bulk) }).collect();
    append_new(&*store, &entries);
    drop(store);
    for _ in 0..2 {
        let store = open(opener, directory.path());
        let page = store.read(&account(1), 0, ALL).unwrap();
        let letters: Vec<_> = entries.iter().step_by(2).collect();
        assert_eq!(page.items.len(), letters.len());
        for (number, (item, entry)) in page.items.iter().zip(letters).enumerate() {
            assert_eq!(item.seq, number as u64 + 1);
            let expected = Item::Envelope { id: entry.id, stored_at: entry.accepted_at, bytes: entry.bytes.clone() };
            assert_eq!(item.item, expected);
        }
        let queue = store.pending(&home(2), Lane::Bulk, 0, ALL).unwrap();
        for (pending, entry) in queue.items.iter().zip(entries.iter().skip(1).step_by(2)) {
            assert_eq!((&pending.bytes, pending.id, &pending.sender), (&entry.bytes, entry.id, &entry.sender));
            assert_eq!((pending.accepted_at, pending.expires), (entry.accepted_at, entry.expires));
        }
        assert_eq!(queue.items.len(), 100);
    }
}

/// CUS-5.3
fn case_26_a_duplicate_is_stored_once_and_keeps_its_first_time(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let (first, mut again) = (letter(1, 1), letter(1, 1));
    again.accepted_at = at_hour(5);
    let outcomes = store.append(&[first.clone(), again.clone()]).unwrap();
    let duplicate = Appended::Duplicate { first_accepted_at: first.accepted_at };
    assert_eq!(outcomes, [Appended::New { seq: 1 }, duplicate]);
    for _ in 0..1_000 {
        assert_eq!(store.append(std::slice::from_ref(&again)).unwrap(), [duplicate]);
    }
    assert_eq!(store.known(&[first.id, letter(2, 1).id]).unwrap(), [Some(first.accepted_at), None]);
    assert_eq!(contents(&*store, 1), [Some(first.id)]);
    assert_eq!(store.usage(&account(1), &mailbox(1)).unwrap(), Usage { envelopes: 1, bytes: first.bytes.len() as u64 });
    drop(store);
    let store = open(opener, directory.path());
    assert_eq!(store.append(&[again]).unwrap(), [duplicate]);
}

fn pages_are_bounded_and_lose_nothing(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let letters: Vec<_> = (0..50).map(|n| letter(n, 1)).collect();
    let parcels: Vec<_> = (50..100).map(|n| parcel(n, 1, Lane::Priority)).collect();
    append_new(&*store, &letters);
    append_new(&*store, &parcels);
    for bound in [PageBound { items: 7, bytes: usize::MAX }, PageBound { items: 1_000, bytes: 2_000 }, PageBound { items: 3, bytes: 1 }] {
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = store.read(&account(1), after, bound).unwrap();
            assert_eq!(page.latest_seq, 50);
            assert!(page.items.len() <= bound.items);
            let Some(last) = page.items.last() else { break };
            after = last.seq;
            let bytes: usize = page.items.iter().map(|item| if let Item::Envelope { bytes, .. } = &item.item { bytes.len() } else { 0 }).sum();
            assert!(bytes <= bound.bytes || page.items.len() == 1);
            seen.extend(page.items.into_iter().map(|item| item.seq));
        }
        assert_eq!(seen, (1..=50).collect::<Vec<_>>());
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = store.pending(&home(1), Lane::Priority, after, bound).unwrap();
            if page.items.is_empty() {
                break;
            }
            after = page.next_after;
            seen.extend(page.items.into_iter().map(|item| item.id));
        }
        assert_eq!(seen, parcels.iter().map(|entry| entry.id).collect::<Vec<_>>());
    }
    assert!(store.read(&account(1), 50, ALL).unwrap().items.is_empty());
    assert!(store.read(&account(1), u64::MAX, ALL).unwrap().items.is_empty());
    assert_eq!(store.read(&account(9), 0, ALL).unwrap().latest_seq, 0);
}

/// CUS-6.4
fn r2_a_refused_item_is_set_aside_and_the_next_goes_on(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let parcels: Vec<_> = (0..4).map(|n| parcel(n, 1, Lane::Bulk)).collect();
    append_new(&*store, &parcels);
    let settlement = Settlement {
        receipts: "the peer's signed answer".into(),
        items: vec![
            (parcels[0].id, Outcome::Delivered),
            (parcels[1].id, Outcome::Refused { code: 61 }),
            (letter(99, 1).id, Outcome::Unchanged),
            (parcels[2].id, Outcome::Undeliverable { code: 90 }),
        ],
    };
    let settled = store.settle(std::slice::from_ref(&settlement), &[]).unwrap();
    assert_eq!((settled.applied, settled.ignored), (3, 0));
    let settled = store.settle(std::slice::from_ref(&settlement), &[]).unwrap();
    assert_eq!((settled.applied, settled.ignored), (0, 3), "the first final outcome stands");
    drop(store);
    let store = open(opener, directory.path());
    assert_eq!(waiting(&*store, 1, Lane::Bulk), [parcels[3].id]);
    let aside = store.set_aside(&home(1), 0, ALL).unwrap();
    assert_eq!(aside.items.len(), 1);
    assert_eq!((aside.items[0].id, &aside.items[0].bytes), (parcels[1].id, &parcels[1].bytes));
    let state = &store.destinations().unwrap()[0];
    assert_eq!((state.bulk, state.priority, state.set_aside), (1, 0, 1));
    assert_eq!((state.bytes, state.oldest), (parcels[3].bytes.len() as u64, Some(parcels[3].accepted_at)));
    let states = [CustodyState::Delivered, CustodyState::Refused { code: 61 }, CustodyState::Undeliverable { code: 90 }];
    for ((entry, state), index) in parcels.iter().zip(states).zip([0, 1, 3]) {
        let custody = store.custody(&entry.id).unwrap().unwrap();
        assert_eq!((custody.state, &custody.sender), (state, &service()));
        assert_eq!(custody.evidence.len(), 1);
        assert_eq!((custody.evidence[0].index, &custody.evidence[0].settlement), (index, &settlement));
    }
    let queued = CustodyState::Queued { destination: home(1), lane: Lane::Bulk };
    assert_eq!(store.custody(&parcels[3].id).unwrap().unwrap().state, queued);
    assert_eq!(store.custody(&letter(99, 1).id).unwrap(), None);
}

fn a_letter_is_stored_then_retrieved_then_expired_then_forgotten(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let letters: Vec<_> = (0..3).map(|n| letter(n, 1)).collect();
    append_new(&*store, &letters);
    let custody = store.custody(&letters[1].id).unwrap().unwrap();
    assert_eq!(custody.state, CustodyState::Stored { account: account(1), seq: 2 });
    let handover = Settlement { receipts: "handover".into(), items: vec![(letters[1].id, Outcome::Retrieved)] };
    let report = Report { destination: home(3), bytes: "signed receipts".into(), expires: at_hour(50) };
    assert_eq!(store.settle(&[handover], std::slice::from_ref(&report)).unwrap().applied, 1);
    assert_eq!(contents(&*store, 1).len(), 3, "other devices can still read it");
    let reports = store.pending_reports(&home(3), 0, ALL).unwrap();
    assert_eq!((reports.len(), &reports[0].bytes, reports[0].expires), (1, &report.bytes, report.expires));

    assert_eq!(store.expire(at_hour(99), 10).unwrap().absent, 0);
    assert!(store.pending_reports(&home(3), 0, ALL).unwrap().is_empty(), "the report has expired");
    let mut absent = 0;
    loop {
        let round = store.expire(at_hour(101), 2).unwrap();
        absent += round.absent;
        assert!(round.undelivered.is_empty());
        if !round.more {
            break;
        }
    }
    assert_eq!(absent, 3);
    let page = store.read(&account(1), 0, ALL).unwrap();
    assert_eq!(page.latest_seq, 3);
    for (number, item) in page.items.iter().enumerate() {
        assert_eq!((item.seq, &item.item), (number as u64 + 1, &Item::Absent { reason: AbsenceReason::Expired }));
    }
    assert_eq!(store.usage(&account(1), &mailbox(1)).unwrap(), Usage::default());
    assert_eq!(store.custody(&letters[0].id).unwrap().unwrap().state, CustodyState::Expired);
    assert_eq!(store.custody(&letters[1].id).unwrap().unwrap().state, CustodyState::Retrieved);
    store.expire(at_hour(123), 10).unwrap();
    assert!(store.custody(&letters[0].id).unwrap().is_some());
    assert_eq!(store.expire(at_hour(125), 10).unwrap().forgotten, 3);
    assert_eq!(store.custody(&letters[1].id).unwrap(), None);
    // The numbering goes on where it was.
    drop(store);
    let store = open(opener, directory.path());
    assert_eq!(append_new(&*store, &[letter(10, 1)]), [4]);
}

/// CUS-6.6
fn case_33_an_undelivered_item_is_handed_over_until_it_is_settled(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let mut citizen = parcel(1, 1, Lane::Priority);
    citizen.sender = Sender::Mailbox("000102030405060708090a0b0c0d0e0f@social.gouv.fr".parse().unwrap());
    append_new(&*store, &[parcel(0, 1, Lane::Bulk), citizen.clone()]);
    assert!(store.expire(at_hour(99), 10).unwrap().undelivered.is_empty());
    for _ in 0..2 {
        let round = store.expire(at_hour(101), 10).unwrap();
        let mut senders: Vec<_> = round.undelivered.iter().map(|due| due.sender.to_string()).collect();
        senders.sort();
        assert_eq!(senders, [citizen.sender.to_string(), service().to_string()]);
        assert!(round.undelivered.iter().all(|due| due.destination == home(1)));
    }
    let items = vec![(citizen.id, Outcome::Undeliverable { code: 70 })];
    store.settle(&[Settlement { receipts: "undeliverable".into(), items }], &[]).unwrap();
    let round = store.expire(at_hour(101), 10).unwrap();
    assert_eq!(round.undelivered.iter().map(|due| due.id).collect::<Vec<_>>(), [parcel(0, 1, Lane::Bulk).id]);
    assert_eq!(waiting(&*store, 1, Lane::Priority), []);
    assert_eq!(store.custody(&citizen.id).unwrap().unwrap().state, CustodyState::Undeliverable { code: 70 });
}

fn reports_wait_until_they_are_settled(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let report = |n: u8| Report { destination: home(n % 2), bytes: vec![n; 40].into(), expires: at_hour(500) };
    let reports: Vec<_> = (0..10).map(report).collect();
    store.settle(&[], &reports).unwrap();
    drop(store);
    let store = open(opener, directory.path());
    let even = store.pending_reports(&home(0), 0, PageBound { items: 3, bytes: usize::MAX }).unwrap();
    assert_eq!(even.iter().map(|report| report.bytes[0]).collect::<Vec<_>>(), [0, 2, 4]);
    store.settle_reports(&home(0), &even.iter().map(|report| report.position).collect::<Vec<_>>()).unwrap();
    let rest = store.pending_reports(&home(0), 0, ALL).unwrap();
    assert_eq!(rest.iter().map(|report| report.bytes[0]).collect::<Vec<_>>(), [6, 8]);
    assert_eq!(store.pending_reports(&home(0), rest[0].position, ALL).unwrap().len(), 1);
    assert_eq!(store.pending_reports(&home(1), 0, ALL).unwrap().len(), 5);
    let states = store.destinations().unwrap();
    assert_eq!(states.iter().map(|state| state.reports).collect::<Vec<_>>(), [2, 5]);
    // Settling again does no harm.
    store.settle_reports(&home(0), &[even[0].position]).unwrap();
    assert_eq!(store.pending_reports(&home(0), 0, ALL).unwrap().len(), 2);
}

fn an_invitation_is_used_once(opener: Opener) {
    let directory = fast_directory();
    let device = |n: u8| DeviceRecord { key: KeyId::new([n; 32]), public_key: [n; 32], added_at: START };
    let record = |n: u8| AccountRecord { id: account(n), enrolled_at: START, devices: vec![device(n)] };
    let invitation = |n: u8| InvitationId::new([n; 16]);
    let store = open(opener, directory.path());
    assert_eq!(store.enrol(&invitation(1), &record(1)).unwrap(), Enrolment::Done { account: account(1) });
    drop(store);
    let store = open(opener, directory.path());
    // The answer was lost: the same device asks again, with a new proposal for its account's id.
    let again = AccountRecord { id: account(9), ..record(1) };
    assert_eq!(store.enrol(&invitation(1), &again).unwrap(), Enrolment::Done { account: account(1) });
    assert_eq!(store.enrol(&invitation(1), &record(2)).unwrap(), Enrolment::InvitationUsed);
    assert_eq!(store.enrol(&invitation(2), &record(1)).unwrap(), Enrolment::DeviceKnown);
    assert_eq!(store.enrol(&invitation(2), &record(2)).unwrap(), Enrolment::Done { account: account(2) });
    assert_eq!(store.account(&account(1)).unwrap(), Some(record(1)));
    assert_eq!(store.account(&account(9)).unwrap(), None);
    assert_eq!(store.account_of_device(&KeyId::new([2; 32])).unwrap(), Some(account(2)));
    // A second device comes, the first one goes.
    let changed = AccountRecord { devices: vec![device(5)], ..record(1) };
    store.put_account(&changed).unwrap();
    assert_eq!(store.account(&account(1)).unwrap(), Some(changed));
    assert_eq!(store.account_of_device(&KeyId::new([1; 32])).unwrap(), None);
    assert_eq!(store.account_of_device(&KeyId::new([5; 32])).unwrap(), Some(account(1)));
    let nobody = AccountRecord { devices: Vec::new(), ..record(3) };
    assert!(matches!(store.enrol(&invitation(3), &nobody), Err(StoreError::Misuse { .. })));
}

fn a_mailbox_is_found_by_its_id_and_by_its_account(opener: Opener) {
    let directory = fast_directory();
    let record = |n: u8, owner: u8, grant: &'static str| MailboxRecord {
        mailbox: mailbox(n),
        account: account(owner),
        authority: home(n),
        grant: grant.into(),
        published_at: at_hour(n.into()),
    };
    let store = open(opener, directory.path());
    for mailbox in [record(1, 1, "first"), record(2, 1, "second"), record(3, 2, "third"), record(1, 1, "renewed")] {
        store.put_mailbox(&mailbox).unwrap();
    }
    drop(store);
    let store = open(opener, directory.path());
    assert_eq!(store.mailbox(&mailbox(1)).unwrap(), Some(record(1, 1, "renewed")));
    assert_eq!(store.mailboxes(&account(1)).unwrap(), [record(1, 1, "renewed"), record(2, 1, "second")]);
    assert_eq!(store.mailboxes(&account(2)).unwrap(), [record(3, 2, "third")]);
    assert_eq!(store.mailbox(&mailbox(9)).unwrap(), None);
}

crate::for_each_engine!(
    r1_exact_bytes_come_out_again,
    case_26_a_duplicate_is_stored_once_and_keeps_its_first_time,
    pages_are_bounded_and_lose_nothing,
    r2_a_refused_item_is_set_aside_and_the_next_goes_on,
    a_letter_is_stored_then_retrieved_then_expired_then_forgotten,
    case_33_an_undelivered_item_is_handed_over_until_it_is_settled,
    reports_wait_until_they_are_settled,
    an_invitation_is_used_once,
    a_mailbox_is_found_by_its_id_and_by_its_account,
);
