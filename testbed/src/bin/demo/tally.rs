//! The count that the last line shows, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use pli_protocol::content::Content;
use pli_protocol::id::EnvelopeId;
use pli_testbed::ledger::Ledger;

/// One letter that a service wrote.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Which citizen it is for.
    pub(crate) citizen: usize,
    /// Who wrote it.
    pub(crate) service: &'static str,
    /// What it says.
    pub(crate) content: Content,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) ledger: Ledger,
    pub(crate) sent: BTreeMap<EnvelopeId, Sent>,
    /// Letters whose signature, recipient and words a device found to be as they were written.
    pub(crate) verified: usize,
    /// Hostile letters refused by the code that was expected.
    pub(crate) refused: usize,
    /// Hostile letters made.
    pub(crate) hostile: usize,
    /// Everything that is not as it should be.
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    /// Whether every number is what it must be.
    pub(crate) fn is_right(&self) -> bool {
        let balance = self.ledger.balance();
        let all = self.sent.len();
        self.wrong.is_empty()
            && balance.is_right()
            && all > 0
            && balance.acknowledged == all
            && balance.delivered == all
            && self.verified == all
            && self.refused == self.hostile
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let balance = self.ledger.balance();
        write!(
            f,
            "demo: sent={} delivered={} verified={} refused={} lost={}",
            self.sent.len(),
            balance.delivered,
            self.verified,
            self.refused,
            balance.lost.len()
        )
    }
}
