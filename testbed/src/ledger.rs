//! What was promised, kept outside the programs under test: the ids that a node acknowledged, and what became of them.
//!
//! A run is right when every acknowledged id was delivered or reported, and nothing was delivered that was not sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pli_protocol::id::EnvelopeId;

/// The fates of envelopes, by id.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeSet<EnvelopeId>,
    acknowledged: BTreeSet<EnvelopeId>,
    /// How many times each was delivered to a device.
    delivered: BTreeMap<EnvelopeId, u64>,
    reported: BTreeSet<EnvelopeId>,
}

/// What [`Ledger::balance`] found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Balance {
    /// Handed to a node at least once.
    pub sent: usize,
    /// Acknowledged by it.
    pub acknowledged: usize,
    /// Delivered to a device.
    pub delivered: usize,
    /// Reported undeliverable.
    pub reported: usize,
    /// Acknowledged, and neither delivered nor reported.
    pub lost: Vec<EnvelopeId>,
    /// Delivered more than once.
    pub doubled: Vec<EnvelopeId>,
    /// Delivered, but never sent.
    pub invented: Vec<EnvelopeId>,
}

impl Balance {
    /// Nothing lost, doubled or invented.
    pub fn is_right(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.invented.is_empty()
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sent={} acknowledged={} delivered={} reported={} lost={} doubled={} invented={}",
            self.sent,
            self.acknowledged,
            self.delivered,
            self.reported,
            self.lost.len(),
            self.doubled.len(),
            self.invented.len()
        )
    }
}

impl Ledger {
    /// Before it is handed to a node.
    pub fn sent(&mut self, id: EnvelopeId) {
        self.sent.insert(id);
    }

    /// A node's signed acknowledgement came back.
    pub fn acknowledged(&mut self, id: EnvelopeId) {
        self.acknowledged.insert(id);
    }

    /// A device has it.
    pub fn delivered(&mut self, id: EnvelopeId) {
        *self.delivered.entry(id).or_default() += 1;
    }

    /// A signed receipt says that it will not be delivered.
    pub fn reported(&mut self, id: EnvelopeId) {
        self.reported.insert(id);
    }

    /// Acknowledged ids that no device has and nobody reported, for those who wait.
    pub fn outstanding(&self) -> usize {
        self.open().count()
    }

    fn open(&self) -> impl Iterator<Item = EnvelopeId> + '_ {
        let settled =
            |id: &EnvelopeId| self.delivered.contains_key(id) || self.reported.contains(id);
        self.acknowledged
            .iter()
            .filter(move |id| !settled(id))
            .copied()
    }

    /// Draws the line.
    pub fn balance(&self) -> Balance {
        Balance {
            sent: self.sent.len(),
            acknowledged: self.acknowledged.len(),
            delivered: self.delivered.len(),
            reported: self.reported.len(),
            lost: self.open().collect(),
            doubled: self
                .delivered
                .iter()
                .filter(|(_, times)| **times > 1)
                .map(|(id, _)| *id)
                .collect(),
            invented: self
                .delivered
                .keys()
                .filter(|id| !self.sent.contains(id))
                .copied()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledged_id_must_end_somewhere() {
        let id = |byte: u8| EnvelopeId::new([byte; 32]);
        let mut ledger = Ledger::default();
        for byte in 1..=4 {
            ledger.sent(id(byte));
        }
        for byte in 1..=3 {
            ledger.acknowledged(id(byte));
        }
        ledger.delivered(id(1));
        ledger.reported(id(2));
        assert_eq!(ledger.balance().lost, [id(3)]);
        assert_eq!(ledger.outstanding(), 1);
        ledger.delivered(id(3));
        assert!(
            ledger.balance().is_right(),
            "the fourth was never acknowledged: it may be absent"
        );
        ledger.delivered(id(3));
        ledger.delivered(id(9));
        let balance = ledger.balance();
        assert_eq!(
            (balance.doubled, balance.invented),
            (vec![id(3)], vec![id(9)])
        );
    }
}
