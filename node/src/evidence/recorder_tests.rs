use std::path::Path;

use bytes::Bytes;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{AccountId, KeyId, MailboxId};

use super::*;
use crate::clock::TestClock;
use crate::deliver::evidence;
use crate::evidence::log::Found;
use crate::federation::fixture::{NOON, authority, directory, node_key};
use crate::federation::{Publisher, Refreshed};
use crate::store::{self, Entry, Lane, OpenOptions, Place, Sender};

struct Scene {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("fjall:{}", folder.path().join("store").display());
        let store = store::open(&url, &OpenOptions::new(authority(), KeyId::new([7; 32]))).unwrap();
        Self { folder, store }
    }

    /// The recorder as a start of the node finds things.
    fn recorder(&self) -> (Recorder, Open) {
        let key = SigningKey::from_seed(&[5; 32]);
        let folder: &Path = &self.folder.path().join("evidence");
        let epoch = self.store.status().epoch;
        let keeper = Keeper::open(folder, &authority(), key, epoch, NOON).unwrap();
        let metrics = Arc::new(Metrics::new());
        let ends = [86_400_000; 5];
        let refreshed = Refreshed {
            at: Some(NOON),
            error: None,
        };
        let (_, watch) = Publisher::new(directory(1, &node_key(1), ends), refreshed);
        let (cursor, skip) = keeper.log().resume();
        self.store.hold_from(cursor).unwrap();
        let recorder = Recorder {
            authority: authority(),
            store: Arc::clone(&self.store),
            keeper: Arc::new(keeper),
            directory: watch,
            clock: Arc::new(TestClock::at(NOON)),
            alarms: Alarms::new(Arc::clone(&metrics)),
            metrics,
        };
        (recorder, Open::new(cursor, skip))
    }

    fn letters(&self, numbers: std::ops::Range<u64>, place: &Place) {
        let numbers: Vec<u64> = numbers.collect();
        for some in numbers.chunks(1_000) {
            let entries: Vec<Entry> = some.iter().map(|number| entry(*number, place)).collect();
            self.store.append(&entries).unwrap();
        }
    }
}

fn id(number: u64) -> EnvelopeId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    EnvelopeId::new(id)
}

fn entry(number: u64, place: &Place) -> Entry {
    Entry {
        id: id(number),
        bytes: Bytes::from_static(b"letter"),
        accepted_at: NOON,
        expires: NOON.plus_ms(86_400_000),
        sender: Sender::Service("rdv@interieur.gouv.fr".parse().unwrap()),
        place: place.clone(),
    }
}

fn mailbox() -> Place {
    Place::Mailbox {
        account: AccountId::new([1; 32]),
        mailbox: MailboxId::new([2; 16]),
    }
}

fn queue() -> Place {
    Place::Queue {
        destination: "social.gouv.fr".parse().unwrap(),
        lane: Lane::Bulk,
    }
}

fn no_refusals() -> Receiver<Refusal> {
    mpsc::sync_channel(1).1
}

/// Rounds until nothing more is read.
fn record(recorder: &Recorder, open: &mut Open, ending: bool) {
    while recorder.round(open, &no_refusals(), ending).unwrap() {}
    recorder.round(open, &no_refusals(), ending).unwrap();
}

fn found(recorder: &Recorder, number: u64, kind: EventKind) -> Found {
    let event = Event {
        kind,
        node: authority(),
        envelope: id(number),
        at: NOON,
    };
    recorder.keeper.find(&event).unwrap()
}

/// EVD-1.3, EVD-2.1
#[test]
fn evd_2_1_what_the_store_has_done_is_logged_in_full_batches_and_one_that_is_due() {
    let scene = Scene::new();
    scene.letters(0..3_000, &mailbox());
    let (recorder, mut open) = scene.recorder();
    record(&recorder, &mut open, false);
    let log = recorder.keeper.log();
    assert_eq!(log.size(), 0, "a sync for a single batch is not due yet");
    open.together = 1;
    record(&recorder, &mut open, false);
    assert_eq!(
        (log.size(), log.events()),
        (1, TREE_LEAVES_MAX as u64),
        "the rest is not due yet"
    );
    record(&recorder, &mut open, true);
    assert_eq!((log.size(), log.events()), (2, 6_000));
    for number in [0, 1, 2_047, 2_048, 2_999] {
        for kind in [
            EventKind::SubmissionAcceptance,
            EventKind::ContentConsignment,
        ] {
            assert!(
                matches!(found(&recorder, number, kind), Found::Proof(..)),
                "{number}"
            );
        }
    }
    assert_eq!(
        found(&recorder, 0, EventKind::RelayAcceptance),
        Found::Nothing
    );
    assert_eq!(
        found(&recorder, 3_000, EventKind::SubmissionAcceptance),
        Found::Nothing
    );
}

/// EVD-1.3: each once, also where a crash came between two batches of one group of the store.
#[test]
fn case_36_after_a_crash_it_goes_on_in_the_middle_of_a_group() {
    let scene = Scene::new();
    scene.letters(0..3_000, &mailbox());
    {
        let (recorder, mut open) = scene.recorder();
        open.together = 1;
        record(&recorder, &mut open, false);
        assert_eq!(recorder.keeper.log().events(), TREE_LEAVES_MAX as u64);
    }
    scene.letters(3_000..3_010, &queue());
    let (recorder, mut open) = scene.recorder();
    record(&recorder, &mut open, true);
    assert_eq!(recorder.keeper.log().events(), 6_010);
    for number in [0, 2_047, 2_048, 2_999, 3_009] {
        let found = found(&recorder, number, EventKind::SubmissionAcceptance);
        assert!(matches!(found, Found::Proof(..)), "{number}");
    }
    drop(recorder);
    let (recorder, mut open) = scene.recorder();
    record(&recorder, &mut open, true);
    assert_eq!(recorder.keeper.log().events(), 6_010, "nothing twice");
}

/// EVD-1.3: what a home says of a letter is in the home's log, not in the origin's.
#[test]
fn evd_1_3_only_this_node_s_own_word_is_logged() {
    let scene = Scene::new();
    scene.letters(0..2, &queue());
    scene.letters(2..4, &mailbox());
    let key = SigningKey::from_seed(&[1; 32]);
    let step = pli_protocol::custody::Step::Retrieved;
    let receipt = |node: &str, number| Receipt {
        step,
        node: node.parse().unwrap(),
        envelope: id(number),
        at: NOON,
    };
    let by_home = evidence::of_signed(
        vec![receipt("social.gouv.fr", 0).sign(&key)],
        vec![(id(0), Outcome::Retrieved)],
    );
    let own = evidence::of_signed(
        vec![receipt("interieur.gouv.fr", 2).sign(&key)],
        vec![(id(2), Outcome::Retrieved)],
    );
    let gave_up = Receipt {
        step: pli_protocol::custody::Step::Undeliverable(Code::Unreachable),
        ..receipt("interieur.gouv.fr", 1)
    };
    let code = Code::Unreachable.number();
    let gave_up = evidence::of_own(&[gave_up], vec![Outcome::GivenUp { code }], &key);
    scene.store.settle(&[by_home, own, gave_up], &[]).unwrap();
    let (recorder, mut open) = scene.recorder();
    record(&recorder, &mut open, true);
    assert!(matches!(
        found(&recorder, 2, EventKind::ContentHandover),
        Found::Proof(..)
    ));
    let gave_up = EventKind::RelayFailure(Code::Unreachable);
    assert!(matches!(found(&recorder, 1, gave_up), Found::Proof(..)));
    assert_eq!(
        found(&recorder, 0, EventKind::ContentHandover),
        Found::Nothing
    );
    // Four acceptances, two consignments, a hand-over, a failure.
    assert_eq!(recorder.keeper.log().events(), 8);
}

/// Case 43: of a folder that was copied nobody knows what was signed after it.
#[test]
fn case_43_a_copied_log_is_not_gone_on_with() {
    let scene = Scene::new();
    scene.letters(0..10, &queue());
    let first = {
        let (recorder, mut open) = scene.recorder();
        record(&recorder, &mut open, true);
        recorder.keeper.log().origin().clone()
    };
    let (from, to) = (
        scene.folder.path().join("evidence"),
        scene.folder.path().join("copy"),
    );
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(&from)
        .arg(&to)
        .status();
    assert!(copied.unwrap().success());
    std::fs::remove_dir_all(&from).unwrap();
    std::fs::rename(&to, &from).unwrap();
    let (recorder, mut open) = scene.recorder();
    let why = recorder.keeper.begun_anew().expect("a new log");
    assert!(why.contains("copied"), "{why}");
    let second = recorder.keeper.log().origin().clone();
    assert!(second.start > first.start, "{second} after {first}");
    record(&recorder, &mut open, true);
    // What the store still has is recorded again; what the old log has stays provable.
    assert_eq!(recorder.keeper.log().events(), 10);
    assert_eq!(recorder.keeper.log_of(first.start).unwrap().events(), 10);
}

#[test]
fn evd_1_3_what_was_refused_is_logged_and_a_flood_of_it_waits_for_nobody() {
    let scene = Scene::new();
    let (recorder, mut open) = scene.recorder();
    let (sender, refusals) = mpsc::sync_channel(2);
    let handed = Refusals(Some(sender));
    let kind = EventKind::SubmissionRejection(Code::UnknownMailbox);
    let refusal = |number| Refusal {
        envelope: id(number),
        kind,
        at: NOON,
    };
    assert!(handed.record(refusal(1)) && handed.record(refusal(2)));
    assert!(!handed.record(refusal(3)), "no room");
    recorder.round(&mut open, &refusals, true).unwrap();
    assert!(matches!(found(&recorder, 2, kind), Found::Proof(..)));
    assert_eq!(found(&recorder, 3, kind), Found::Nothing);
}
