//! What bundles prove of logs: heads that they must have grown from, and entries that must stand in them.

use std::collections::BTreeMap;

use pli_protocol::evidence::{Entry, Noted, Origin};
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::merkle::Hash;

/// A signed head, and the entries that were proven by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Claim {
    pub(super) head: Noted,
    leaves: BTreeMap<u64, Hash>,
    /// Whether the log was found to have grown from it: what is kept of the log has done so too then.
    held: bool,
}

impl Claim {
    pub(super) fn size(&self) -> u64 {
        self.head.checkpoint().size
    }

    /// The numbers of the entries.
    pub(super) fn places(&self) -> impl Iterator<Item = u64> {
        self.leaves.keys().copied()
    }

    /// The first place that a reading of a log must reach back to.
    pub(super) fn begins(&self) -> u64 {
        self.places().next().unwrap_or_default()
    }

    /// How many of its entries are not these.
    pub(super) fn lost(&self, leaves: &BTreeMap<u64, Hash>) -> usize {
        let lost = |(number, leaf): &(&u64, &Hash)| leaves.get(number) != Some(leaf);
        self.leaves.iter().filter(lost).count()
    }
}

/// What bundles prove of each log.
#[derive(Clone, Debug, Default)]
pub struct Claims(BTreeMap<Origin, Vec<Claim>>);

impl Claims {
    /// Takes in that the entry of this number is in a head whose signature was verified.
    pub fn add(&mut self, head: &Noted, number: u64, entry: &Entry) {
        let claims = self.0.entry(head.checkpoint().origin.clone()).or_default();
        let same = |claim: &&mut Claim| claim.head.checkpoint() == head.checkpoint();
        match claims.iter_mut().find(same) {
            // The root that was found stands for every entry under it.
            Some(claim) => {
                claim.leaves.insert(number, entry.leaf());
            }
            None => claims.push(Claim {
                head: head.clone(),
                leaves: BTreeMap::from([(number, entry.leaf())]),
                held: false,
            }),
        }
    }

    /// Whose logs they are about, ascending.
    pub fn authorities(&self) -> impl Iterator<Item = &AuthorityId> {
        self.0.keys().map(|origin| &origin.authority)
    }

    pub(super) fn starts(&self, authority: &AuthorityId) -> impl Iterator<Item = Timestamp> {
        let of_it = self
            .0
            .keys()
            .filter(move |origin| origin.authority == *authority);
        of_it.map(|origin| origin.start)
    }

    /// Those that are not known to be held.
    pub(super) fn open(&self, origin: &Origin) -> Vec<Claim> {
        let claims = self.0.get(origin).into_iter().flatten();
        claims.filter(|claim| !claim.held).cloned().collect()
    }

    pub(super) fn hold(&mut self, origin: &Origin) {
        let claims = self.0.get_mut(origin).into_iter().flatten();
        claims.for_each(|claim| claim.held = true);
    }
}
