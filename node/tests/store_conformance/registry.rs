//! Accounts, invitations and mailboxes.

use pli_node::store::{
    AccountRecord, DeviceRecord, Enrolment, InvitationId, MailboxRecord, StoreError,
};
use pli_protocol::id::KeyId;

use crate::Opener;
use crate::fixture::*;

fn an_invitation_is_used_once(opener: Opener) {
    let directory = fast_directory();
    let device = |n: u8| DeviceRecord {
        key: KeyId::new([n; 32]),
        public_key: [n; 32],
        added_at: START,
    };
    let record = |n: u8| AccountRecord {
        id: account(n),
        enrolled_at: START,
        devices: vec![device(n)],
    };
    let invitation = |n: u8| InvitationId::new([n; 16]);
    let store = open(opener, directory.path());
    assert_eq!(
        store.enrol(&invitation(1), &record(1)).unwrap(),
        Enrolment::Done {
            account: account(1)
        }
    );
    drop(store);
    let store = open(opener, directory.path());
    // The answer was lost: the same device asks again, with a new proposal for its account's id.
    let again = AccountRecord {
        id: account(9),
        ..record(1)
    };
    assert_eq!(
        store.enrol(&invitation(1), &again).unwrap(),
        Enrolment::Done {
            account: account(1)
        }
    );
    assert_eq!(
        store.enrol(&invitation(1), &record(2)).unwrap(),
        Enrolment::InvitationUsed
    );
    assert_eq!(
        store.enrol(&invitation(2), &record(1)).unwrap(),
        Enrolment::DeviceKnown
    );
    assert_eq!(
        store.enrol(&invitation(2), &record(2)).unwrap(),
        Enrolment::Done {
            account: account(2)
        }
    );
    assert_eq!(store.account(&account(1)).unwrap(), Some(record(1)));
    assert_eq!(store.account(&account(9)).unwrap(), None);
    assert_eq!(
        store.account_of_device(&KeyId::new([2; 32])).unwrap(),
        Some(account(2))
    );
    // A second device comes, the first one goes.
    let changed = AccountRecord {
        devices: vec![device(5)],
        ..record(1)
    };
    store.put_account(&changed).unwrap();
    assert_eq!(store.account(&account(1)).unwrap(), Some(changed));
    assert_eq!(store.account_of_device(&KeyId::new([1; 32])).unwrap(), None);
    assert_eq!(
        store.account_of_device(&KeyId::new([5; 32])).unwrap(),
        Some(account(1))
    );
    let nobody = AccountRecord {
        devices: Vec::new(),
        ..record(3)
    };
    assert!(matches!(
        store.enrol(&invitation(3), &nobody),
        Err(StoreError::Misuse { .. })
    ));
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
    for mailbox in [
        record(1, 1, "first"),
        record(2, 1, "second"),
        record(3, 2, "third"),
        record(1, 1, "renewed"),
    ] {
        store.put_mailbox(&mailbox).unwrap();
    }
    drop(store);
    let store = open(opener, directory.path());
    assert_eq!(
        store.mailbox(&mailbox(1)).unwrap(),
        Some(record(1, 1, "renewed"))
    );
    assert_eq!(
        store.mailboxes(&account(1)).unwrap(),
        [record(1, 1, "renewed"), record(2, 1, "second")]
    );
    assert_eq!(
        store.mailboxes(&account(2)).unwrap(),
        [record(3, 2, "third")]
    );
    assert_eq!(store.mailbox(&mailbox(9)).unwrap(), None);
}

crate::for_each_engine!(
    an_invitation_is_used_once,
    a_mailbox_is_found_by_its_id_and_by_its_account
);
