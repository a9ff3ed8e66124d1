use std::fs;

use pli_protocol::evidence::tree::{is_consistent, root_from_inclusion};
use pli_protocol::evidence::{EventKind, Noted};
use pli_protocol::id::EnvelopeId;
use pli_protocol::merkle::root_from_path;

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

fn key() -> SigningKey {
    SigningKey::from_seed(&[5; 32])
}

fn origin() -> Origin {
    "interieur.gouv.fr/log/1800000000000".parse().unwrap()
}

fn open(folder: &Path) -> EventLog {
    EventLog::open(folder, origin(), key()).unwrap()
}

fn event(number: u64) -> Event {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Event {
        kind: EventKind::SubmissionAcceptance,
        node: "interieur.gouv.fr".parse().unwrap(),
        envelope: EnvelopeId::new(id),
        at: NOW.plus_ms(number),
    }
}

fn closed(numbers: std::ops::Range<u64>) -> Closed {
    Closed {
        leaves: numbers.clone().map(|number| event(number).leaf()).collect(),
        earliest: event(numbers.start).at,
        latest: event(numbers.end - 1).at,
        cursor: Cursor(numbers.end),
        skip: 0,
    }
}

/// Adds batches of ten events each and shows what there is.
fn fill(log: &EventLog, batches: std::ops::Range<u64>) {
    for batch in batches {
        let numbers = batch * 10..batch * 10 + 10;
        log.append(vec![closed(numbers.clone())], NOW.plus_ms(numbers.end))
            .unwrap();
    }
    log.publish(log.newest().unwrap()).unwrap();
}

fn proof(log: &EventLog, number: u64) -> (wire::EventProof, Checkpoint) {
    match log.prove(&event(number)).unwrap() {
        Found::Proof(proof, note) => {
            let noted = Noted::parse(&note).unwrap();
            (proof, noted.verify(key().public()).unwrap().clone())
        }
        other => panic!("{number}: {other:?}"),
    }
}

#[test]
fn evd_4_1_every_event_is_proven_up_to_the_signed_head() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    fill(&log, 0..300);
    for number in [0, 9, 10, 2_555, 2_999] {
        let (proof, head) = proof(&log, number);
        assert_eq!(proof.event, event(number).encode());
        let inclusion = proof.in_batch.unwrap();
        let hashes = |path: &[bytes::Bytes]| {
            path.iter()
                .map(|hash| hash[..].try_into().unwrap())
                .collect::<Vec<Hash>>()
        };
        let (index, size) = (inclusion.index as usize, inclusion.tree_size as usize);
        let root =
            root_from_path(event(number).leaf(), index, size, &hashes(&inclusion.path)).unwrap();
        let at = Timestamp::from_ms(proof.batch_at_ms);
        assert!(at >= event(number).at);
        let entry = Entry { at, size, root };
        let root = root_from_inclusion(entry.leaf(), proof.index, head.size, &hashes(&proof.path));
        assert_eq!(root, Some(head.root));
    }
    assert_eq!(log.prove(&event(3_000)).unwrap(), Found::Nothing);
}

#[test]
fn evd_3_3_what_is_not_published_is_pending_and_what_is_stays() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    fill(&log, 0..2);
    log.append(vec![closed(20..30)], NOW).unwrap();
    assert_eq!(log.prove(&event(25)).unwrap(), Found::Pending);
    assert_eq!(proof(&log, 15).1.size, 2);
    let older = log.published().unwrap();
    log.publish(log.newest().unwrap()).unwrap();
    assert_eq!(proof(&log, 25).1.size, 3);
    log.publish(older).unwrap();
    assert_eq!(log.published().unwrap().size, 3, "never an older one again");
    // Cosigned by others, it may come before the bare one.
    let bare = log.published().unwrap();
    let mut noted = Noted::parse(&bare.note).unwrap();
    noted.add(noted.cosign(&"social.gouv.fr".parse().unwrap(), NOW, &key()));
    let cosigned = Head {
        note: noted.encode(),
        ..bare.clone()
    };
    log.publish(cosigned.clone()).unwrap();
    log.publish(bare).unwrap();
    assert_eq!(log.published().unwrap(), cosigned);
}

#[test]
fn evd_2_2_entries_ascend_in_time_whatever_the_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    log.append(vec![closed(100..110)], NOW.plus_ms(5_000))
        .unwrap();
    // The clock went back an hour; and an event is later than the clock says.
    log.append(
        vec![closed(0..10)],
        Timestamp::from_ms(NOW.as_ms() - 3_600_000),
    )
    .unwrap();
    log.append(vec![closed(9_000..9_010)], NOW).unwrap();
    let times: Vec<u64> = log
        .entries(0, 3)
        .unwrap()
        .iter()
        .map(|entry| entry.at.as_ms())
        .collect();
    let expected = [5_000, 5_000, 9_009].map(|ms| NOW.plus_ms(ms).as_ms());
    assert_eq!(times, expected);
    log.publish(log.newest().unwrap()).unwrap();
    for number in [3, 105, 9_004] {
        proof(&log, number);
    }
}

#[test]
fn r16_after_a_restart_the_same_head_comes_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    fill(&log, 0..20);
    let (head, resume) = (log.newest(), log.resume());
    drop(log);
    let log = open(folder.path());
    assert_eq!(log.newest(), head);
    assert_eq!(log.published(), head);
    assert_eq!(log.resume(), resume);
    assert_eq!(log.events(), 200);
    fill(&log, 20..25);
    let newer = Noted::parse(&log.newest().unwrap().note).unwrap();
    let older = Noted::parse(&head.unwrap().note).unwrap();
    let path = log.consistency(20, 25).unwrap();
    let (older, newer) = (older.checkpoint(), newer.checkpoint());
    assert!(is_consistent((20, &older.root), (25, &newer.root), &path));
}

/// Cases 36 and 37: the files cut at any place, as a crash while writing leaves them.
#[test]
fn r16_what_a_crash_tears_off_gives_no_second_head_of_a_size_that_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    fill(&log, 0..5);
    let signed = log.newest().unwrap();
    let sizes = ["batches", "leaves", "level-0"].map(|name| {
        let length = fs::metadata(folder.path().join(name)).unwrap().len();
        (name, length)
    });
    log.append(vec![closed(50..60)], NOW).unwrap();
    drop(log);
    let copy = tempfile::tempdir().unwrap();
    for torn in sizes {
        for keep in [torn.1, torn.1 + 1, torn.1 + 31, torn.1 + 70] {
            for name in ["batches", "leaves", "level-0", "published"] {
                fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
            }
            // The record is written after its leaves are synced, so a batch that is torn has no whole record.
            let batches = fs::OpenOptions::new()
                .write(true)
                .open(copy.path().join("batches"))
                .unwrap();
            batches
                .set_len(
                    sizes[0].1
                        + if torn.0 == "batches" {
                            keep - torn.1
                        } else {
                            0
                        },
                )
                .unwrap();
            let file = fs::OpenOptions::new()
                .write(true)
                .open(copy.path().join(torn.0))
                .unwrap();
            let length = file.metadata().unwrap().len().min(keep);
            file.set_len(length).unwrap();
            let log = open(copy.path());
            assert_eq!(log.newest(), Some(signed.clone()), "{torn:?} {keep}");
            fill(&log, 5..7);
            proof(&log, 55);
        }
    }
}

#[test]
fn case_41_a_flipped_bit_in_a_record_is_found_and_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()), 0..5);
    let path = folder.path().join("batches");
    let mut bytes = fs::read(&path).unwrap();
    bytes[104 * 2 + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let log = EventLog::open(folder.path(), origin(), key());
    let error = log.expect_err("the tree cannot be made again of a damaged record");
    assert!(error.to_string().contains("batch 2 is damaged"), "{error}");
}

#[test]
fn evd_8_4_what_waits_is_what_no_published_checkpoint_holds() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    assert_eq!((log.waiting().unwrap(), log.closed_at()), (0, None));
    log.append(vec![closed(0..3), closed(3..10)], NOW.plus_ms(20))
        .unwrap();
    assert_eq!(log.waiting().unwrap(), 10);
    assert_eq!(log.closed_at(), Some(NOW.plus_ms(20)));
    let seen = log.newest().unwrap();
    log.append(vec![closed(10..14)], NOW.plus_ms(30)).unwrap();
    log.publish(seen).unwrap();
    assert_eq!(log.waiting().unwrap(), 4);
    log.publish(log.newest().unwrap()).unwrap();
    assert_eq!(log.waiting().unwrap(), 0);
}
