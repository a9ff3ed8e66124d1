//! The fjall engine on a disk that fails: power loss, fsync errors, a full disk, and every operation in turn.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pli_node::store::engine::{Engine, Tuning};
use pli_node::store::{Appended, Entry, Item, Lane, Outcome, Settlement, Store, StoreError};

use crate::SMALL;
use crate::engine_damage::copy_directory;
use crate::faulty::{Fault, FaultyDisk, Op};
use crate::fixture::*;

/// Small, so that a few groups fill a segment.
const TUNING: Tuning = Tuning {
    segment_bytes: 16 * 1024,
    ..SMALL
};

fn open_on(disk: &FaultyDisk, directory: &Path) -> Result<Arc<Engine>, StoreError> {
    Engine::open(directory, &options(), Arc::new(disk.clone()), TUNING).map(Arc::new)
}

/// CUS-1.5: whichever operation meets the failing sync, the node hears of it, once.
#[test]
fn case_39_every_writing_operation_announces_that_the_store_failed() {
    use pli_node::store::{AccountRecord, DeviceRecord, InvitationId, MailboxRecord, Watched};
    let record = AccountRecord {
        id: account(1),
        enrolled_at: START,
        devices: vec![DeviceRecord {
            key: pli_protocol::id::KeyId::new([5; 32]),
            public_key: [5; 32],
            added_at: START,
        }],
    };
    let granted = MailboxRecord {
        mailbox: mailbox(1),
        account: account(1),
        authority: home(1),
        published_at: START,
        grant: bytes::Bytes::from_static(b"grant"),
    };
    let settlement = Settlement {
        receipts: bytes::Bytes::from_static(b"receipts"),
        items: vec![(letter(1, 1).id, Outcome::Retrieved)],
    };
    type Write<'a> = (&'a str, &'a dyn Fn(&dyn Store) -> Result<(), StoreError>);
    let writes: [Write<'_>; 5] = [
        ("append", &|store| store.append(&group(2)).map(drop)),
        ("settle", &|store| {
            store
                .settle(std::slice::from_ref(&settlement), &[])
                .map(drop)
        }),
        ("enrol", &|store| {
            store.enrol(&InvitationId::new([3; 16]), &record).map(drop)
        }),
        ("put_account", &|store| store.put_account(&record)),
        ("put_mailbox", &|store| store.put_mailbox(&granted)),
    ];
    for (name, write) in writes {
        let (directory, disk) = (fast_directory(), FaultyDisk::new());
        let engine = open_on(&disk, directory.path()).unwrap();
        let (store, mut failed) = Watched::over(engine);
        append_new(&*store, &[letter(1, 1)]);
        assert!(failed.try_recv().is_err() && !store.status().failed);
        disk.fail(0, Fault::Dead);
        assert!(write(&*store).unwrap_err().is_fatal(), "{name}");
        assert!(store.status().failed, "{name}");
        assert!(failed.try_recv().is_ok(), "{name}: nobody was told");
        assert!(store.known(&[]).unwrap_err().is_fatal(), "{name}");
    }
}

fn group(number: u64) -> Vec<Entry> {
    (number * 10..number * 10 + 10)
        .map(|n| {
            if n % 3 == 0 {
                parcel(n, 1, Lane::Bulk)
            } else {
                letter(n, 1)
            }
        })
        .collect()
}

/// What the program was told and may therefore have told others.
#[derive(Debug, Default)]
struct Told {
    stored: Vec<Entry>,
    delivered: Vec<Entry>,
    /// Handed to the store, not acknowledged.
    attempted: Vec<Entry>,
}

impl Told {
    fn check(&self, store: &dyn Store, context: &str) {
        for entry in &self.stored {
            assert_eq!(
                store.known(&[entry.id]).unwrap(),
                [Some(entry.accepted_at)],
                "{context}: lost"
            );
        }
        let page = store.read(&account(1), 0, ALL).unwrap();
        assert_eq!(page.items.len() as u64, page.latest_seq, "{context}");
        let mut whole = BTreeSet::new();
        for item in page.items {
            let Item::Envelope { id, bytes, .. } = item.item else {
                panic!("{context}: {} is absent", item.seq)
            };
            let entry = self
                .stored
                .iter()
                .chain(&self.attempted)
                .find(|entry| entry.id == id)
                .expect(context);
            assert_eq!(entry.bytes, bytes, "{context}");
            whole.insert(*id.as_bytes());
        }
        let waiting: BTreeSet<_> = waiting(store, 1, Lane::Bulk)
            .iter()
            .map(|id| *id.as_bytes())
            .collect();
        for entry in self
            .stored
            .iter()
            .filter(|entry| !self.delivered.contains(entry))
        {
            let held = whole.contains(entry.id.as_bytes()) || waiting.contains(entry.id.as_bytes());
            assert!(
                held || self.attempted.contains(entry),
                "{context}: acknowledged and gone"
            );
        }
        assert!(
            self.delivered
                .iter()
                .all(|entry| !waiting.contains(entry.id.as_bytes())),
            "{context}: sent again"
        );
    }
}

/// A small life of a store. Stops at the first error, which is returned.
fn live(store: &dyn Store, told: &mut Told) -> Result<(), StoreError> {
    for number in 0..12 {
        let entries = group(number);
        told.attempted.extend(entries.iter().cloned());
        store.append(&entries)?;
        told.attempted.retain(|entry| !entries.contains(entry));
        told.stored.extend(entries.iter().cloned());
        let parcels: Vec<_> = entries
            .into_iter()
            .filter(|entry| entry.id == parcel_of(entry))
            .collect();
        let items = parcels
            .iter()
            .map(|entry| (entry.id, Outcome::Delivered))
            .collect();
        // Attempted: until this returns, both states are right.
        told.attempted.extend(parcels.iter().cloned());
        store.settle(
            &[Settlement {
                receipts: "ack".into(),
                items,
            }],
            &[],
        )?;
        told.attempted.retain(|entry| !parcels.contains(entry));
        told.delivered.extend(parcels);
        store.compact()?;
    }
    Ok(())
}

fn parcel_of(entry: &Entry) -> pli_protocol::id::EnvelopeId {
    match entry.place {
        pli_node::store::Place::Queue { .. } => entry.id,
        pli_node::store::Place::Mailbox { .. } => pli_protocol::id::EnvelopeId::new([0; 32]),
    }
}

/// How many disk operations a life takes.
fn operations() -> u64 {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    live(
        &*open_on(&disk, directory.path()).unwrap(),
        &mut Told::default(),
    )
    .unwrap();
    disk.take_log().len() as u64
}

/// CUS-1.2
#[test]
fn r19_nothing_is_acknowledged_before_its_fsync() {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    let store = open_on(&disk, directory.path()).unwrap();
    disk.take_log();
    for number in 0..8 {
        append_new(&*store, &group(number));
        let log = disk.take_log();
        let last_write = log
            .iter()
            .rposition(|op| *op == Op::Write)
            .expect("it was written");
        assert!(log[last_write..].contains(&Op::Sync), "{log:?}");
        let syncs = log.iter().filter(|op| **op == Op::Sync).count();
        assert!(
            syncs <= 1 + log.iter().filter(|op| **op == Op::Create).count(),
            "one fsync per group: {log:?}"
        );
        // The power goes at the moment of the acknowledgement; the index is not even there.
        let lost = disk.after_power_loss(|_| 0);
        let elsewhere = fast_directory();
        std::fs::copy(
            directory.path().join("IDENTITY"),
            elsewhere.path().join("IDENTITY"),
        )
        .unwrap();
        let survivor = open_on(&lost, elsewhere.path()).unwrap();
        for entry in (0..=number).flat_map(group) {
            assert_eq!(
                survivor.known(&[entry.id]).unwrap(),
                [Some(entry.accepted_at)]
            );
        }
    }
}

#[test]
fn case_37_power_loss_at_any_operation() {
    let total = operations();
    let mut state = 0x5eed_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for nth in 0..total {
        let (disk, directory) = (FaultyDisk::new(), fast_directory());
        let mut told = Told::default();
        disk.fail(nth, Fault::Dead);
        if let Ok(store) = open_on(&disk, directory.path()) {
            let result = live(&*store, &mut told);
            assert!(
                result.is_err() || nth + 3 > total,
                "operation {nth} was not noticed"
            );
        }
        let left = disk.after_power_loss(&mut random);
        let store = open_on(&left, directory.path()).unwrap();
        told.check(&*store, &format!("power loss at operation {nth}"));
        // And it goes on from there.
        store.append(&group(1_000)).unwrap();
    }
}

#[test]
fn r22_every_operation_fails_in_turn() {
    let total = operations();
    for (nth, fault) in (0..total).flat_map(|nth| [(nth, Fault::Error), (nth, Fault::NoSpace)]) {
        let (disk, directory) = (FaultyDisk::new(), fast_directory());
        let mut told = Told::default();
        let context = format!("{fault:?} at operation {nth}");
        disk.fail(nth, fault);
        let store = match open_on(&disk, directory.path()) {
            Ok(store) => store,
            // A clean exit; the next start works.
            Err(_) => open_on(&disk, directory.path())
                .unwrap_or_else(|error| panic!("{context}: {error}")),
        };
        match live(&*store, &mut told) {
            Ok(()) => told.check(&*store, &context),
            Err(StoreError::ReadOnly { .. }) => {
                told.check(&*store, &context);
                // It has recovered by itself.
                store
                    .append(&group(1_000))
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            Err(StoreError::Fatal { .. }) => {
                assert!(
                    matches!(store.append(&group(1_000)), Err(StoreError::Fatal { .. })),
                    "{context}: it goes on"
                );
                drop(store);
                let store = open_on(&disk, directory.path())
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                told.check(&*store, &context);
            }
            Err(other) => panic!("{context}: {other}"),
        }
    }
}

/// CUS-1.5
#[test]
fn case_39_a_failed_fsync_is_fatal_and_never_repeated() {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    let store = open_on(&disk, directory.path()).unwrap();
    append_new(&*store, &group(0));
    disk.take_log();
    // Free space, write, then the fsync.
    disk.fail(2, Fault::Error);
    match store.append(&group(1)) {
        Err(error @ StoreError::Fatal { .. }) => {
            assert!(error.is_fatal() && error.to_string().contains("restart the node"))
        }
        other => panic!("expected a fatal error, got {other:?}"),
    }
    assert_eq!(disk.take_log(), [Op::FreeBytes, Op::Write, Op::Sync]);
    assert!(store.append(&group(2)).unwrap_err().is_fatal());
    assert!(store.read(&account(1), 0, ALL).unwrap_err().is_fatal());
    assert!(store.settle(&[], &[]).unwrap_err().is_fatal());
    assert_eq!(disk.take_log(), [], "no operation follows");
}

/// CUS-1.5
#[test]
fn case_40_a_full_disk_refuses_and_recovers_by_itself() {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    let store = open_on(&disk, directory.path()).unwrap();
    append_new(&*store, &group(0));
    disk.set_free_bytes(options().limits.disk_free);
    assert!(matches!(
        store.append(&group(1)),
        Err(StoreError::ReadOnly { .. })
    ));
    assert!(store.status().read_only);
    // What frees space may still be written: the reserve is for that.
    let items = vec![(group(0)[0].id, Outcome::Delivered)];
    assert_eq!(
        store
            .settle(
                &[Settlement {
                    receipts: "ack".into(),
                    items
                }],
                &[]
            )
            .unwrap()
            .applied,
        1
    );
    disk.set_free_bytes(1 << 30);
    assert!(
        store
            .append(&group(1))
            .unwrap()
            .iter()
            .all(|outcome| matches!(outcome, Appended::New { .. }))
    );
    assert!(!store.status().read_only);
    // The disk turns out full in the middle of a write: nothing of the group stays.
    disk.take_log();
    let before = disk.contents();
    disk.fail(1, Fault::NoSpace);
    assert!(matches!(
        store.append(&group(2)),
        Err(StoreError::ReadOnly { .. })
    ));
    assert_eq!(disk.contents(), before);
    let told = Told {
        stored: [group(0), group(1)].concat(),
        delivered: vec![group(0)[0].clone()],
        attempted: group(2),
    };
    told.check(&*store, "after a full disk");
    assert!(
        store
            .append(&group(2))
            .unwrap()
            .iter()
            .all(|outcome| matches!(outcome, Appended::New { .. }))
    );
}

#[test]
fn case_37_the_index_loses_its_unsynced_end() {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    let store = open_on(&disk, directory.path()).unwrap();
    let mut told = Told::default();
    live(&*store, &mut told).unwrap();
    drop(store);
    let (index, saved) = (
        directory.path().join("index"),
        directory.path().join("saved"),
    );
    std::fs::rename(&index, &saved).unwrap();
    let journals = std::fs::read_dir(&saved)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let journal = journals
        .filter(|name| name.to_string_lossy().ends_with(".jnl"))
        .max()
        .unwrap();
    let whole = std::fs::read(saved.join(&journal)).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    // As a power loss could leave it, and further back than it ever could: compaction syncs the index.
    for torn in (0..=16).map(|part| used * part / 16) {
        for flipped in [false, true] {
            let mut bytes = whole.clone();
            if flipped {
                bytes[torn] ^= 0x10;
            } else {
                bytes[torn..].fill(0);
            }
            let _ = std::fs::remove_dir_all(&index);
            copy_directory(&saved, &index);
            std::fs::write(index.join(&journal), &bytes).unwrap();
            let store = open_on(&disk, directory.path()).unwrap();
            told.check(
                &*store,
                &format!("journal torn at {torn} of {used}, flipped: {flipped}"),
            );
        }
    }
}

/// Case 39 as well: whoever settled with another hears of its failure.
#[test]
fn those_who_settle_at_the_same_moment_share_an_fsync_and_its_failure() {
    const CALLERS: u64 = 40;
    for fails in [false, true] {
        let (disk, directory) = (FaultyDisk::new(), fast_directory());
        let store = open_on(&disk, directory.path()).unwrap();
        let parcels: Vec<_> = (0..CALLERS).map(|n| parcel(n, 1, Lane::Bulk)).collect();
        append_new(&*store, &parcels);
        disk.set_sync_time(Duration::from_millis(50));
        disk.take_log();
        if fails {
            // The free space is asked for, the group is written, then synced.
            disk.fail(2, Fault::Error);
        }
        let answers: Vec<_> = std::thread::scope(|scope| {
            let callers = parcels.iter().map(|parcel| {
                let settlement = Settlement {
                    receipts: "receipt".into(),
                    items: vec![(parcel.id, Outcome::Delivered)],
                };
                scope.spawn(|| {
                    store
                        .settle(&[settlement], &[])
                        .map(|settled| settled.applied)
                })
            });
            let callers: Vec<_> = callers.collect();
            let answers = callers.into_iter().map(|caller| caller.join().unwrap());
            answers.collect()
        });
        let syncs = disk.take_log().into_iter().filter(|op| *op == Op::Sync);
        assert!(syncs.count() < CALLERS as usize / 2);
        for answer in answers {
            match answer {
                Ok(applied) => assert!(!fails && applied == 1),
                Err(error) => assert!(fails && error.is_fatal(), "{error}"),
            }
        }
    }
}
