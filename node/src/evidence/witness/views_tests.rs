//! EVD-10: what convicts is kept, said and passed on; what is false is rejected.

use std::sync::Arc;

use pli_protocol::evidence::SplitView;
use pli_protocol::limits::{HEADS_REMEMBERED_MAX, SPLIT_VIEWS_MAX};
use tempfile::tempdir;

use super::disk::RealDisk;
use super::fixture::*;
use super::{Verdict, Views};
use crate::alarm::Alarms;
use crate::metrics::AlarmKind;

fn views(folder: &std::path::Path) -> (Views, Alarms) {
    let alarms = alarms();
    (
        Views::open(folder, Arc::new(RealDisk), alarms.clone(), NOON).unwrap(),
        alarms,
    )
}

fn accepted() -> Verdict {
    Verdict::Accept(authority("interieur.gouv.fr"))
}

fn alarmed(alarms: &Alarms) -> bool {
    alarms
        .raised()
        .iter()
        .any(|alarm| alarm.kind == AlarmKind::SplitView)
}

#[test]
fn case_20_two_checkpoints_of_one_size_are_kept_alarmed_and_passed_on() {
    let folder = tempdir().unwrap();
    let (views, alarms) = views(folder.path());
    let mut heard = views.convictions();
    let judge = |log: &Log, size| {
        views.judge_checkpoint(log.noted(size).encode().as_bytes(), &directory(), NOON)
    };
    let (log, fork) = (Log::new(9, 0), Log::new(9, 1));
    assert_eq!(judge(&log, 7), accepted());
    assert_eq!(judge(&log, 7), Verdict::Ignore, "known");
    assert_eq!(
        judge(&fork, 6),
        accepted(),
        "of another size: nobody can tell yet"
    );
    assert!(!alarmed(&alarms));
    assert_eq!(judge(&fork, 7), accepted(), "it convicts where it goes");
    assert!(alarmed(&alarms));
    assert_eq!(judge(&fork, 7), Verdict::Ignore, "convicted already");
    let view = heard.try_recv().unwrap();
    assert_eq!(
        Some(view.clone()),
        SplitView::between(log.noted(7), fork.noted(7))
    );
    assert!(heard.try_recv().is_err());
    // After a restart it is still said, and heard again it is no news.
    let (views, alarms) = self::views(folder.path());
    assert!(alarmed(&alarms));
    let again = views.judge_conviction(view.encode().as_bytes(), &directory(), NOON);
    assert_eq!(again, Verdict::Ignore);
}

#[test]
fn case_20_a_conviction_that_is_heard_counts_as_one_that_was_seen() {
    let folder = tempdir().unwrap();
    let (views, alarms) = views(folder.path());
    let judge = |text: &str| views.judge_conviction(text.as_bytes(), &directory(), NOON);
    let (log, fork) = (Log::new(9, 0), Log::new(9, 1));
    let view = SplitView::between(log.noted(7), fork.noted(7)).unwrap();
    let forged = Log {
        key: key(9),
        ..fork.clone()
    };
    let mut padded = log.noted(7);
    assert!(padded.add(padded.cosign(&authority("justice.gouv.fr"), NOON, &key(3))));
    for bad in [
        String::new(),
        log.noted(7).encode(),
        SplitView::between(log.noted(7), forged.noted(7))
            .unwrap()
            .encode(),
        SplitView::between(padded, fork.noted(7)).unwrap().encode(),
    ] {
        assert_eq!(judge(&bad), Verdict::Reject, "{bad}");
    }
    assert!(!alarmed(&alarms));
    assert_eq!(judge(&view.encode()), accepted());
    assert!(alarmed(&alarms));
    assert_eq!(judge(&view.encode()), Verdict::Ignore);
}

#[test]
fn evd_10_2_what_is_forged_is_rejected_and_what_is_unknown_ignored() {
    let folder = tempdir().unwrap();
    let (views, _) = views(folder.path());
    let judge = |payload: &[u8]| views.judge_checkpoint(payload, &directory(), NOON);
    let forged = Log {
        key: key(9),
        ..Log::new(9, 0)
    };
    let mut stranger = Log::new(9, 0);
    stranger.origin = "ailleurs.example/log/1790000000000".parse().unwrap();
    assert_eq!(judge(forged.noted(7).encode().as_bytes()), Verdict::Reject);
    assert_eq!(
        judge(stranger.noted(7).encode().as_bytes()),
        Verdict::Ignore
    );
    assert_eq!(judge(&[0xff; 9]), Verdict::Reject);
    assert_eq!(judge(b""), Verdict::Reject);
}

#[test]
fn r15_of_a_log_only_so_many_checkpoints_are_remembered() {
    let folder = tempdir().unwrap();
    let (views, alarms) = views(folder.path());
    let (log, fork) = (Log::new(200, 0), Log::new(200, 1));
    for size in 1..=HEADS_REMEMBERED_MAX + 1 {
        assert!(views.saw(&log.noted(size), &directory(), NOON));
    }
    views.saw(&fork.noted(1), &directory(), NOON);
    assert!(!alarmed(&alarms), "the oldest made room");
    views.saw(&fork.noted(HEADS_REMEMBERED_MAX), &directory(), NOON);
    assert!(alarmed(&alarms));
}

#[test]
fn r15_only_so_many_convictions_are_kept() {
    let folder = tempdir().unwrap();
    let (views, _) = views(folder.path());
    let judge = |start: usize| {
        let at = |tag| {
            let mut log = Log::new(1, tag);
            log.origin = format!("interieur.gouv.fr/log/{start}").parse().unwrap();
            log.noted(1)
        };
        let view = SplitView::between(at(0), at(1)).unwrap();
        views.judge_conviction(view.encode().as_bytes(), &directory(), NOON)
    };
    for start in 0..SPLIT_VIEWS_MAX {
        assert_eq!(judge(start), accepted());
    }
    assert_eq!(judge(SPLIT_VIEWS_MAX), Verdict::Ignore);
    let files = std::fs::read_dir(folder.path().join("interieur.gouv.fr")).unwrap();
    assert_eq!(files.count(), SPLIT_VIEWS_MAX);
}
