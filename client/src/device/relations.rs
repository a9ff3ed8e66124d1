//! Relations: which letters of an inbox repeat or replace one another.
//!
//! Few do, so few are remembered: first all letters are gone through by fingerprints of eight bytes,
//! then those alone are verified that have one in common. That two others have it in common too costs
//! a verification and changes nothing.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use pli_protocol::envelope::{Header, Letter, Sender};
use pli_protocol::id::EnvelopeId;

use super::cursor::Body;
use super::inbox::{Entry, Inbox};
use super::look::Shown;

/// A letter replaces the earlier ones of the same sender to the same mailbox with the same key.
type ReplacementKey = (Sender, [u8; 16], [u8; 16]);

/// What is found more than once, so far by what the letters say of themselves.
#[derive(Debug)]
pub(super) struct Suspects {
    hasher: RandomState,
    /// Of the ids and the replacement keys.
    twice: HashSet<u64>,
}

impl Suspects {
    pub(super) fn is_empty(&self) -> bool {
        self.twice.is_empty()
    }

    pub(super) fn contains(&self, entry: &Entry) -> bool {
        fingerprints(&self.hasher, entry).any(|print| self.twice.contains(&print))
    }
}

fn fingerprints(hasher: &RandomState, entry: &Entry) -> impl Iterator<Item = u64> {
    let letter = match &entry.numbered.body {
        Body::Envelope { encoded, .. } => Letter::decode(encoded.clone()).ok(),
        Body::Expired | Body::Damaged | Body::Skipped { .. } => None,
    };
    let id = letter.as_ref().map(|letter| hasher.hash_one(letter.id()));
    let key = letter.as_ref().and_then(|letter| key(letter.header()));
    [id, key.map(|key| hasher.hash_one(key))]
        .into_iter()
        .flatten()
}

fn key(header: &Header) -> Option<ReplacementKey> {
    let key = header.supersedes?;
    let mailbox = *header.recipient.mailbox.as_bytes();
    Some((header.sender.clone(), mailbox, key))
}

/// What the verified letters among the suspects are to one another.
#[derive(Debug, Default)]
pub(super) struct Relations {
    /// The first number of each.
    first: HashMap<EnvelopeId, u64>,
    /// The last number with each key.
    latest: HashMap<ReplacementKey, u64>,
    replaced_by: HashMap<u64, u64>,
}

impl Relations {
    /// Goes through the whole inbox once.
    pub(super) fn suspects(inbox: &Inbox) -> Suspects {
        let hasher = RandomState::new();
        let (mut once, mut twice) = (HashSet::new(), HashSet::new());
        for entry in inbox.entries().flatten() {
            for print in fingerprints(&hasher, &entry) {
                if !once.insert(print) {
                    twice.insert(print);
                }
            }
        }
        Suspects { hasher, twice }
    }

    /// Takes the next suspect in, in the order of the numbers. What is not verified relates to nothing.
    pub(super) fn learn(&mut self, shown: &Shown) {
        let seq = shown.entry.numbered.seq;
        let Some(letter) = shown.verified() else {
            return;
        };
        if *self.first.entry(letter.id()).or_insert(seq) < seq {
            return;
        }
        if let Some(key) = key(letter.header())
            && let Some(earlier) = self.latest.insert(key, seq)
        {
            self.replaced_by.insert(earlier, seq);
        }
    }

    /// Says what was learnt of these letters.
    pub(super) fn tell(&self, shown: &mut [Shown]) {
        for letter in shown {
            let seq = letter.entry.numbered.seq;
            let Some(id) = letter.verified().map(|verified| verified.id()) else {
                continue;
            };
            letter.repeats = self.first.get(&id).copied().filter(|first| *first < seq);
            letter.superseded_by = self.replaced_by.get(&seq).copied();
        }
    }
}
