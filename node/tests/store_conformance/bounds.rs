//! Every bound, at the limit and one beyond it (R15), and a disk that fills up (case 40).

use pli_node::store::{
    AccountRecord, Appended, DeviceRecord, Lane, MailboxRecord, Outcome, Settlement, Store,
    StoreError, Usage,
};
use pli_protocol::code::Code;
use pli_protocol::id::{EnvelopeId, KeyId, MailboxId};
use pli_protocol::limits;

use crate::Opener;
use crate::fixture::*;

/// CUS-5.6, CUS-6.1
fn r6_a_full_queue_refuses_only_its_own_entries(opener: Opener) {
    let directory = fast_directory();
    let mut options = options();
    options.limits.queue_envelopes = 5;
    let store = opener(directory.path(), &options).unwrap();
    let mut group: Vec<_> = (0..6)
        .map(|n| parcel(n, 1, if n < 2 { Lane::Priority } else { Lane::Bulk }))
        .collect();
    group.push(parcel(6, 2, Lane::Bulk));
    group.push(letter(7, 1));
    let outcomes = store.append(&group).unwrap();
    assert_eq!(outcomes[5], Appended::QueueFull, "limit + 1");
    assert!(
        outcomes
            .iter()
            .enumerate()
            .all(|(at, outcome)| at == 5 || matches!(outcome, Appended::New { .. }))
    );
    assert_eq!(store.append(&group[5..6]).unwrap(), [Appended::QueueFull]);
    // Room again as soon as one has left.
    let items = vec![(group[0].id, Outcome::Delivered)];
    store
        .settle(
            &[Settlement {
                receipts: "ack".into(),
                items,
            }],
            &[],
        )
        .unwrap();
    assert!(matches!(
        store.append(&group[5..6]).unwrap()[..],
        [Appended::New { .. }]
    ));
}

/// CUS-5.5: room is decided where a group is, so that no pipeline passes it; what a device has taken leaves it.
fn r6_a_mailbox_takes_what_it_has_room_for_until_its_citizen_has_taken_some(opener: Opener) {
    let directory = fast_directory();
    let mut options = options();
    options.limits.mailbox_envelopes = 3;
    let store = opener(directory.path(), &options).unwrap();
    let letters: Vec<_> = (0..8).map(|n| letter(n, 1)).collect();
    let full = |outcome: &Appended| *outcome == Appended::MailboxFull;
    let outcomes = store.append(&letters[..5]).unwrap();
    assert_eq!(
        outcomes.iter().map(full).collect::<Vec<_>>(),
        [false, false, false, true, true]
    );
    // Only that mailbox; and what is in it is known, not refused.
    let others = [letter(20, 2), letters[0].clone()];
    assert!(matches!(
        store.append(&others).unwrap()[..],
        [Appended::New { seq: 1 }, Appended::Duplicate { .. }]
    ));
    let take = |of: &[pli_node::store::Entry]| {
        let items = of
            .iter()
            .map(|letter| (letter.id, Outcome::Retrieved))
            .collect();
        let receipts = "handover".into();
        store
            .settle(&[Settlement { receipts, items }], &[])
            .unwrap();
    };
    take(&letters[..3]);
    take(&letters[..3]);
    assert_eq!(
        store.usage(&account(1), &mailbox(1)).unwrap(),
        Usage::default()
    );
    let ids = |of: &[pli_node::store::Entry]| of.iter().map(|one| Some(one.id)).collect::<Vec<_>>();
    assert_eq!(
        contents(&*store, 1),
        ids(&letters[..3]),
        "they can be read all the same"
    );
    let outcomes = store.append(&letters[3..7]).unwrap();
    assert_eq!(
        outcomes.iter().map(full).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    take(&letters[3..4]);
    let used = |store: &dyn Store| store.usage(&account(1), &mailbox(1)).unwrap();
    let left = letters[4..6].iter().map(|letter| letter.bytes.len() as u64);
    let expected = Usage {
        envelopes: 2,
        bytes: left.sum(),
    };
    assert_eq!(used(&*store), expected);
    drop(store);
    // Opened again, and with its index lost.
    let store = opener(directory.path(), &options).unwrap();
    assert_eq!(used(&*store), expected);
    drop(store);
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let store = opener(directory.path(), &options).unwrap();
    assert_eq!(used(&*store), expected);
    // What was taken and expires leaves room once, not twice.
    store.expire(at_hour(101), 1_000).unwrap();
    assert_eq!(used(&*store), Usage::default());
    drop(store);
    options.limits.mailbox_envelopes = 3;
    options.limits.mailbox_bytes = letters[7].bytes.len() as u64;
    let store = opener(directory.path(), &options).unwrap();
    assert!(matches!(
        store.append(&[letters[7].clone(), letter(14, 1)]).unwrap()[..],
        [Appended::New { .. }, Appended::MailboxFull]
    ));
}

/// CUS-6.1
fn r6_queues_are_bounded_in_bytes_each_and_together(opener: Opener) {
    let directory = fast_directory();
    let (one, two, three) = (
        parcel(0, 1, Lane::Bulk),
        parcel(7, 1, Lane::Bulk),
        parcel(14, 2, Lane::Bulk),
    );
    let length = one.bytes.len() as u64;
    assert!(
        [&two, &three]
            .iter()
            .all(|entry| entry.bytes.len() as u64 == length)
    );
    let mut options = options();
    options.limits.queue_bytes = 2 * length - 1;
    let store = opener(directory.path(), &options).unwrap();
    assert!(matches!(
        store.append(&[one, two.clone()]).unwrap()[..],
        [Appended::New { .. }, Appended::QueueFull]
    ));
    drop(store);
    options.limits.queue_bytes = 2 * length;
    options.limits.queues_bytes = 3 * length - 1;
    let store = opener(directory.path(), &options).unwrap();
    assert!(matches!(
        store.append(&[two, three]).unwrap()[..],
        [Appended::New { .. }, Appended::QueueFull]
    ));
    assert_eq!(store.status().queued_bytes, 2 * length);
}

fn r15_groups_envelopes_and_settlements_are_bounded(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let misuse = |result: Result<(), StoreError>, expected: u64| match result {
        Err(StoreError::Misuse { got, max, .. }) => {
            assert_eq!((got, max), (expected + 1, expected))
        }
        other => panic!("expected a misuse, got {other:?}"),
    };
    let most = limits::GROUP_ENVELOPES_MAX;
    let group: Vec<_> = (0..=most as u64).map(|n| letter(n, 1)).collect();
    misuse(store.append(&group).map(drop), most as u64);
    assert_eq!(append_new(&*store, &group[1..]).len(), most);
    let mut long = letter(1_000_000, 1);
    long.bytes = vec![0; limits::ENVELOPE_MAX + 1].into();
    misuse(store.append(&[long]).map(drop), limits::ENVELOPE_MAX as u64);
    let items =
        vec![(EnvelopeId::new([9; 32]), Outcome::Delivered); limits::ACK_DISPOSITIONS_MAX + 1];
    let settlement = Settlement {
        receipts: "ack".into(),
        items,
    };
    misuse(
        store.settle(&[settlement], &[]).map(drop),
        limits::ACK_DISPOSITIONS_MAX as u64,
    );
}

/// MBX-2.4
fn r15_devices_and_mailboxes_of_an_account_are_bounded(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    let device = |n: u8| DeviceRecord {
        key: KeyId::new([n; 32]),
        public_key: [n; 32],
        added_at: START,
    };
    let count = u8::try_from(limits::DEVICES_PER_ACCOUNT_MAX).unwrap();
    let mut record = AccountRecord {
        id: account(1),
        enrolled_at: START,
        devices: (0..count).map(device).collect(),
    };
    store.put_account(&record).unwrap();
    record.devices.push(device(count));
    assert!(matches!(
        store.put_account(&record),
        Err(StoreError::Misuse { .. })
    ));
    let mailbox = |n: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        MailboxRecord {
            mailbox: MailboxId::new(id),
            account: account(1),
            authority: home(1),
            grant: "grant".into(),
            published_at: START,
        }
    };
    for n in 0..limits::MAILBOXES_PER_ACCOUNT_MAX {
        store.put_mailbox(&mailbox(n)).unwrap();
    }
    assert!(matches!(
        store.put_mailbox(&mailbox(limits::MAILBOXES_PER_ACCOUNT_MAX)),
        Err(StoreError::Misuse { .. })
    ));
    store.put_mailbox(&mailbox(0)).unwrap();
    assert_eq!(
        store.mailboxes(&account(1)).unwrap().len(),
        limits::MAILBOXES_PER_ACCOUNT_MAX
    );
}

fn case_40_below_the_reserve_nothing_is_accepted_and_everything_is_read(opener: Opener) {
    let directory = fast_directory();
    let store = open(opener, directory.path());
    append_new(&*store, &[letter(1, 1)]);
    drop(store);
    let mut starved = options();
    starved.limits.disk_free = u64::MAX / 4;
    let store = opener(directory.path(), &starved).unwrap();
    match store.append(&[letter(2, 1)]) {
        Err(error @ StoreError::ReadOnly { .. }) => {
            assert_eq!(error.code(), Code::Overloaded);
            assert!(!error.is_fatal());
        }
        other => panic!("expected a read-only store, got {other:?}"),
    }
    assert!(store.status().read_only);
    assert_eq!(contents(&*store, 1), [Some(letter(1, 1).id)]);
    assert_eq!(store.known(&[letter(2, 1).id]).unwrap(), [None]);
}

crate::for_each_engine!(
    r6_a_mailbox_takes_what_it_has_room_for_until_its_citizen_has_taken_some,
    r6_a_full_queue_refuses_only_its_own_entries,
    r6_queues_are_bounded_in_bytes_each_and_together,
    r15_groups_envelopes_and_settlements_are_bounded,
    r15_devices_and_mailboxes_of_an_account_are_bounded,
    case_40_below_the_reserve_nothing_is_accepted_and_everything_is_read,
);
