//! What nothing needs any more, per segment of the log. In memory; the bytes are kept in the index too.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::format::Position;

/// Segments whose dead records are known one by one: looking each up again costs compaction more than
/// moving what lives. At most 50,000 letters of 2.6 KiB and 4 bytes for each, so 6 MiB.
const LISTED_SEGMENTS_MAX: usize = 32;
/// A segment is compacted when at least one part in so many is dead: the log stays below 4/3 of what is needed.
const DEAD_SHARE: u64 = 4;
/// More than one part in so many died between two looks: it is better left until most of it has.
const DYING_SHARE: u64 = 64;

/// The dead records of the log.
#[derive(Debug, Default)]
pub(super) struct Dead {
    bytes: HashMap<u32, u64>,
    /// Offsets. Incomplete; whatever is listed is dead.
    listed: BTreeMap<u32, Vec<u32>>,
    /// The bytes at the last look.
    seen: HashMap<u32, u64>,
}

impl Dead {
    /// The record at this position is not needed any more.
    pub(super) fn bury(&mut self, at: Position) {
        *self.bytes.entry(at.segment).or_default() += u64::from(at.length);
        self.listed.entry(at.segment).or_default().push(at.offset);
        if self.listed.len() > LISTED_SEGMENTS_MAX {
            self.listed.pop_first();
        }
    }

    pub(super) fn bytes(&self, segment: u32) -> u64 {
        self.bytes.get(&segment).copied().unwrap_or_default()
    }

    /// As the index remembers it.
    pub(super) fn load(&mut self, segment: u32, bytes: u64) {
        self.bytes.insert(segment, bytes);
    }

    /// Offsets of records of a segment that are certainly dead.
    pub(super) fn listed(&self, segment: u32) -> HashSet<u32> {
        self.listed
            .get(&segment)
            .map(|offsets| offsets.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The segment is gone.
    pub(super) fn remove(&mut self, segment: u32) {
        self.bytes.remove(&segment);
        self.listed.remove(&segment);
        self.seen.remove(&segment);
    }

    /// The segment most worth compacting, of these with their lengths.
    pub(super) fn worst(&mut self, segments: impl Iterator<Item = (u32, u64)>) -> Option<u32> {
        let worth = |(segment, length): (u32, u64)| {
            let dead = self.bytes.get(&segment).copied().unwrap_or_default();
            let seen = self.seen.insert(segment, dead).unwrap_or(dead);
            let is_dying = (dead - seen.min(dead)) * DYING_SHARE > length;
            let most_is_dead = dead * DEAD_SHARE >= length * (DEAD_SHARE - 1);
            (dead * DEAD_SHARE >= length && (most_is_dead || !is_dying))
                .then(|| (dead * 1_000 / length.max(1), segment))
        };
        segments.filter_map(worth).max().map(|(_, segment)| segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u32, offset: u32, length: u32) -> Position {
        Position {
            segment,
            offset,
            length,
        }
    }

    #[test]
    fn a_segment_that_is_dying_waits_until_most_of_it_is_dead() {
        let mut dead = Dead::default();
        let segments = || [(1, 1_000), (2, 1_000)].into_iter();
        dead.bury(at(1, 0, 249));
        assert_eq!(dead.worst(segments()), None, "a quarter is not dead yet");
        dead.bury(at(1, 249, 100));
        assert_eq!(dead.worst(segments()), None, "it is dying");
        assert_eq!(dead.worst(segments()), Some(1), "it has calmed down");
        dead.bury(at(2, 0, 750));
        assert_eq!(dead.worst(segments()), Some(2), "most is dead");
        assert_eq!(dead.listed(1), HashSet::from([0, 249]));
        dead.remove(2);
        assert_eq!(dead.bytes(2), 0);
        assert_eq!(dead.listed(2), HashSet::new());
    }

    #[test]
    fn only_the_newest_segments_are_listed() {
        let mut dead = Dead::default();
        for segment in 0..=LISTED_SEGMENTS_MAX as u32 {
            dead.bury(at(segment, 7, 1));
        }
        assert_eq!(dead.listed(0), HashSet::new());
        assert_eq!(dead.listed(1), HashSet::from([7]));
        assert_eq!(dead.bytes(0), 1);
    }
}
