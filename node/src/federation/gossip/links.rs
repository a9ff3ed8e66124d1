//! Whom to dial when, and who is cut off for a while. Pure: the time is an argument, and the peers are names.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use pli_protocol::limits::GOSSIP_BAN_MS;

/// After the first failure.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// However often it failed.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// GOS-1.6: of two the one with the higher name lets the other dial first.
const COURTESY: Duration = Duration::from_secs(1);

/// What is known of each peer that may be connected. Bounded by the directory.
#[derive(Debug)]
pub(super) struct Links<P> {
    own: P,
    all: HashMap<P, Link>,
}

#[derive(Debug)]
struct Link {
    connections: u32,
    dialling: bool,
    failures: u32,
    /// Not before.
    due: Instant,
    /// Why there is no connection.
    error: Option<String>,
    cut: Option<Cut>,
}

/// Why a peer is not let in, and until when.
#[derive(Clone, Debug)]
struct Cut {
    until: Instant,
    because: &'static str,
}

impl<P: Clone + Eq + Hash + Ord> Links<P> {
    /// Nobody yet, for the node of this name.
    pub(super) fn new(own: P) -> Self {
        let all = HashMap::new();
        Self { own, all }
    }

    /// Those who may be connected from now on; what is known of them stays.
    pub(super) fn keep<'a>(&mut self, peers: impl Iterator<Item = &'a P>, now: Instant)
    where
        P: 'a,
    {
        let mut before = std::mem::take(&mut self.all);
        for peer in peers {
            let due = now + self.courtesy(peer);
            let link = before.remove(peer).unwrap_or(Link {
                connections: 0,
                dialling: false,
                failures: 0,
                due,
                error: None,
                cut: None,
            });
            self.all.insert(peer.clone(), link);
        }
    }

    /// Those to dial now, at most `max`.
    pub(super) fn due(&self, now: Instant, max: usize) -> Vec<P> {
        let due = |link: &Link| {
            link.connections == 0 && !link.dialling && link.cut.is_none() && link.due <= now
        };
        let mut due: Vec<_> = self.all.iter().filter(|(_, link)| due(link)).collect();
        // Who waits the longest.
        due.sort_by_key(|(_, link)| link.due);
        let due = due.into_iter().take(max);
        due.map(|(peer, _)| peer.clone()).collect()
    }

    /// A dial has begun.
    pub(super) fn dialling(&mut self, peer: &P) {
        if let Some(link) = self.all.get_mut(peer) {
            link.dialling = true;
        }
    }

    /// GOS-1.5: a dial has failed: the next waits twice as long.
    pub(super) fn failed(&mut self, peer: &P, error: String, now: Instant) {
        if let Some(link) = self.all.get_mut(peer) {
            link.dialling = false;
            link.error = Some(error);
            link.due = now + wait(link.failures);
            link.failures = link.failures.saturating_add(1);
        }
    }

    /// There is a connection, one more.
    pub(super) fn connected(&mut self, peer: &P, connections: u32) {
        if let Some(link) = self.all.get_mut(peer) {
            link.connections = connections;
            link.dialling = false;
            link.error = None;
        }
    }

    /// One is gone; without any other the peer is dialled soon. One that came to nothing waits like a failure: a peer
    /// that hangs up on us is not called again at once for ever.
    pub(super) fn closed(&mut self, peer: &P, left: u32, lasted: Duration, now: Instant) {
        let courtesy = self.courtesy(peer);
        if let Some(link) = self.all.get_mut(peer) {
            link.connections = left;
            if lasted > WAIT_MAX {
                link.failures = 0;
            }
            if left > 0 {
                return;
            }
            link.due = now + wait(link.failures) + courtesy;
            link.failures = link.failures.saturating_add(1);
            link.error.get_or_insert_with(|| "disconnected".to_owned());
        }
    }

    /// Who did wrong is left alone for `GOSSIP_BAN_MS`.
    pub(super) fn cut(&mut self, peer: &P, because: &'static str, now: Instant) {
        if let Some(link) = self.all.get_mut(peer) {
            let until = now + Duration::from_millis(GOSSIP_BAN_MS);
            link.cut = Some(Cut { until, because });
        }
    }

    /// Whether it may be connected: it is listed, and not cut off.
    pub(super) fn welcome(&self, peer: &P) -> bool {
        self.all.get(peer).is_some_and(|link| link.cut.is_none())
    }

    /// Those who may come again.
    pub(super) fn forgive(&mut self, now: Instant) -> Vec<P> {
        let mut forgiven = Vec::new();
        for (peer, link) in &mut self.all {
            if link.cut.as_ref().is_some_and(|cut| cut.until <= now) {
                (link.cut, link.failures, link.due) = (None, 0, now);
                forgiven.push(peer.clone());
            }
        }
        forgiven
    }

    /// Each peer: whether it is connected, why not, why it is cut off.
    pub(super) fn all(&self) -> impl Iterator<Item = (&P, bool, Option<&str>, Option<&str>)> {
        self.all.iter().map(|(peer, link)| {
            let cut = link.cut.as_ref().map(|cut| cut.because);
            (peer, link.connections > 0, link.error.as_deref(), cut)
        })
    }

    fn courtesy(&self, peer: &P) -> Duration {
        match self.own < *peer {
            true => Duration::ZERO,
            false => COURTESY,
        }
    }

    /// How many are connected.
    pub(super) fn connections(&self) -> usize {
        self.all
            .values()
            .filter(|link| link.connections > 0)
            .count()
    }
}

fn wait(failures: u32) -> Duration {
    WAIT_MIN.saturating_mul(1 << failures.min(16)).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_1_5_a_peer_that_does_not_answer_is_dialled_more_and_more_seldom() {
        let began = Instant::now();
        let mut links = Links::new("");
        links.keep(["a"].iter(), began);
        assert_eq!(links.due(began, 9), ["a"]);
        let mut at = began;
        for expected_ms in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            links.dialling(&"a");
            assert!(links.due(at, 9).is_empty(), "one dial at a time");
            links.failed(&"a", "no answer".to_owned(), at);
            let wait = Duration::from_millis(expected_ms);
            assert!(
                links
                    .due(at + wait - Duration::from_millis(1), 9)
                    .is_empty()
            );
            assert_eq!(links.due(at + wait, 9), ["a"]);
            at += wait;
        }
        links.connected(&"a", 1);
        links.closed(&"a", 0, Duration::from_secs(3_600), at);
        assert_eq!(links.due(at + WAIT_MIN, 9), ["a"], "it was there for long");
    }

    #[test]
    fn gos_1_6_of_two_the_one_with_the_higher_name_lets_the_other_dial_first() {
        let now = Instant::now();
        let mut links = Links::new("b");
        links.keep(["a", "c"].iter(), now);
        assert_eq!(links.due(now, 9), ["c"]);
        assert_eq!(links.due(now + COURTESY, 9).len(), 2);
        links.connected(&"a", 2);
        links.closed(&"a", 1, Duration::ZERO, now);
        links.closed(&"a", 0, Duration::ZERO, now);
        assert_eq!(links.due(now + WAIT_MIN, 9), ["c"]);
        assert_eq!(links.due(now + WAIT_MIN + COURTESY, 9).len(), 2);
    }

    #[test]
    fn gos_4_4_who_is_cut_off_is_not_dialled_and_comes_again_after_its_time() {
        let now = Instant::now();
        let mut links = Links::new("");
        links.keep(["bad", "good"].iter(), now);
        links.cut(&"bad", "a flood", now);
        assert!(!links.welcome(&"bad") && links.welcome(&"good") && !links.welcome(&"stranger"));
        assert_eq!(links.due(now, 9), ["good"]);
        // A new directory does not let it in again.
        links.keep(["bad", "good"].iter(), now);
        let end = now + Duration::from_millis(GOSSIP_BAN_MS);
        assert!(links.forgive(end - Duration::from_millis(1)).is_empty());
        assert_eq!(links.forgive(end), ["bad"]);
        assert!(links.welcome(&"bad"));
    }
}
