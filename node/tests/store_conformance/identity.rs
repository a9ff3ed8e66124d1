//! Whose store it is, and in which epoch.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use pli_node::store::engine::EPOCH_LEAP;
use pli_node::store::{self, AbsenceReason, Item, MailboxItem, PageBound, StoreError};
use pli_protocol::id::KeyId;

use crate::Opener;
use crate::fixture::*;
use crate::kill::Child;

fn case_42_a_second_process_is_refused(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Child::start("hold", directory.path(), 0);
    assert_eq!(child.line().as_deref(), Some("open"));
    match opener(directory.path(), &options()) {
        Err(error @ StoreError::InUse { .. }) => {
            assert!(error.to_string().contains("in use by another process"))
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    child.kill();
    // The lock dies with its holder: no stale lock needs a human.
    open(opener, directory.path());
}

fn case_42_a_second_opening_in_this_process_is_refused(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(opener, directory.path());
    assert!(matches!(
        opener(directory.path(), &options()),
        Err(StoreError::InUse { .. })
    ));
}

fn case_74_the_store_of_another_node_is_refused(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    drop(open(opener, directory.path()));
    let mut other = options();
    other.authority = home(8);
    match opener(directory.path(), &other) {
        Err(error @ StoreError::WrongAuthority { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains(options().authority.as_str())
                    && text.contains(other.authority.as_str())
            );
        }
        result => panic!("expected a refusal, got {result:?}"),
    }
    open(opener, directory.path());
}

/// A key that was lost or stolen is replaced; what was accepted under it stays.
fn case_74_another_key_of_the_same_node_opens_the_store_and_is_noted(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(opener, directory.path());
    append_new(&*store, &[letter(1, 1)]);
    let epoch = store.status().epoch;
    drop(store);
    let mut rotated = options();
    rotated.node_key = KeyId::new([8; 32]);
    for _ in 0..2 {
        let store = opener(directory.path(), &rotated).unwrap();
        assert_eq!(store.status().epoch, epoch);
        assert_eq!(contents(&*store, 1), [Some(letter(1, 1).id)]);
    }
    let identity = fs::read_to_string(directory.path().join("IDENTITY")).unwrap();
    let says = |line: String| identity.lines().filter(|said| **said == line).count();
    assert_eq!(says(format!("node {}", rotated.node_key)), 1, "{identity}");
    let former = format!("former-node {}", options().node_key);
    assert_eq!(says(former), 1, "{identity}");
}

/// Case 43
fn case_74_a_copy_that_is_opened_with_a_new_key_begins_a_new_epoch(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a"), directory.path().join("b"));
    drop(open(opener, &first));
    copy(&first, &second);
    let mut rotated = options();
    rotated.node_key = KeyId::new([8; 32]);
    let store = opener(&second, &rotated).unwrap();
    assert_eq!(store.status().epoch.number, 2);
    assert!(store.status().new_epoch);
    drop(store);
    let store = opener(&second, &rotated).unwrap();
    assert_eq!(store.status().epoch.number, 2);
    assert!(!store.status().new_epoch);
}

/// The log says who writes to which mailbox.
fn a_store_is_nobody_else_s_to_read(opener: Opener) {
    let directory = fast_directory();
    let path = directory.path().join("store");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(open(opener, &path));
    assert_eq!(mode(), 0o700);
    for (before, after) in [(0o755, 0o750), (0o770, 0o770)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        drop(open(opener, &path));
        assert_eq!(mode(), after, "what the operator gave a group stays");
    }
}

fn case_77_a_newer_format_is_refused_and_left_alone(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    drop(open(opener, directory.path()));
    let path = directory.path().join("IDENTITY");
    let newer = fs::read_to_string(&path)
        .unwrap()
        .replace("pli-store 1\n", "pli-store 2\n");
    fs::write(&path, &newer).unwrap();
    match opener(directory.path(), &options()) {
        Err(
            error @ StoreError::NewerFormat {
                found: 2,
                supported: 1,
            },
        ) => {
            assert!(error.to_string().contains("use a newer program"));
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

/// MBX-5.1
fn case_43_a_restored_backup_starts_a_new_epoch_and_reuses_no_number(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    let store_path = directory.path().join("store");
    let backup = directory.path().join("backup");
    let store = open(opener, &store_path);
    append_new(&*store, &[letter(1, 1), letter(2, 1)]);
    let first_epoch = store.status().epoch;
    drop(store);
    copy(&store_path, &backup);
    // Opening again in place is the same epoch.
    let store = open(opener, &store_path);
    assert_eq!(store.status().epoch, first_epoch);
    let lost = append_new(&*store, &[letter(3, 1), letter(4, 1)]);
    assert_eq!(lost, [3, 4]);
    drop(store);
    // The disk is lost; yesterday's backup takes its place.
    fs::remove_dir_all(&store_path).unwrap();
    copy(&backup, &store_path);
    let store = open(opener, &store_path);
    let epoch = store.status().epoch;
    assert_eq!(epoch.number, first_epoch.number + 1);
    assert_ne!(epoch.id, first_epoch.id);
    let page = store.read(&account(1), 0, ALL).unwrap();
    assert_eq!(page.latest_seq, 2 + EPOCH_LEAP);
    assert!(
        page.items[..2]
            .iter()
            .all(|item| matches!(item.item, Item::Envelope { .. }))
    );
    // One item, which says what is true: nothing here had these numbers.
    let skipped = MailboxItem {
        seq: 2 + EPOCH_LEAP,
        item: Item::Absent {
            reason: AbsenceReason::Skipped,
        },
    };
    assert_eq!(page.items[2..], *std::slice::from_ref(&skipped));
    for (after, items) in [(2, 1), (1_000, 1), (1 + EPOCH_LEAP, 10)] {
        let bound = PageBound { items, ..ALL };
        let page = store.read(&account(1), after, bound).unwrap();
        assert_eq!(page.items, *std::slice::from_ref(&skipped), "{after}");
    }
    let next = append_new(&*store, &[letter(5, 1), letter(6, 2)]);
    assert_eq!(next, [3 + EPOCH_LEAP, 1]);
    drop(store);
    // The new epoch is kept, and does not begin again.
    let store = open(opener, &store_path);
    assert_eq!(store.status().epoch, epoch);
    assert_eq!(store.latest_seq(&account(1)).unwrap(), 3 + EPOCH_LEAP);
}

fn case_43_the_operator_can_say_that_a_volume_was_rolled_back(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(opener, directory.path());
    append_new(&*store, &[letter(1, 1)]);
    let first = store.status().epoch;
    drop(store);
    let mut restored = options();
    restored.restored = true;
    let store = opener(directory.path(), &restored).unwrap();
    assert_eq!(store.status().epoch.number, first.number + 1);
    assert_eq!(store.latest_seq(&account(1)).unwrap(), 1 + EPOCH_LEAP);
}

fn case_41_a_damaged_identity_is_refused_clearly(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    drop(open(opener, directory.path()));
    let path = directory.path().join("IDENTITY");
    let text = fs::read_to_string(&path).unwrap();
    for length in [0, 5, text.len() / 2] {
        fs::write(&path, &text[..length]).unwrap();
        assert!(
            matches!(
                opener(directory.path(), &options()),
                Err(StoreError::NotAStore { .. })
            ),
            "{length}"
        );
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        opener(directory.path(), &options()),
        Err(StoreError::NotAStore { .. })
    ));
}

/// Such as sources before the first release made.
fn case_74_a_store_that_names_no_authority_is_refused_with_what_to_do(opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    drop(open(opener, directory.path()));
    let path = directory.path().join("IDENTITY");
    let text = fs::read_to_string(&path).unwrap();
    let line = format!("authority {}\n", options().authority);
    assert!(text.contains(&line));
    let former = text.replace(&line, "");
    fs::write(&path, &former).unwrap();
    match opener(directory.path(), &options()) {
        Err(error @ StoreError::NotAStore { .. }) => {
            let said = error.to_string();
            assert!(
                said.contains("no authority") && said.contains("store.url"),
                "{said}"
            );
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), former, "left alone");
}

#[test]
fn an_unknown_engine_is_refused() {
    for url in ["", "fjall", "fjall:", "postgres://x", "/var/lib/pli"] {
        assert!(
            matches!(
                store::open(url, &options()),
                Err(StoreError::UnknownEngine { .. })
            ),
            "{url}"
        );
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-r")
        .arg(from)
        .arg(to)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

crate::for_each_engine!(
    a_store_is_nobody_else_s_to_read,
    case_42_a_second_process_is_refused,
    case_42_a_second_opening_in_this_process_is_refused,
    case_74_the_store_of_another_node_is_refused,
    case_74_another_key_of_the_same_node_opens_the_store_and_is_noted,
    case_74_a_store_that_names_no_authority_is_refused_with_what_to_do,
    case_74_a_copy_that_is_opened_with_a_new_key_begins_a_new_epoch,
    case_77_a_newer_format_is_refused_and_left_alone,
    case_43_a_restored_backup_starts_a_new_epoch_and_reuses_no_number,
    case_43_the_operator_can_say_that_a_volume_was_rolled_back,
    case_41_a_damaged_identity_is_refused_clearly,
);
