//! Letters that were queued a moment ago. Their index rows stay here, out of fjall, and so do their bytes.
//!
//! Most letters are settled within a second of being queued. Such a letter then costs the index one row, of what
//! became of it, in place of three and a tombstone, and forwarding it reads nothing back from the log.
//!
//! A crash loses what is here. The index says from where on the log may hold letters without a row
//! ([`Young::first`]); recovery reads that stretch and gives them their rows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;

use bytes::Bytes;
use pli_protocol::id::EnvelopeId;

use super::index::Space;

/// Letters here at most; about 300 bytes each besides their own. Whatever comes then is settled later than these.
const LETTERS_MAX: usize = 65_536;
/// Bytes of letters kept here at most. Others are read from the log.
const BYTES_MAX: usize = 32 << 20;
/// Rounds of expiry, one a second, that a letter stays here, and up to twice as many.
const ROUNDS: u32 = 8;

/// A letter's rows, and its bytes if there is room.
#[derive(Clone, Debug)]
pub(super) struct YoungLetter {
    pub(super) id: EnvelopeId,
    /// Its row in [`Space::Ids`].
    pub(super) known: Bytes,
    /// Its key in [`Space::Queue`], and its row there.
    pub(super) key: Vec<u8>,
    pub(super) waiting: Bytes,
    pub(super) bytes: Option<Bytes>,
    /// Segment and offset of the group in which it stands.
    pub(super) group: (u32, u64),
}

/// Which letters get their rows in fjall with a change.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Leaving {
    #[default]
    None,
    /// Those that have been here for [`ROUNDS`] such changes.
    Aged,
    All,
}

/// The letters, by id, by key, and in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Young {
    letters: HashMap<EnvelopeId, YoungLetter>,
    keys: BTreeMap<Vec<u8>, EnvelopeId>,
    /// Some have left since.
    order: VecDeque<(EnvelopeId, (u32, u64))>,
    bytes: usize,
    /// So many at the front of `order` leave with the last of the rounds.
    aged: usize,
    round: u32,
}

impl Young {
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Option<Bytes> {
        match space {
            Space::Ids => {
                let id = EnvelopeId::from_slice(key).ok()?;
                self.letters.get(&id).map(|letter| letter.known.clone())
            }
            Space::Queue => {
                let id = self.keys.get(key)?;
                self.letters.get(id).map(|letter| letter.waiting.clone())
            }
            _ => None,
        }
    }

    /// The letters whose keys are in a range, ascending.
    pub(super) fn range(
        &self,
        keys: RangeInclusive<Vec<u8>>,
    ) -> impl Iterator<Item = &YoungLetter> {
        self.keys.range(keys).map(|(_, id)| &self.letters[id])
    }

    /// Gives the letter back if there is no room: the ones that are here will be settled first.
    pub(super) fn insert(&mut self, mut letter: YoungLetter) -> Option<YoungLetter> {
        if self.order.len() >= LETTERS_MAX {
            return Some(letter);
        }
        let length = letter.bytes.as_ref().map_or(0, Bytes::len);
        if self.bytes + length > BYTES_MAX {
            letter.bytes = None;
        } else {
            self.bytes += length;
        }
        self.order.push_back((letter.id, letter.group));
        self.keys.insert(letter.key.clone(), letter.id);
        self.letters.insert(letter.id, letter);
        None
    }

    pub(super) fn take(&mut self, id: &EnvelopeId) -> Option<YoungLetter> {
        let letter = self.letters.remove(id)?;
        self.keys.remove(&letter.key);
        self.bytes -= letter.bytes.as_ref().map_or(0, Bytes::len);
        Some(letter)
    }

    pub(super) fn take_by_key(&mut self, key: &[u8]) -> Option<YoungLetter> {
        let id = *self.keys.get(key)?;
        self.take(&id)
    }

    /// The letters that leave, in the order of the log.
    pub(super) fn leave(&mut self, which: Leaving) -> Vec<YoungLetter> {
        let leaving = match which {
            Leaving::None => 0,
            Leaving::Aged => self.next_round(),
            Leaving::All => self.order.len(),
        };
        let left = (0..leaving).filter_map(|_| self.pop()).collect();
        // Whoever left from the front is not looked at again.
        while let Some((id, _)) = self.order.front()
            && !self.letters.contains_key(id)
        {
            self.pop();
        }
        left
    }

    /// How many leave with this round.
    fn next_round(&mut self) -> usize {
        self.round = (self.round + 1) % ROUNDS;
        if self.round > 0 {
            return 0;
        }
        let leaving = self.aged;
        self.aged = self.order.len();
        leaving
    }

    fn pop(&mut self) -> Option<YoungLetter> {
        let (id, _) = self.order.pop_front()?;
        self.aged = self.aged.saturating_sub(1);
        self.take(&id)
    }

    /// The group of the first letter here.
    pub(super) fn first(&self) -> Option<(u32, u64)> {
        self.order.front().map(|&(_, group)| group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: u16, length: usize) -> YoungLetter {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        YoungLetter {
            id: EnvelopeId::new(id),
            known: Bytes::from_static(b"known"),
            key: number.to_be_bytes().to_vec(),
            waiting: Bytes::from_static(b"waiting"),
            bytes: Some(vec![0; length].into()),
            group: (1, u64::from(number)),
        }
    }

    fn aged(young: &mut Young) -> Vec<u64> {
        let rounds = (0..ROUNDS).flat_map(|_| young.leave(Leaving::Aged));
        rounds.map(|letter| letter.group.1).collect()
    }

    #[test]
    fn letters_that_stay_for_long_leave_in_the_order_of_the_log() {
        let mut young = Young::default();
        for number in 0..4 {
            assert!(young.insert(letter(number, 1)).is_none());
        }
        assert_eq!(aged(&mut young), [0; 0], "all are new");
        young.insert(letter(4, 1));
        young.take(&letter(0, 1).id).unwrap();
        young.take_by_key(&letter(2, 1).key).unwrap();
        assert!(young.leave(Leaving::None).is_empty());
        assert_eq!(young.first(), Some((1, 1)));
        assert_eq!(aged(&mut young), [1, 3]);
        assert_eq!(aged(&mut young), [4]);
        assert_eq!((young.first(), young.bytes), (None, 0));
    }

    #[test]
    fn one_letter_more_than_there_is_room_for_is_given_back() {
        let mut young = Young::default();
        for number in 0..LETTERS_MAX {
            assert!(young.insert(letter(number as u16, 0)).is_none());
        }
        let more = letter(0, 7);
        assert_eq!(young.insert(more.clone()).unwrap().bytes, more.bytes);
        assert_eq!(young.leave(Leaving::All).len(), LETTERS_MAX);
        assert!(young.insert(more).is_none());
    }

    #[test]
    fn bytes_are_kept_up_to_the_bound() {
        let mut young = Young::default();
        young.insert(letter(1, BYTES_MAX));
        young.insert(letter(2, 1));
        let kept = |young: &Young| {
            young
                .range(vec![0; 2]..=vec![9; 2])
                .map(|letter| letter.bytes.is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(&young), [true, false]);
        young.take(&letter(1, 0).id).unwrap();
        young.insert(letter(3, 1));
        assert_eq!(kept(&young), [false, true]);
        assert_eq!(
            young.get(Space::Queue, &[0, 3]),
            Some(Bytes::from_static(b"waiting"))
        );
        assert_eq!(young.get(Space::Queue, &[0, 1]), None);
    }
}
