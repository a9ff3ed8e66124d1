//! Envelopes, settlements and stores for the tests.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use pli_node::store::{Appended, Entry, Item, Lane, OpenOptions, PageBound, Place, Sender, Store};
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};
use pli_protocol::signed::leaf_hash;

use crate::Opener;

pub(crate) const START: Timestamp = Timestamp::from_ms(1_790_000_000_000);
pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const ALL: PageBound = PageBound {
    items: 1_000_000,
    bytes: usize::MAX,
};

pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new(home(9), KeyId::new([7; 32]));
    options.custody_retention_ms = 24 * HOUR_MS;
    options.limits.disk_free = 1024 * 1024;
    options
}

/// For tests whose subject is not this directory's durability: in memory where the machine has that.
pub(crate) fn fast_directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

pub(crate) fn open(opener: Opener, directory: &Path) -> Arc<dyn Store> {
    opener(directory, &options()).expect("the store opens")
}

/// Envelope number `n`: the bytes of a `Signed` and the id they have.
pub(crate) fn envelope(n: u64, length: usize) -> (EnvelopeId, Bytes) {
    let mut payload: Vec<u8> = (0..length as u64)
        .map(|at| (n.wrapping_mul(31) ^ at.wrapping_mul(n | 1)) as u8)
        .collect();
    payload[..8].copy_from_slice(&n.to_le_bytes());
    let mut bytes = vec![0x0a];
    prost::encode_length_delimiter(payload.len(), &mut bytes).expect("a vector grows");
    bytes.extend_from_slice(&payload);
    // An inclusion and a signature follow in real life; the store takes any bytes.
    bytes.extend_from_slice(&[0x1a, 0x02, 0x08, n as u8]);
    (EnvelopeId::new(leaf_hash(ENVELOPE, &payload)), bytes.into())
}

pub(crate) fn account(n: u8) -> AccountId {
    AccountId::from_slice(&[n; size_of::<AccountId>()]).expect("the right length")
}

pub(crate) fn mailbox(n: u8) -> MailboxId {
    MailboxId::new([n; 16])
}

pub(crate) fn home(n: u8) -> AuthorityId {
    format!("home-{n}.gouv.fr").parse().expect("a domain")
}

pub(crate) fn service() -> Sender {
    Sender::Service("rdv@interieur.gouv.fr".parse().expect("a service"))
}

pub(crate) fn at_hour(hour: u64) -> Timestamp {
    START.plus_ms(hour * HOUR_MS)
}

/// Envelope `n` for an account; expires in 100 hours.
pub(crate) fn letter(n: u64, to: u8) -> Entry {
    let (id, bytes) = envelope(n, 300 + (n % 7) as usize * 100);
    let place = Place::Mailbox {
        account: account(to),
        mailbox: mailbox(to),
    };
    Entry {
        id,
        bytes,
        accepted_at: START.plus_ms(n),
        expires: at_hour(100),
        sender: service(),
        place,
    }
}

/// Envelope `n` for another home; expires in 100 hours.
pub(crate) fn parcel(n: u64, to: u8, lane: Lane) -> Entry {
    Entry {
        place: Place::Queue {
            destination: home(to),
            lane,
        },
        ..letter(n, 0)
    }
}

pub(crate) fn append_new(store: &dyn Store, entries: &[Entry]) -> Vec<u64> {
    let outcomes = store.append(entries).expect("the group is stored");
    let number = |outcome: &Appended| match outcome {
        Appended::New { seq } => *seq,
        other => panic!("expected a new envelope, got {other:?}"),
    };
    outcomes.iter().map(number).collect()
}

/// The ids of an account's envelopes, by number; `None` where there is none.
pub(crate) fn contents(store: &dyn Store, to: u8) -> Vec<Option<EnvelopeId>> {
    let page = store
        .read(&account(to), 0, ALL)
        .expect("the mailbox is read");
    assert_eq!(page.items.len() as u64, page.latest_seq);
    let id = |item: &Item| match item {
        Item::Envelope { id, .. } => Some(*id),
        Item::Absent { .. } => None,
    };
    page.items.iter().map(|item| id(&item.item)).collect()
}

/// The ids that wait, by position.
pub(crate) fn waiting(store: &dyn Store, to: u8, lane: Lane) -> Vec<EnvelopeId> {
    let page = store
        .pending(&home(to), lane, 0, ALL)
        .expect("the queue is read");
    page.items.iter().map(|item| item.id).collect()
}
