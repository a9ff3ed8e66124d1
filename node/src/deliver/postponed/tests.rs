use super::*;
use crate::verify::fixture::{header, letter, rdv_key};

fn sealed(mailbox: u8, more_ms: u64) -> Letter {
    let mut header = header();
    header.recipient.mailbox = MailboxId::new([mailbox; 16]);
    header.expires = header.expires.plus_ms(more_ms);
    Letter::decode(letter(&header, &rdv_key())).unwrap()
}

fn bulk(position: u64) -> Place {
    let lane = Lane::Bulk;
    Place { lane, position }
}

/// Refused again and again, each wait is at least half of its doubled bound, up to 15 minutes.
#[test]
fn cus_6_3_a_refusal_is_no_progress_and_each_wait_is_longer() {
    let (mut postponed, letter) = (Postponed::default(), sealed(1, 0));
    let mut now = Instant::now();
    for failures in 0..20_u32 {
        let wait = postponed
            .refused(&letter, Code::MailboxFull, bulk(1), now)
            .wait
            .expect("a new wait");
        let ceiling = (RETRY_BASE_MS << failures.min(16)).min(RETRY_MAX_MS);
        assert!(
            wait.as_millis() as u64 >= ceiling / 2,
            "{failures}: {wait:?}"
        );
        assert!(wait.as_millis() as u64 <= ceiling, "{failures}: {wait:?}");
        assert!(postponed.due(now).is_empty(), "not before its time");
        now += wait;
        assert_eq!(postponed.due(now), [bulk(1)]);
    }
}

#[test]
fn cus_6_4_one_of_a_full_mailbox_is_tried_and_other_mailboxes_go_on() {
    let mut postponed = Postponed::default();
    let now = Instant::now();
    let full: Vec<_> = (0..100).map(|n| sealed(1, n)).collect();
    let waits = full.iter().zip(1..).filter_map(|(letter, position)| {
        let refused = postponed.refused(letter, Code::MailboxFull, bulk(position), now);
        refused.wait
    });
    assert_eq!(waits.count(), 1, "one line in the log");
    assert!(!postponed.holds(&sealed(2, 0), bulk(101)));
    assert!(postponed.holds(&sealed(1, 100), bulk(102)));
    assert!(postponed.holds(&sealed(1, 100), bulk(102)), "counted once");
    assert_eq!(postponed.counts(), [(Code::MailboxFull, 101)].into());

    let later = now + Duration::from_secs(1);
    assert_eq!(postponed.due(later), [bulk(1)]);
    assert_eq!(postponed.due(later), [], "it is on its way");
    assert!(postponed.holds(&full[5], bulk(6)));
    assert_eq!(postponed.answered(&full[0]), [None, Some(1)]);
    assert!(!postponed.holds(&full[5], bulk(6)));
    postponed.settled();
    assert!(postponed.is_empty());
}

#[test]
fn what_was_on_its_way_when_the_connection_broke_is_due_again() {
    let (mut postponed, letter) = (Postponed::default(), sealed(1, 0));
    let now = Instant::now();
    postponed.refused(&letter, Code::Overloaded, bulk(3), now);
    assert!(postponed.holds(&sealed(2, 0), bulk(4)), "the whole home");
    assert!(postponed.heard(now), "CUS-6.3");
    assert_eq!(postponed.due(now), [bulk(3)]);
    postponed.interrupted(now);
    assert_eq!(postponed.counts(), [(Code::Overloaded, 0)].into());
    for position in [3, 4] {
        assert!(postponed.holds(&sealed(2, 0), bulk(position)));
    }
    assert_eq!(postponed.counts(), [(Code::Overloaded, 2)].into());
    assert!(postponed.next_due().is_some());
    let later = now + Duration::from_secs(1);
    assert_eq!(postponed.due(later), [bulk(3)]);
    assert_eq!(postponed.gone(bulk(3)), [None, Some(3)]);
}

#[test]
fn r15_no_more_reasons_are_kept_apart_than_the_limit() {
    let mut postponed = Postponed::default();
    let now = Instant::now();
    for n in 0..=REASONS_MAX as u64 + 10 {
        let letter = sealed(1, n);
        postponed.refused(&letter, Code::NotYetValid, bulk(n + 1), now);
    }
    assert_eq!(postponed.delays.len(), REASONS_MAX + 1);
    assert_eq!(
        postponed.counts(),
        [(Code::NotYetValid, REASONS_MAX as u64 + 11)].into()
    );
}

/// Two batches are on their way when the mailbox is found full, and more is read meanwhile.
#[test]
fn what_was_on_its_way_when_the_first_was_refused_is_counted_too() {
    let mut postponed = Postponed::default();
    let now = Instant::now();
    let letter = sealed(1, 0);
    postponed.refused(&letter, Code::MailboxFull, bulk(1), now);
    assert!(postponed.holds(&sealed(1, 3), bulk(3)));
    postponed.refused(&sealed(1, 2), Code::MailboxFull, bulk(2), now);
    assert_eq!(postponed.counts(), [(Code::MailboxFull, 3)].into());
    let later = now + Duration::from_secs(1);
    assert_eq!(postponed.due(later), [bulk(1)]);
    postponed.refused(&letter, Code::MailboxFull, bulk(1), later);
    assert_eq!(postponed.counts(), [(Code::MailboxFull, 3)].into());
}

/// R2, CUS-6.4: the first letter of an overloaded home is refused for another reason when it is tried again.
#[test]
fn what_is_refused_for_another_reason_frees_those_that_waited_with_it() {
    let mut postponed = Postponed::default();
    let now = Instant::now();
    let letter = sealed(1, 0);
    postponed.refused(&letter, Code::Overloaded, bulk(1), now);
    let other = sealed(2, 0);
    assert!(postponed.holds(&other, bulk(2)));
    let later = now + Duration::from_secs(1);
    assert_eq!(postponed.due(later), [bulk(1)]);
    let refused = postponed.refused(&letter, Code::MailboxFull, bulk(1), later);
    assert_eq!(refused.again, [None, Some(1)], "they are read again");
    assert!(!postponed.holds_everything(), "the home answers again");
    assert!(!postponed.holds(&other, bulk(2)), "another mailbox");
    assert!(postponed.holds(&letter, bulk(1)), "the full one");
}

/// CUS-6.4
#[test]
fn a_letter_that_is_due_for_two_reasons_is_due_once() {
    let mut postponed = Postponed::default();
    let now = Instant::now();
    let letter = sealed(1, 0);
    postponed.refused(&letter, Code::MailboxFull, bulk(1), now);
    postponed.refused(&letter, Code::QuotaExceeded, bulk(1), now);
    let later = now + Duration::from_secs(3);
    assert_eq!(postponed.due(later), [bulk(1)]);
}
