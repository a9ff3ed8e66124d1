//! What nothing needs any more, per segment of the log. In memory; the bytes are kept in the index too.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::format::Position;

/// Segments whose dead records are known one by one: looking each up again costs compaction more than
/// moving what lives. At most 50,000 letters of 2.6 KiB and 4 bytes for each, so 6 MiB.
const LISTED_SEGMENTS_MAX: usize = 32;
/// One part in so many of the log may be dead: it stays below 4/3 of what is needed. Compacting sooner would move
/// letters that are about to be settled themselves.
const DEAD_SHARE: u64 = 4;

/// The dead records of the log.
#[derive(Debug, Default)]
pub(super) struct Dead {
    bytes: HashMap<u32, u64>,
    /// Offsets. Incomplete; whatever is listed is dead.
    listed: BTreeMap<u32, Vec<u32>>,
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
    }

    /// The segment to compact, of these with their lengths: the one with the greatest part dead, when too
    /// much of them all is.
    pub(super) fn worst(&self, segments: &[(u32, u64)]) -> Option<u32> {
        let length: u64 = segments.iter().map(|(_, length)| length).sum();
        let dead: u64 = segments
            .iter()
            .map(|&(segment, _)| self.bytes(segment))
            .sum();
        if dead == 0 || dead * DEAD_SHARE < length {
            return None;
        }
        let share = |&(segment, length): &(u32, u64)| self.bytes(segment) * 1_000 / length.max(1);
        let worst = segments.iter().max_by_key(|segment| share(segment));
        worst.map(|&(segment, _)| segment)
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
    fn the_worst_segment_is_compacted_when_a_quarter_of_the_log_is_dead() {
        let mut dead = Dead::default();
        let segments = [(1, 1_000), (2, 1_000)];
        assert_eq!(dead.worst(&[]), None);
        dead.bury(at(1, 0, 249));
        dead.bury(at(2, 0, 250));
        assert_eq!(dead.worst(&segments), None, "not a quarter");
        dead.bury(at(1, 249, 2));
        assert_eq!(dead.worst(&segments), Some(1));
        assert_eq!(dead.listed(1), HashSet::from([0, 249]));
        dead.remove(1);
        assert_eq!(dead.bytes(1), 0);
        assert_eq!(dead.listed(1), HashSet::new());
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
