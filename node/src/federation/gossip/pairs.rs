//! One connection for each peer (GOS-1.6). A second one comes of dialling each other at once, or of a peer that was
//! started again before its old connection was missed. gossipsub says what it listens to on the first connection alone,
//! which may be the one that is lost: so both end, and what comes then is heard from its beginning.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The connections there are, by the peer: each with its name, and since when. Bounded by the limits of the swarm.
#[derive(Debug)]
pub(super) struct Pairs<P, C>(HashMap<P, Vec<(C, Instant)>>);

impl<P: Copy + Eq + Hash, C: Copy + Eq> Pairs<P, C> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// There is one more. Those that are to be closed: none, or all.
    pub(super) fn opened(&mut self, peer: P, id: C, now: Instant) -> Vec<C> {
        let all = self.0.entry(peer).or_default();
        all.push((id, now));
        match all.len() {
            1 => Vec::new(),
            _ => all.iter().map(|(id, _)| *id).collect(),
        }
    }

    /// One is gone. How long it lasted.
    pub(super) fn closed(&mut self, peer: P, id: C, now: Instant) -> Duration {
        let Some(all) = self.0.get_mut(&peer) else {
            return Duration::ZERO;
        };
        let at = all.iter().position(|(one, _)| *one == id);
        let lasted = at.map(|at| now.duration_since(all.swap_remove(at).1));
        if all.is_empty() {
            self.0.remove(&peer);
        }
        lasted.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_1_6_a_second_connection_ends_both_and_the_next_one_stays() {
        let now = Instant::now();
        let mut pairs = Pairs::new();
        assert!(pairs.opened("a", 1, now).is_empty());
        assert!(pairs.opened("b", 2, now).is_empty());
        let later = now + Duration::from_secs(60);
        assert_eq!(pairs.opened("a", 3, later), [1, 3]);
        assert_eq!(pairs.closed("a", 1, later), Duration::from_secs(60));
        assert_eq!(pairs.closed("a", 3, later), Duration::ZERO);
        assert!(pairs.opened("a", 4, later).is_empty());
    }
}
