//! Storing, reading and settling.

use crate::Opener;
use crate::fixture::*;
use pli_node::store::{Appended, CustodyState, Item, Lane, Outcome, PageBound, Settlement, Usage};

fn r1_exact_bytes_come_out_again(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let entries: Vec<_> = (0..200)
        .map(|n| {
            if n % 2 == 0 {
                letter(n, 1)
            } else {
                parcel(n, 2, Lane::Bulk)
            }
        })
        .collect();
    append_new(&*store, &entries);
    drop(store);
    for _ in 0..2 {
        let store = open(opener, directory.path());
        let page = store.read(&account(1), 0, ALL).unwrap();
        let letters: Vec<_> = entries.iter().step_by(2).collect();
        assert_eq!(page.items.len(), letters.len());
        for (number, (item, entry)) in page.items.iter().zip(letters).enumerate() {
            assert_eq!(item.seq, number as u64 + 1);
            let expected = Item::Envelope {
                id: entry.id,
                stored_at: entry.accepted_at,
                bytes: entry.bytes.clone(),
            };
            assert_eq!(item.item, expected);
        }
        let queue = store.pending(&home(2), Lane::Bulk, 0, ALL).unwrap();
        for (pending, entry) in queue.items.iter().zip(entries.iter().skip(1).step_by(2)) {
            assert_eq!((&pending.bytes, pending.id), (&entry.bytes, entry.id));
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
    let duplicate = Appended::Duplicate {
        first_accepted_at: first.accepted_at,
    };
    assert_eq!(outcomes, [Appended::New { seq: 1 }, duplicate]);
    for _ in 0..1_000 {
        assert_eq!(
            store.append(std::slice::from_ref(&again)).unwrap(),
            [duplicate]
        );
    }
    assert_eq!(
        store.known(&[first.id, letter(2, 1).id]).unwrap(),
        [Some(first.accepted_at), None]
    );
    assert_eq!(contents(&*store, 1), [Some(first.id)]);
    assert_eq!(
        store.usage(&account(1), &mailbox(1)).unwrap(),
        Usage {
            envelopes: 1,
            bytes: first.bytes.len() as u64
        }
    );
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
    for bound in [
        PageBound {
            items: 7,
            bytes: usize::MAX,
        },
        PageBound {
            items: 1_000,
            bytes: 2_000,
        },
        PageBound { items: 3, bytes: 1 },
    ] {
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = store.read(&account(1), after, bound).unwrap();
            assert_eq!(page.latest_seq, 50);
            assert!(page.items.len() <= bound.items);
            let Some(last) = page.items.last() else { break };
            after = last.seq;
            let bytes: usize = page
                .items
                .iter()
                .map(|item| {
                    if let Item::Envelope { bytes, .. } = &item.item {
                        bytes.len()
                    } else {
                        0
                    }
                })
                .sum();
            assert!(bytes <= bound.bytes || page.items.len() == 1);
            seen.extend(page.items.into_iter().map(|item| item.seq));
        }
        assert_eq!(seen, (1..=50).collect::<Vec<_>>());
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = store
                .pending(&home(1), Lane::Priority, after, bound)
                .unwrap();
            if page.items.is_empty() {
                break;
            }
            after = page.next_after;
            seen.extend(page.items.into_iter().map(|item| item.id));
        }
        assert_eq!(
            seen,
            parcels.iter().map(|entry| entry.id).collect::<Vec<_>>()
        );
    }
    assert!(store.read(&account(1), 50, ALL).unwrap().items.is_empty());
    assert!(
        store
            .read(&account(1), u64::MAX, ALL)
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(store.read(&account(9), 0, ALL).unwrap().latest_seq, 0);
}

/// CUS-6.6: the sweep finds a letter due, and before it is written down the home's receipt is.
fn what_its_home_has_taken_is_not_given_up(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let taken = parcel(0, 1, Lane::Bulk);
    append_new(&*store, std::slice::from_ref(&taken));
    let settle = |outcome| {
        let settlement = Settlement {
            receipts: "a receipt".into(),
            items: vec![(taken.id, outcome)],
        };
        store.settle(&[settlement], &[]).unwrap().applied
    };
    assert_eq!(settle(Outcome::Delivered), 1);
    assert_eq!(settle(Outcome::GivenUp { code: 70 }), 0);
    let custody = store.custody(&taken.id).unwrap().unwrap();
    assert_eq!(custody.state, CustodyState::Delivered);
    assert_eq!(settle(Outcome::Undeliverable { code: 70 }), 1, "its home");
    let custody = store.custody(&taken.id).unwrap().unwrap();
    assert_eq!(custody.state, CustodyState::Undeliverable { code: 70 });
}

/// CUS-6.6: the home took it in time, and its receipt comes a moment after the sweep.
fn what_was_given_up_though_its_home_had_it_is_known_to_be_there(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let taken = parcel(0, 1, Lane::Bulk);
    append_new(&*store, std::slice::from_ref(&taken));
    for (outcome, state) in [
        (
            Outcome::GivenUp { code: 70 },
            CustodyState::Undeliverable { code: 70 },
        ),
        (Outcome::Delivered, CustodyState::Delivered),
        (Outcome::Retrieved, CustodyState::Retrieved),
    ] {
        let settlement = Settlement {
            receipts: "a receipt".into(),
            items: vec![(taken.id, outcome)],
        };
        assert_eq!(store.settle(&[settlement], &[]).unwrap().applied, 1);
        let custody = store.custody(&taken.id).unwrap().unwrap();
        assert_eq!(custody.state, state);
    }
    let custody = store.custody(&taken.id).unwrap().unwrap();
    assert_eq!(custody.evidence.len(), 3, "each is kept");
}

/// CUS-8.2: the device's way back is not the home's.
fn a_home_s_receipt_is_kept_though_the_device_s_came_first(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let taken = parcel(0, 1, Lane::Bulk);
    append_new(&*store, std::slice::from_ref(&taken));
    let settlement = |outcome| Settlement {
        receipts: format!("{outcome:?}").into(),
        items: vec![(taken.id, outcome)],
    };
    for (outcome, applied) in [
        (Outcome::Retrieved, 1),
        (Outcome::Delivered, 1),
        (Outcome::Delivered, 0),
        (Outcome::Retrieved, 0),
    ] {
        let settled = store.settle(&[settlement(outcome)], &[]).unwrap();
        assert_eq!(settled.applied, applied, "{outcome:?}");
    }
    drop(store);
    let store = open(opener, directory.path());
    let custody = store.custody(&taken.id).unwrap().unwrap();
    assert_eq!(custody.state, CustodyState::Retrieved);
    let kept = custody.evidence.into_iter().map(|kept| kept.settlement);
    let steps = [Outcome::Delivered, Outcome::Retrieved];
    assert!(kept.eq(steps.map(settlement)), "in the order of the steps");
    assert!(waiting(&*store, 1, Lane::Bulk).is_empty());
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
            (parcels[2].id, Outcome::GivenUp { code: 90 }),
        ],
    };
    let settled = store
        .settle(std::slice::from_ref(&settlement), &[])
        .unwrap();
    assert_eq!((settled.applied, settled.ignored), (3, 0));
    let settled = store
        .settle(std::slice::from_ref(&settlement), &[])
        .unwrap();
    assert_eq!(
        (settled.applied, settled.ignored),
        (0, 3),
        "the first final outcome stands"
    );
    drop(store);
    let store = open(opener, directory.path());
    assert_eq!(waiting(&*store, 1, Lane::Bulk), [parcels[3].id]);
    let aside = store.set_aside(&home(1), 0, ALL).unwrap();
    assert_eq!(aside.items.len(), 1);
    assert_eq!(
        (aside.items[0].id, &aside.items[0].bytes),
        (parcels[1].id, &parcels[1].bytes)
    );
    let state = &store.destinations().unwrap()[0];
    assert_eq!((state.bulk, state.priority, state.set_aside), (1, 0, 1));
    assert_eq!(
        (state.bytes, state.oldest),
        (parcels[3].bytes.len() as u64, Some(parcels[3].accepted_at))
    );
    let states = [
        CustodyState::Delivered,
        CustodyState::Refused { code: 61 },
        CustodyState::Undeliverable { code: 90 },
    ];
    for ((entry, state), index) in parcels.iter().zip(states).zip([0, 1, 3]) {
        let custody = store.custody(&entry.id).unwrap().unwrap();
        assert_eq!((custody.state, &custody.sender), (state, &service()));
        assert_eq!(custody.evidence.len(), 1);
        assert_eq!(
            (custody.evidence[0].index, &custody.evidence[0].settlement),
            (index, &settlement)
        );
    }
    let queued = CustodyState::Queued {
        destination: home(1),
        lane: Lane::Bulk,
    };
    assert_eq!(
        store.custody(&parcels[3].id).unwrap().unwrap().state,
        queued
    );
    assert_eq!(store.custody(&letter(99, 1).id).unwrap(), None);
}

crate::for_each_engine!(
    r1_exact_bytes_come_out_again,
    case_26_a_duplicate_is_stored_once_and_keeps_its_first_time,
    pages_are_bounded_and_lose_nothing,
    what_its_home_has_taken_is_not_given_up,
    a_home_s_receipt_is_kept_though_the_device_s_came_first,
    what_was_given_up_though_its_home_had_it_is_known_to_be_there,
    r2_a_refused_item_is_set_aside_and_the_next_goes_on,
);
