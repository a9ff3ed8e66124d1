//! The model: what a store does, in memory and without any cleverness.

use std::collections::{BTreeMap, BTreeSet};

use pli_node::store::{
    Appended, CustodyState, Entry, Evidence, Lane, Outcome, Place, Report, Settlement,
};
use pli_protocol::id::{EnvelopeId, Timestamp};

use crate::fixture::*;

pub(crate) const IDS: u64 = 48;
pub(crate) const ACCOUNTS: u8 = 3;
pub(crate) const HOMES: u8 = 2;
const RETENTION_HOURS: u64 = 24;

/// Envelope `n` always has the same place and lifetime.
pub(crate) fn entry(n: u64, now: Timestamp) -> Entry {
    let place = match n % 5 {
        0 | 1 => Place::Queue {
            destination: home((n % u64::from(HOMES)) as u8),
            lane: if n.is_multiple_of(7) {
                Lane::Priority
            } else {
                Lane::Bulk
            },
        },
        _ => Place::Mailbox {
            account: account((n % u64::from(ACCOUNTS)) as u8),
            mailbox: mailbox((n % 4) as u8),
        },
    };
    let (id, bytes) = envelope(n, 60 + (n as usize * 37) % 2_000);
    Entry {
        id,
        bytes,
        accepted_at: now,
        expires: at_hour(10 + n % 60),
        sender: service(),
        place,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) entry: Entry,
    pub(crate) state: CustodyState,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) in_mailbox: Option<(u8, usize)>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) now_hours: u64,
    pub(crate) known: BTreeMap<u64, Known>,
    /// Per account, by sequence number - 1.
    pub(crate) mailboxes: BTreeMap<u8, Vec<Option<u64>>>,
    /// Per destination and lane, in order.
    pub(crate) queues: BTreeMap<(u8, Lane), Vec<u64>>,
    pub(crate) aside: BTreeMap<u8, Vec<u64>>,
    pub(crate) reports: BTreeMap<u8, Vec<Report>>,
}

impl Model {
    /// A little after the full hour, so that no bucket of the expiry index is only half over.
    pub(crate) fn now(&self) -> Timestamp {
        at_hour(self.now_hours).plus_ms(5 * 60_000)
    }

    pub(crate) fn append(&mut self, n: u64) -> Appended {
        if let Some(known) = self.known.get(&n) {
            return Appended::Duplicate {
                first_accepted_at: known.entry.accepted_at,
            };
        }
        let entry = entry(n, self.now());
        let (state, in_mailbox, appended) = match &entry.place {
            Place::Mailbox { account, .. } => {
                let to = (n % u64::from(ACCOUNTS)) as u8;
                let items = self.mailboxes.entry(to).or_default();
                items.push(Some(n));
                let seq = items.len() as u64;
                (
                    CustodyState::Stored {
                        account: *account,
                        seq,
                    },
                    Some((to, items.len() - 1)),
                    Appended::New { seq },
                )
            }
            Place::Queue { destination, lane } => {
                self.queues
                    .entry(((n % u64::from(HOMES)) as u8, *lane))
                    .or_default()
                    .push(n);
                let state = CustodyState::Queued {
                    destination: destination.clone(),
                    lane: *lane,
                };
                (state, None, Appended::New { seq: 0 })
            }
        };
        self.known.insert(
            n,
            Known {
                entry,
                state,
                evidence: Vec::new(),
                in_mailbox,
            },
        );
        appended
    }

    pub(crate) fn settle(
        &mut self,
        items: &[(u64, Outcome)],
        settlement: &Settlement,
    ) -> (usize, usize) {
        let (mut applied, mut ignored) = (0, 0);
        for (index, (n, outcome)) in items.iter().enumerate() {
            if *outcome == Outcome::Unchanged {
                continue;
            }
            let Some(known) = self.known.get_mut(n) else {
                ignored += 1;
                continue;
            };
            let allowed = match &known.state {
                CustodyState::Queued { .. } => true,
                CustodyState::Stored { .. } | CustodyState::Delivered | CustodyState::Expired => {
                    matches!(outcome, Outcome::Retrieved | Outcome::Undeliverable { .. })
                }
                CustodyState::Retrieved | CustodyState::Undeliverable { .. } => {
                    let here = matches!(known.entry.place, Place::Mailbox { .. });
                    let mut before = known.evidence.iter().map(|kept| kept.outcome);
                    match outcome {
                        Outcome::Delivered => {
                            !here && !before.any(|outcome| outcome == Outcome::Delivered)
                        }
                        Outcome::Retrieved => known.state != CustodyState::Retrieved,
                        _ => false,
                    }
                }
                _ => false,
            };
            if !allowed {
                ignored += 1;
                continue;
            }
            applied += 1;
            if let CustodyState::Queued { .. } = known.state {
                let to = (n % u64::from(HOMES)) as u8;
                for queue in self.queues.values_mut() {
                    queue.retain(|waiting| waiting != n);
                }
                if let Outcome::Refused { .. } = outcome {
                    self.aside.entry(to).or_default().push(*n);
                }
            }
            let evidence = Evidence {
                outcome: *outcome,
                index,
                settlement: settlement.clone(),
            };
            let last = known.evidence.last().map(|kept| kept.outcome);
            let later = matches!(
                last,
                Some(Outcome::Retrieved | Outcome::Undeliverable { .. })
            );
            if *outcome == Outcome::Delivered && later {
                known.evidence.insert(0, evidence);
                continue;
            }
            known.state = match *outcome {
                Outcome::Delivered => CustodyState::Delivered,
                Outcome::Retrieved => CustodyState::Retrieved,
                Outcome::Refused { code } => CustodyState::Refused { code },
                Outcome::Undeliverable { code } | Outcome::GivenUp { code } => {
                    CustodyState::Undeliverable { code }
                }
                Outcome::Unchanged => unreachable!(),
            };
            known.evidence.push(evidence);
        }
        (applied, ignored)
    }

    /// Everything that is due; returns what was not delivered.
    pub(crate) fn expire(&mut self) -> BTreeSet<EnvelopeId> {
        let now = self.now();
        let mut undelivered = BTreeSet::new();
        let mut forgotten = Vec::new();
        for (n, known) in &mut self.known {
            if known.entry.expires > now {
                continue;
            }
            if let CustodyState::Queued { .. } = known.state {
                undelivered.insert(known.entry.id);
                continue;
            }
            if let Some((to, at)) = known.in_mailbox.take() {
                self.mailboxes.get_mut(&to).unwrap()[at] = None;
                if let CustodyState::Stored { .. } = known.state {
                    known.state = CustodyState::Expired;
                }
            }
            for aside in self.aside.values_mut() {
                aside.retain(|kept| kept != n);
            }
            if known.entry.expires.plus_ms(RETENTION_HOURS * HOUR_MS) <= now {
                forgotten.push(*n);
            }
        }
        for n in forgotten {
            self.known.remove(&n);
        }
        for reports in self.reports.values_mut() {
            reports.retain(|report| report.expires > now);
        }
        undelivered
    }
}
