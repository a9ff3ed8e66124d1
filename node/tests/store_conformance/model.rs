//! Sequences of operations against a small model in memory. After every step everything that the store
//! says is compared with what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use pli_node::store::{
    AbsenceReason, Appended, CustodyState, Entry, Item, Lane, Outcome, PageBound, Report,
    Settlement, Store, Usage,
};
use proptest::prelude::*;

use crate::fixture::*;
use crate::reference::{ACCOUNTS, HOMES, IDS, Model, entry};
use crate::{Opener, fjall, fjall_small};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u64>),
    Settle(Vec<(u64, Outcome)>, bool),
    SettleReports(u8, usize),
    /// Hours pass.
    Expire(u64, usize),
    Compact,
    Reopen,
    /// The index is lost.
    Rebuild,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Delivered),
        3 => Just(Outcome::Retrieved),
        2 => (1_u32..9).prop_map(|code| Outcome::Refused { code }),
        2 => (1_u32..9).prop_map(|code| Outcome::Undeliverable { code }),
        2 => (1_u32..9).prop_map(|code| Outcome::GivenUp { code }),
        1 => Just(Outcome::Unchanged),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(0..IDS, 1..20).prop_map(Step::Append),
        5 => (prop::collection::vec((0..IDS, outcome()), 0..12), any::<bool>()).prop_map(|(items, report)| Step::Settle(items, report)),
        1 => (0..HOMES, 0_usize..3).prop_map(|(home, count)| Step::SettleReports(home, count)),
        3 => (0_u64..40, 1_usize..30).prop_map(|(hours, limit)| Step::Expire(hours, limit)),
        3 => Just(Step::Compact),
        2 => Just(Step::Reopen),
        1 => Just(Step::Rebuild),
    ]
}

struct Run {
    directory: tempfile::TempDir,
    opener: Opener,
    store: Option<Arc<dyn Store>>,
    model: Model,
}

impl Run {
    fn new(opener: Opener) -> Self {
        let directory = fast_directory();
        let store = Some(open(opener, directory.path()));
        Self {
            directory,
            opener,
            store,
            model: Model::default(),
        }
    }

    fn store(&self) -> &dyn Store {
        &**self.store.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(numbers) => self.append(numbers),
            Step::Settle(items, report) => self.settle(items, *report),
            Step::SettleReports(to, count) => {
                let reports = self.store().pending_reports(&home(*to), 0, ALL).unwrap();
                let positions: Vec<_> = reports
                    .iter()
                    .take(*count)
                    .map(|report| report.position)
                    .collect();
                self.store().settle_reports(&home(*to), &positions).unwrap();
                let waiting = self.model.reports.entry(*to).or_default();
                waiting.drain(..positions.len());
            }
            Step::Expire(hours, limit) => {
                self.model.now_hours += hours;
                self.expire(*limit);
            }
            Step::Compact => {
                self.store().compact().unwrap();
            }
            Step::Reopen => self.reopen(|_| ()),
            Step::Rebuild => {
                self.reopen(|directory| std::fs::remove_dir_all(directory.join("index")).unwrap());
                self.forget_what_a_rebuild_may_forget();
                self.expire(1_000);
                self.forget_what_a_rebuild_may_forget();
            }
        }
        self.compare();
    }

    fn append(&mut self, numbers: &[u64]) {
        let now = self.model.now();
        // The node lets nothing in that has expired.
        let numbers: Vec<_> = numbers
            .iter()
            .filter(|n| entry(**n, now).expires > now)
            .collect();
        let entries: Vec<_> = numbers.iter().map(|n| entry(**n, now)).collect();
        let outcomes = self.store().append(&entries).unwrap();
        for (n, outcome) in numbers.into_iter().zip(outcomes) {
            match (self.model.append(*n), outcome) {
                // The position in a queue is the engine's own choice.
                (Appended::New { seq: 0 }, Appended::New { .. }) => {}
                (expected, got) => assert_eq!(got, expected, "{n}"),
            }
        }
    }

    fn settle(&mut self, items: &[(u64, Outcome)], report: bool) {
        let now = self.model.now();
        let receipts = Bytes::from(format!("receipts of {} items", items.len()));
        let leaves = items
            .iter()
            .map(|(n, outcome)| (entry(*n, now).id, *outcome))
            .collect();
        let settlement = Settlement {
            receipts,
            items: leaves,
        };
        let to = (items.len() % usize::from(HOMES)) as u8;
        let expires = at_hour(self.model.now_hours + 30);
        let reports: Vec<_> = report
            .then(|| Report {
                destination: home(to),
                bytes: vec![7; items.len() + 1].into(),
                expires,
            })
            .into_iter()
            .collect();
        let settled = self
            .store()
            .settle(std::slice::from_ref(&settlement), &reports)
            .unwrap();
        let expected = self.model.settle(items, &settlement);
        assert_eq!((settled.applied, settled.ignored), expected);
        self.model.reports.entry(to).or_default().extend(reports);
    }

    fn expire(&mut self, limit: usize) {
        let now = self.model.now();
        let expected = self.model.expire();
        // Undelivered and untaken items come again and again, so the limit must leave room beyond them.
        let known = self.model.known.values();
        let untaken: BTreeSet<_> = known
            .filter(|known| known.state == CustodyState::Expired)
            .map(|known| known.entry.id)
            .collect();
        let limit = limit + expected.len() + untaken.len();
        loop {
            let round = self.store().expire(now, limit).unwrap();
            let undelivered: BTreeSet<_> = round.undelivered.iter().map(|due| due.id).collect();
            assert!(undelivered.is_subset(&expected));
            let again: BTreeSet<_> = round.untaken.iter().map(|letter| letter.id).collect();
            assert!(again.is_subset(&untaken));
            if !round.more && round.absent == 0 && round.forgotten == 0 {
                assert_eq!(undelivered, expected);
                assert_eq!(again, untaken);
                break;
            }
        }
    }

    fn reopen(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.store = None;
        meanwhile(self.directory.path());
        self.store = Some(open(self.opener, self.directory.path()));
    }

    // `Store::custody` promises no more of a letter that expired in its mailbox unsettled than its number, once the
    // index was rebuilt. Every other id must be there still; `compare` looks.
    fn forget_what_a_rebuild_may_forget(&mut self) {
        let store = self.store.as_ref().unwrap();
        self.model.known.retain(|_, known| {
            known.state != CustodyState::Expired
                || store.known(&[known.entry.id]).unwrap()[0].is_some()
        });
    }

    fn compare(&self) {
        let store = self.store();
        for n in 0..IDS {
            let id = entry(n, START).id;
            let known = self.model.known.get(&n);
            assert_eq!(
                store.known(&[id]).unwrap(),
                [known.map(|known| known.entry.accepted_at)],
                "{n}"
            );
            let custody = store.custody(&id).unwrap();
            assert_eq!(
                custody.as_ref().map(|custody| &custody.state),
                known.map(|known| &known.state),
                "{n}"
            );
            if let (Some(custody), Some(known)) = (custody, known) {
                assert_eq!(custody.evidence, known.evidence, "{n}");
                assert_eq!(
                    (custody.sender, custody.expires),
                    (service(), known.entry.expires)
                );
            }
        }
        for to in 0..ACCOUNTS {
            self.compare_mailbox(to);
        }
        for to in 0..HOMES {
            self.compare_destination(to);
        }
        assert_eq!(store.status().quarantined, 0);
    }

    fn compare_mailbox(&self, to: u8) {
        let expected = self
            .model
            .mailboxes
            .get(&to)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let store = self.store();
        let bound = PageBound {
            items: 1 + self.model.now_hours as usize % 9,
            bytes: 3_000,
        };
        let (mut after, mut items) = (0, Vec::new());
        loop {
            let page = store.read(&account(to), after, bound).unwrap();
            assert_eq!(page.latest_seq, expected.len() as u64);
            let Some(last) = page.items.last() else { break };
            after = last.seq;
            items.extend(page.items);
        }
        assert_eq!(items.len(), expected.len());
        let mut usage: BTreeMap<u8, Usage> = BTreeMap::new();
        for (at, (item, n)) in items.iter().zip(expected).enumerate() {
            assert_eq!(item.seq, at as u64 + 1);
            match n {
                None => assert_eq!(
                    item.item,
                    Item::Absent {
                        reason: AbsenceReason::Expired
                    }
                ),
                Some(n) => {
                    let Entry {
                        id,
                        bytes,
                        accepted_at: stored_at,
                        ..
                    } = self.model.known[n].entry.clone();
                    let taken = (self.model.known[n].evidence.iter())
                        .any(|kept| kept.outcome == Outcome::Retrieved);
                    let counted = u64::from(!taken);
                    let used = usage.entry((n % 4) as u8).or_default();
                    used.envelopes += counted;
                    used.bytes += counted * bytes.len() as u64;
                    assert_eq!(
                        item.item,
                        Item::Envelope {
                            id,
                            stored_at,
                            bytes
                        }
                    );
                }
            }
        }
        for mailbox_number in 0..4 {
            let expected = usage.get(&mailbox_number).copied().unwrap_or_default();
            assert_eq!(
                store.usage(&account(to), &mailbox(mailbox_number)).unwrap(),
                expected
            );
        }
    }

    fn compare_destination(&self, to: u8) {
        let store = self.store();
        let mut all = Vec::new();
        for lane in [Lane::Priority, Lane::Bulk] {
            let expected = self
                .model
                .queues
                .get(&(to, lane))
                .cloned()
                .unwrap_or_default();
            let ids: Vec<_> = expected
                .iter()
                .map(|n| self.model.known[n].entry.id)
                .collect();
            assert_eq!(waiting(store, to, lane), ids);
            all.push(expected);
        }
        let aside = self.model.aside.get(&to).cloned().unwrap_or_default();
        let got: BTreeSet<_> = store
            .set_aside(&home(to), 0, ALL)
            .unwrap()
            .items
            .into_iter()
            .map(|item| item.id)
            .collect();
        assert_eq!(
            got,
            aside.iter().map(|n| self.model.known[n].entry.id).collect()
        );
        let reports = self.model.reports.get(&to).cloned().unwrap_or_default();
        let got = store.pending_reports(&home(to), 0, ALL).unwrap();
        assert_eq!(
            got.iter()
                .map(|report| report.bytes.clone())
                .collect::<Vec<_>>(),
            reports
                .iter()
                .map(|report| report.bytes.clone())
                .collect::<Vec<_>>()
        );
        let state = store
            .destinations()
            .unwrap()
            .into_iter()
            .find(|state| state.destination == home(to));
        let entries = || all.iter().flatten().map(|n| &self.model.known[n].entry);
        let Some(state) = state else {
            assert!(entries().next().is_none() && aside.is_empty() && reports.is_empty());
            return;
        };
        assert_eq!(
            (state.priority, state.bulk),
            (all[0].len() as u64, all[1].len() as u64)
        );
        assert_eq!(
            state.bytes,
            entries().map(|entry| entry.bytes.len() as u64).sum::<u64>()
        );
        assert_eq!(
            (state.set_aside, state.reports),
            (aside.len() as u64, reports.len() as u64)
        );
        assert_eq!(state.oldest, entries().map(|entry| entry.accepted_at).min());
    }
}

fn run(opener: Opener, steps: &[Step]) {
    let mut run = Run::new(opener);
    for step in steps {
        run.step(step);
    }
}

/// Found by a long search: what settled an envelope must not leave the log before the envelope is forgotten
/// for good, though another one is overdue.
#[test]
fn a_forgotten_envelope_is_not_delivered_again_by_a_rebuild() {
    use Step::{Append, Compact, Expire, Rebuild, Settle};
    let steps = [
        Append(vec![21, 7, 22, 20, 31, 0, 36, 35]),
        Expire(11, 1),
        Append(vec![42, 14, 13, 41, 45, 17]),
        Append(vec![46, 10, 44, 29, 32, 39, 47, 24, 6, 38, 4, 27, 30, 9]),
        Append(vec![15]),
        Append(vec![25, 19, 12, 16]),
        Settle(
            vec![(0, Outcome::Delivered), (41, Outcome::Refused { code: 1 })],
            false,
        ),
        Expire(26, 1),
        Settle(vec![(20, Outcome::Delivered)], false),
        Compact,
        Expire(38, 1),
        Compact,
        Rebuild,
    ];
    run(fjall_small, &steps);
}

/// `PROPTEST_CASES` asks for a longer search.
fn config(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let cases = wanted.unwrap_or(cases);
    ProptestConfig {
        cases,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn any_operations_do_as_the_model_with_small_segments(steps in prop::collection::vec(step(), 1..60)) {
        run(fjall_small, &steps);
    }
}

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn any_operations_do_as_the_model(steps in prop::collection::vec(step(), 1..40)) {
        run(fjall, &steps);
    }
}
