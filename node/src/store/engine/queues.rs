//! How much waits where. In memory; counted again from the index at every start.

use std::collections::BTreeMap;

use pli_protocol::id::AuthorityId;

use super::keys::lane_byte;
use crate::store::{Lane, Limits};

/// The counters of all destinations. A destination with nothing left is dropped, so the map is bounded
/// by what the disk holds.
#[derive(Debug, Default)]
pub(super) struct Queues {
    pub(super) destinations: BTreeMap<AuthorityId, Depth>,
    pub(super) bytes: u64,
}

/// The counters of one destination.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Depth {
    pub(super) lanes: [u64; 2],
    pub(super) bytes: u64,
    pub(super) aside: u64,
    pub(super) reports: u64,
    /// Nothing waits below these positions. Looking for the oldest from here does not walk over all the
    /// entries that have left.
    floors: [u64; 2],
}

impl Depth {
    pub(super) fn floor(&self, lane: Lane) -> u64 {
        self.floors[usize::from(lane_byte(lane))]
    }

    fn is_empty(&self) -> bool {
        self.envelopes() == 0 && self.aside == 0 && self.reports == 0
    }

    pub(super) fn envelopes(&self) -> u64 {
        self.lanes.iter().sum()
    }
}

impl Queues {
    pub(super) fn depth(&self, destination: &AuthorityId) -> Depth {
        self.destinations
            .get(destination)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn add(&mut self, destination: &AuthorityId, lane: Lane, position: u64, bytes: u64) {
        self.bytes += bytes;
        self.update(destination, |depth| {
            let lane = usize::from(lane_byte(lane));
            depth.floors[lane] = match depth.lanes[lane] {
                0 => position,
                _ => position.min(depth.floors[lane]),
            };
            depth.lanes[lane] += 1;
            depth.bytes += bytes;
        });
    }

    /// A look found nothing in front of this position. Positions are given out in ascending order, so what
    /// has come since is behind it.
    pub(super) fn raise_floor(&mut self, destination: &AuthorityId, lane: Lane, position: u64) {
        if let Some(depth) = self.destinations.get_mut(destination) {
            let floor = &mut depth.floors[usize::from(lane_byte(lane))];
            *floor = position.max(*floor);
        }
    }

    pub(super) fn remove(&mut self, destination: &AuthorityId, lane: Lane, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.update(destination, |depth| {
            let lane = &mut depth.lanes[usize::from(lane_byte(lane))];
            *lane = lane.saturating_sub(1);
            depth.bytes = depth.bytes.saturating_sub(bytes);
        });
    }

    pub(super) fn update(&mut self, destination: &AuthorityId, change: impl FnOnce(&mut Depth)) {
        let depth = match self.destinations.get_mut(destination) {
            Some(depth) => depth,
            None => self.destinations.entry(destination.clone()).or_default(),
        };
        change(depth);
        if depth.is_empty() {
            self.destinations.remove(destination);
        }
    }
}

/// What a group has taken of the bounds so far.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    destinations: BTreeMap<AuthorityId, (u64, u64)>,
    bytes: u64,
}

impl Reserved {
    /// Takes one envelope's share, or says that the queue is full.
    pub(super) fn take(
        &mut self,
        queues: &Queues,
        limits: &Limits,
        destination: &AuthorityId,
        bytes: u64,
    ) -> bool {
        let depth = queues.depth(destination);
        let (envelopes, taken) = self
            .destinations
            .get(destination)
            .copied()
            .unwrap_or_default();
        let fits = depth.envelopes() + envelopes < limits.queue_envelopes
            && depth.bytes + taken + bytes <= limits.queue_bytes
            && queues.bytes + self.bytes + bytes <= limits.queues_bytes;
        if fits {
            self.bytes += bytes;
            match self.destinations.get_mut(destination) {
                Some(share) => *share = (envelopes + 1, taken + bytes),
                None => drop(self.destinations.insert(destination.clone(), (1, bytes))),
            }
        }
        fits
    }
}
