//! The fjall engine with damaged files (R20, case 41): what is damaged is found and put aside, everything
//! else is still there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pli_node::store::engine::{Engine, Tuning};
use pli_node::store::{AbsenceReason, Entry, Item, Lane, Outcome, Settlement, Store, StoreError};

use crate::faulty::FaultyDisk;
use crate::fixture::*;
use crate::fjall_small;

const SEGMENT: &str = "0000000001.log";
const LETTERS: u64 = 30;
const PARCELS: u64 = 10;

fn open_on(disk: &FaultyDisk, directory: &Path) -> Arc<Engine> {
    let tuning = Tuning::default();
    Arc::new(
        Engine::open(directory, &options(), Arc::new(disk.clone()), tuning)
            .expect("the store opens"),
    )
}

fn letters() -> Vec<Entry> {
    (0..LETTERS).map(|n| letter(n, 1)).collect()
}

fn parcels() -> Vec<Entry> {
    (LETTERS..LETTERS + PARCELS)
        .map(|n| parcel(n, 1, Lane::Bulk))
        .collect()
}

/// Four groups in one segment.
fn filled(disk: &FaultyDisk, directory: &Path) {
    let store = open_on(disk, directory);
    for group in letters().chunks(15).chain(parcels().chunks(5)) {
        append_new(&*store, group);
    }
}

/// How many records are damaged; all others must be exact.
fn damaged(store: &dyn Store, context: &str) -> usize {
    let mut damaged = 0;
    let page = store.read(&account(1), 0, ALL).unwrap();
    for (item, entry) in page.items.iter().zip(letters()) {
        match &item.item {
            Item::Envelope { id, bytes, .. } => {
                assert_eq!((id, bytes), (&entry.id, &entry.bytes), "{context}")
            }
            // A rebuild does not see the last letters; the numbering moved on from the first of them.
            Item::Absent { reason } if *reason == AbsenceReason::Skipped => {
                assert_eq!(item.seq, page.latest_seq, "{context}");
                damaged += 1;
            }
            Item::Absent { reason } => {
                assert_eq!(*reason, AbsenceReason::Damaged, "{context}");
                damaged += 1;
            }
        }
    }
    // The skipped stand together as one.
    damaged += letters().len().saturating_sub(page.items.len());
    let queue = store.pending(&home(1), Lane::Bulk, 0, ALL).unwrap();
    for item in &queue.items {
        let entry = parcels()
            .into_iter()
            .find(|entry| entry.id == item.id)
            .expect(context);
        assert_eq!(item.bytes, entry.bytes, "{context}");
    }
    damaged + (PARCELS as usize - queue.items.len())
}

#[test]
fn r20_one_flipped_bit_damages_one_record_and_no_other() {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    filled(&disk, directory.path());
    let (index, saved) = (
        directory.path().join("index"),
        directory.path().join("saved"),
    );
    fs::rename(&index, &saved).unwrap();
    let bits = disk.contents()[SEGMENT].len() * 8;
    let mut found = 0;
    for bit in (0..bits).step_by(1_511) {
        let context = format!("bit {bit} of {bits}");
        let flipped = disk.after_power_loss(|_| 0);
        flipped.flip(SEGMENT, bit);
        let _ = fs::remove_dir_all(&index);
        copy_directory(&saved, &index);
        let _ = fs::remove_dir_all(directory.path().join("quarantine"));
        let store = open_on(&flipped, directory.path());
        let count = damaged(&*store, &context);
        assert!(count <= 1, "{context}: {count}");
        found += count;
        assert_eq!(store.status().quarantined, count as u64, "{context}");
        // It is counted once, stays damaged, and the numbering goes on.
        assert_eq!(damaged(&*store, &context), count);
        assert_eq!(store.status().quarantined, count as u64, "{context}");
        let queue = store.pending(&home(1), Lane::Bulk, 0, ALL).unwrap();
        for id in queue.damaged {
            // It was acknowledged: the sender gets to know (P3).
            let items = vec![(id, Outcome::Undeliverable { code: 9 })];
            assert_eq!(
                store
                    .settle(
                        &[Settlement {
                            receipts: "sorry".into(),
                            items
                        }],
                        &[]
                    )
                    .unwrap()
                    .applied,
                1
            );
            assert!(
                store
                    .pending(&home(1), Lane::Bulk, 0, ALL)
                    .unwrap()
                    .damaged
                    .is_empty()
            );
        }
        assert_eq!(
            append_new(&*store, &[letter(900, 1)]),
            [LETTERS + 1],
            "{context}"
        );
    }
    assert!(found > 50, "nearly every bit belongs to a record: {found}");
}

#[test]
fn r20_one_flipped_bit_and_a_lost_index() {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    filled(&disk, directory.path());
    let identity = fs::read(directory.path().join("IDENTITY")).unwrap();
    let bits = disk.contents()[SEGMENT].len() * 8;
    for bit in (0..bits).step_by(1_511) {
        let context = format!("bit {bit} of {bits}");
        let flipped = disk.after_power_loss(|_| 0);
        flipped.flip(SEGMENT, bit);
        fs::remove_dir_all(directory.path().join("index")).unwrap();
        // Written in place: still the original file.
        fs::write(directory.path().join("IDENTITY"), &identity).unwrap();
        let store = open_on(&flipped, directory.path());
        let count = damaged(&*store, &context);
        assert!(count <= 1, "{context}: {count}");
        // No number is given twice, whichever record is the damaged one.
        assert!(
            append_new(&*store, &[letter(900, 1)])[0] > LETTERS,
            "{context}"
        );
    }
}

#[test]
fn case_41_a_truncated_log_keeps_what_is_left_and_reuses_no_number() {
    let (disk, directory) = (FaultyDisk::new(), fast_directory());
    filled(&disk, directory.path());
    let identity = fs::read(directory.path().join("IDENTITY")).unwrap();
    let (index, saved) = (
        directory.path().join("index"),
        directory.path().join("saved"),
    );
    fs::rename(&index, &saved).unwrap();
    let length = disk.contents()[SEGMENT].len();
    for cut in (40..length).step_by(length / 40) {
        let context = format!("cut at {cut} of {length}");
        let short = disk.after_power_loss(|_| 0);
        short.truncate(SEGMENT, cut);
        let _ = fs::remove_dir_all(&index);
        copy_directory(&saved, &index);
        fs::write(directory.path().join("IDENTITY"), &identity).unwrap();
        let store = open_on(&short, directory.path());
        let whole = letters().len() + parcels().len() - damaged(&*store, &context);
        assert!(
            whole * length / 40 + length / 15 >= cut,
            "{context}: only {whole} are left"
        );
        assert_eq!(store.status().epoch.number, 2, "{context}");
        if store.latest_seq(&account(1)).unwrap() > 0 {
            assert!(
                append_new(&*store, &[letter(900, 1)])[0] > LETTERS,
                "{context}"
            );
        }
    }
}

#[test]
fn r20_a_damaged_index_is_built_again_from_the_log() {
    let directory = fast_directory();
    let store = open(fjall_small, directory.path());
    let all: Vec<_> = (0..600)
        .map(|n| {
            if n % 2 == 0 {
                letter(n, 1)
            } else {
                parcel(n, 1, Lane::Bulk)
            }
        })
        .collect();
    for group in all.chunks(50) {
        append_new(&*store, group);
    }
    let items: Vec<_> = all
        .iter()
        .skip(1)
        .step_by(4)
        .map(|entry| (entry.id, Outcome::Delivered))
        .collect();
    let delivered = items.len();
    store
        .settle(
            &[Settlement {
                receipts: "ack".into(),
                items,
            }],
            &[],
        )
        .unwrap();
    drop(store);
    let (index, saved) = (
        directory.path().join("index"),
        directory.path().join("saved"),
    );
    fs::rename(&index, &saved).unwrap();
    let files: Vec<_> = files(&saved)
        .into_iter()
        .filter(|path| path.metadata().unwrap().len() > 0)
        .collect();
    assert!(
        files
            .iter()
            .filter(|file| file.parent().is_some_and(|at| at.ends_with("tables")))
            .count()
            > 2
    );
    for file in &files {
        let used = used_length(file);
        for part in 0..3 {
            let _ = fs::remove_dir_all(&index);
            copy_directory(&saved, &index);
            let target = index.join(file.strip_prefix(&saved).unwrap());
            let mut bytes = fs::read(&target).unwrap();
            let at = used * part / 3;
            bytes[at] ^= 0x04;
            fs::write(&target, bytes).unwrap();
            let context = format!("{} at {at}", target.display());
            check_all(directory.path(), &all, delivered, &context);
        }
    }
}

/// Where a read meets the damage, the next start mends it.
fn check_all(directory: &Path, all: &[Entry], delivered: usize, context: &str) {
    for _ in 0..3 {
        let store = open(fjall_small, directory);
        match everything(&*store, all, delivered, context) {
            Ok(()) => return,
            Err(StoreError::Fatal { .. }) => {}
            Err(other) => panic!("{context}: {other}"),
        }
    }
    panic!("{context}: not mended by a restart");
}

fn everything(
    store: &dyn Store,
    all: &[Entry],
    delivered: usize,
    context: &str,
) -> Result<(), StoreError> {
    for entry in all {
        assert_eq!(
            store.known(&[entry.id])?,
            [Some(entry.accepted_at)],
            "{context}"
        );
    }
    let page = store.read(&account(1), 0, ALL)?;
    assert_eq!(page.items.len(), all.len() / 2, "{context}");
    assert!(
        page.items
            .iter()
            .all(|item| matches!(item.item, Item::Envelope { .. })),
        "{context}"
    );
    let queue = store.pending(&home(1), Lane::Bulk, 0, ALL)?;
    assert_eq!(
        (queue.items.len(), queue.damaged.len()),
        (all.len() / 2 - delivered, 0),
        "{context}"
    );
    Ok(())
}

/// Without the zeros that fjall preallocates.
fn used_length(file: &Path) -> usize {
    fs::read(file)
        .unwrap()
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(1, |last| last + 1)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
