//! What time does: expiry, retention, reports.

use pli_node::store::{
    AbsenceReason, CustodyState, Entry, Item, Lane, Outcome, PageBound, Report, Sender, Settlement,
    Usage,
};

use pli_protocol::id::Timestamp;

use crate::Opener;
use crate::fixture::*;

fn a_letter_is_stored_then_retrieved_then_expired_then_forgotten(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let letters: Vec<_> = (0..3).map(|n| letter(n, 1)).collect();
    append_new(&*store, &letters);
    let custody = store.custody(&letters[1].id).unwrap().unwrap();
    assert_eq!(
        custody.state,
        CustodyState::Stored {
            account: account(1),
            seq: 2
        }
    );
    let handover = Settlement {
        receipts: "handover".into(),
        items: vec![(letters[1].id, Outcome::Retrieved)],
    };
    let report = Report {
        destination: home(3),
        bytes: "signed receipts".into(),
        expires: at_hour(50),
    };
    assert_eq!(
        store
            .settle(&[handover], std::slice::from_ref(&report))
            .unwrap()
            .applied,
        1
    );
    assert_eq!(
        contents(&*store, 1).len(),
        3,
        "other devices can still read it"
    );
    let reports = store.pending_reports(&home(3), 0, ALL).unwrap();
    assert_eq!(
        (reports.len(), &reports[0].bytes, reports[0].expires),
        (1, &report.bytes, report.expires)
    );

    assert_eq!(store.expire(at_hour(99), 10).unwrap().absent, 0);
    assert!(
        store.pending_reports(&home(3), 0, ALL).unwrap().is_empty(),
        "the report has expired"
    );
    let mut absent = 0;
    loop {
        let round = store.expire(at_hour(101), 2).unwrap();
        absent += round.absent;
        assert!(round.undelivered.is_empty());
        if round.absent == 0 {
            break;
        }
    }
    assert_eq!(absent, 3);
    let untaken = |at| {
        let round = store.expire(at_hour(at), 10).unwrap();
        let ids = round.untaken.into_iter().map(|letter| letter.id);
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    // CUS-6.6: said again until it is written down what the origin is told.
    let nobody_took = [letters[0].id, letters[2].id].into();
    assert_eq!(untaken(101), nobody_took);
    assert_eq!(untaken(101), nobody_took);
    let told = Settlement {
        receipts: "undeliverable".into(),
        items: vec![(letters[2].id, Outcome::Undeliverable { code: 60 })],
    };
    assert_eq!(store.settle(&[told], &[]).unwrap().applied, 1);
    assert_eq!(untaken(101), [letters[0].id].into());
    let page = store.read(&account(1), 0, ALL).unwrap();
    assert_eq!(page.latest_seq, 3);
    for (number, item) in page.items.iter().enumerate() {
        assert_eq!(
            (item.seq, &item.item),
            (
                number as u64 + 1,
                &Item::Absent {
                    reason: AbsenceReason::Expired
                }
            )
        );
    }
    assert_eq!(
        store.usage(&account(1), &mailbox(1)).unwrap(),
        Usage::default()
    );
    assert_eq!(
        store.custody(&letters[0].id).unwrap().unwrap().state,
        CustodyState::Expired
    );
    assert_eq!(
        store.custody(&letters[2].id).unwrap().unwrap().state,
        CustodyState::Undeliverable { code: 60 }
    );
    assert_eq!(
        store.custody(&letters[1].id).unwrap().unwrap().state,
        CustodyState::Retrieved
    );
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
    citizen.sender = Sender::Mailbox(
        "000102030405060708090a0b0c0d0e0f@social.gouv.fr"
            .parse()
            .unwrap(),
    );
    append_new(&*store, &[parcel(0, 1, Lane::Bulk), citizen.clone()]);
    assert!(
        store
            .expire(at_hour(99), 10)
            .unwrap()
            .undelivered
            .is_empty()
    );
    for _ in 0..2 {
        let round = store.expire(at_hour(101), 10).unwrap();
        let mut senders: Vec<_> = round
            .undelivered
            .iter()
            .map(|due| due.sender.to_string())
            .collect();
        senders.sort();
        assert_eq!(senders, [citizen.sender.to_string(), service().to_string()]);
        assert!(
            round
                .undelivered
                .iter()
                .all(|due| due.destination == home(1))
        );
    }
    let items = vec![(citizen.id, Outcome::Undeliverable { code: 70 })];
    store
        .settle(
            &[Settlement {
                receipts: "undeliverable".into(),
                items,
            }],
            &[],
        )
        .unwrap();
    let round = store.expire(at_hour(101), 10).unwrap();
    assert_eq!(
        round
            .undelivered
            .iter()
            .map(|due| due.id)
            .collect::<Vec<_>>(),
        [parcel(0, 1, Lane::Bulk).id]
    );
    assert_eq!(waiting(&*store, 1, Lane::Priority), []);
    assert_eq!(
        store.custody(&citizen.id).unwrap().unwrap().state,
        CustodyState::Undeliverable { code: 70 }
    );
}

fn reports_wait_until_they_are_settled(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let report = |n: u8| Report {
        destination: home(n % 2),
        bytes: vec![n; 40].into(),
        expires: at_hour(500),
    };
    let reports: Vec<_> = (0..10).map(report).collect();
    store.settle(&[], &reports).unwrap();
    drop(store);
    let store = open(opener, directory.path());
    let even = store
        .pending_reports(
            &home(0),
            0,
            PageBound {
                items: 3,
                bytes: usize::MAX,
            },
        )
        .unwrap();
    assert_eq!(
        even.iter()
            .map(|report| report.bytes[0])
            .collect::<Vec<_>>(),
        [0, 2, 4]
    );
    store
        .settle_reports(
            &home(0),
            &even
                .iter()
                .map(|report| report.position)
                .collect::<Vec<_>>(),
        )
        .unwrap();
    let rest = store.pending_reports(&home(0), 0, ALL).unwrap();
    assert_eq!(
        rest.iter()
            .map(|report| report.bytes[0])
            .collect::<Vec<_>>(),
        [6, 8]
    );
    assert_eq!(
        store
            .pending_reports(&home(0), rest[0].position, ALL)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(store.pending_reports(&home(1), 0, ALL).unwrap().len(), 5);
    let states = store.destinations().unwrap();
    assert_eq!(
        states.iter().map(|state| state.reports).collect::<Vec<_>>(),
        [2, 5]
    );
    // Settling again does no harm.
    store.settle_reports(&home(0), &[even[0].position]).unwrap();
    assert_eq!(store.pending_reports(&home(0), 0, ALL).unwrap().len(), 2);
}

/// A node asks again at once while there is more: what is not due yet is no more.
fn what_is_due_soon_is_not_due_and_nothing_is_more(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let letters: Vec<_> = (0..20).map(|n| letter(n, 1)).collect();
    append_new(&*store, &letters);
    for before_ms in [30_000, 2_000, 1] {
        let now = Timestamp::from_ms(at_hour(100).as_ms() - before_ms);
        let round = store.expire(now, 10).unwrap();
        assert_eq!(
            (round.absent, round.more),
            (0, false),
            "{before_ms} ms before"
        );
    }
    let round = store.expire(at_hour(100).plus_ms(2_000), 10).unwrap();
    assert_eq!((round.absent, round.more), (10, true));
}

/// Clocks differ, and a letter may come late: an earlier time than those that are done with is still looked at.
fn a_letter_that_is_due_before_what_was_handled_is_found(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let due_at = |n, hour| Entry {
        expires: at_hour(hour),
        ..letter(n, 1)
    };
    append_new(&*store, &[due_at(0, 10), due_at(1, 30)]);
    assert_eq!(store.expire(at_hour(20), 10).unwrap().absent, 1);
    append_new(&*store, &[due_at(2, 5)]);
    assert_eq!(store.expire(at_hour(4), 10).unwrap().absent, 0);
    assert_eq!(store.expire(at_hour(20), 10).unwrap().absent, 1);
    append_new(&*store, &[due_at(3, 5)]);
    drop(store);
    let store = open(opener, directory.path());
    assert_eq!(store.expire(at_hour(31), 10).unwrap().absent, 2);
}

crate::for_each_engine!(
    a_letter_is_stored_then_retrieved_then_expired_then_forgotten,
    case_33_an_undelivered_item_is_handed_over_until_it_is_settled,
    reports_wait_until_they_are_settled,
    what_is_due_soon_is_not_due_and_nothing_is_more,
    a_letter_that_is_due_before_what_was_handled_is_found,
);
