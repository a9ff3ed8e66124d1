//! What may follow what in the life of an envelope (CUS-6.6, CUS-7.5, CUS-8.2).

use pli_protocol::limits::RECEIPTS_PER_ENVELOPE_MAX;

use super::known::{EvidenceRef, Known, Placed, State};
use crate::store::Outcome;

impl Known {
    /// May this outcome follow? The first final one stands.
    pub(super) fn may_become(&self, outcome: Outcome) -> bool {
        let queued = matches!(self.meta.place, Placed::Queue { .. });
        self.evidence.len() < RECEIPTS_PER_ENVELOPE_MAX
            && match (self.state, outcome) {
                (_, Outcome::Unchanged) => false,
                (State::Held, Outcome::Retrieved | Outcome::Undeliverable { .. }) => true,
                (State::Held, _) => queued,
                (
                    State::After(Outcome::Delivered) | State::Expired,
                    Outcome::Retrieved | Outcome::Undeliverable { .. },
                ) => true,
                // CUS-8.2: what a device has was told before the home's own receipt was written down. They come on ways
                // of their own.
                (
                    State::After(
                        Outcome::Retrieved
                        | Outcome::Undeliverable { .. }
                        | Outcome::GivenUp { .. },
                    ),
                    Outcome::Delivered,
                ) => queued && !self.was(Outcome::Delivered),
                // CUS-7.5: a device that had it in time says so late.
                (
                    State::After(Outcome::Undeliverable { .. } | Outcome::GivenUp { .. }),
                    Outcome::Retrieved,
                ) => true,
                _ => false,
            }
    }

    /// Counts against its mailbox's room: it is there, and no device has taken it.
    pub(super) fn takes_room(&self) -> bool {
        self.kept && !self.was(Outcome::Retrieved)
    }

    fn was(&self, outcome: Outcome) -> bool {
        self.evidence.iter().any(|kept| kept.outcome == outcome)
    }

    /// Of two outcomes in the wrong order, the later step stays the last thing known. A home that took what this node
    /// had given up knows better.
    pub(super) fn become_settled(&mut self, evidence: EvidenceRef) {
        let later = matches!(
            self.state,
            State::After(Outcome::Retrieved | Outcome::Undeliverable { .. })
        );
        if later && evidence.outcome == Outcome::Delivered {
            self.evidence.insert(0, evidence);
            return;
        }
        self.state = State::After(evidence.outcome);
        self.evidence.push(evidence);
    }
}
