//! One connection for each peer (GOS-1.6). Two come of dialling each other at once, and of a peer that was started again
//! before its old connection was missed: what is said on that one nobody hears.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Two connections that began so close together are of two dials at once.
const AT_ONCE: Duration = Duration::from_secs(2);

/// The connections there are, by the peer: each with its name, whether this node dialled it, and since when. Bounded by
/// the limits of the swarm.
#[derive(Debug)]
pub(super) struct Pairs<P, C>(HashMap<P, Vec<Connection<C>>>);

#[derive(Clone, Copy, Debug)]
struct Connection<C> {
    id: C,
    dialled: bool,
    since: Instant,
}

impl<P: Copy + Eq + Hash + Ord, C: Copy + Eq> Pairs<P, C> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// There is one more. Those that are to be closed: both sides choose the same, whichever they saw first.
    pub(super) fn opened(&mut self, own: P, peer: P, id: C, dialled: bool, now: Instant) -> Vec<C> {
        let all = self.0.entry(peer).or_default();
        let new = Connection {
            id,
            dialled,
            since: now,
        };
        all.push(new);
        // Of two dials at once that of the lower name stays; whoever comes again has lost the one before.
        let stays = |one: &Connection<C>| {
            let at_once = now.duration_since(one.since) < AT_ONCE && one.dialled != dialled;
            at_once && one.dialled == (own < peer)
        };
        let kept = all[..all.len() - 1].iter().find(|one| stays(one));
        let kept = kept.map_or(id, |one| one.id);
        all.iter()
            .map(|one| one.id)
            .filter(|one| *one != kept)
            .collect()
    }

    /// One is gone. How long it lasted.
    pub(super) fn closed(&mut self, peer: P, id: C, now: Instant) -> Duration {
        let Some(all) = self.0.get_mut(&peer) else {
            return Duration::ZERO;
        };
        let at = all.iter().position(|one| one.id == id);
        let lasted = at.map(|at| now.duration_since(all.swap_remove(at).since));
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
    fn gos_1_6_two_who_dial_each_other_keep_the_same_connection() {
        let now = Instant::now();
        // 1 dialled a, 2 dialled b; each sees them in its own order.
        let (mut one, mut other) = (Pairs::new(), Pairs::new());
        assert!(one.opened(1, 2, "a", true, now).is_empty());
        assert!(other.opened(2, 1, "b", true, now).is_empty());
        assert_eq!(one.opened(1, 2, "b", false, now), ["b"]);
        assert_eq!(other.opened(2, 1, "a", false, now), ["b"]);
    }

    #[test]
    fn gos_1_6_a_peer_that_comes_again_is_let_in_and_its_old_connection_is_closed() {
        let now = Instant::now();
        let mut pairs = Pairs::new();
        pairs.opened(1, 2, "old", false, now);
        assert_eq!(pairs.opened(1, 2, "new", false, now), ["old"]);
        pairs.closed(2, "old", now);
        // It was dialled by this node for long, and dials now: it was started again.
        let later = now + Duration::from_secs(60);
        assert_eq!(pairs.opened(1, 2, "newer", false, later), ["new"]);
        assert_eq!(pairs.closed(2, "new", later), Duration::from_secs(60));
    }
}
