//! One task per destination: its durable queue, its connection, its retries (CUS-6.1).
//!
//! ```text
//!            something waits            connected             nothing waits for a while
//! ┌──────┐ ────────────────▶ ┌─────────┐ ────────▶ ┌────────────┐ ────▶ (kept open)
//! │ idle │                   │ dialling │           │ forwarding │
//! └──────┘ ◀──────────────── └─────────┘ ◀──────── └────────────┘
//!            wait: 0.5 s doubling to 15 min, with jitter; at once when heard from, or listed otherwise
//! ```
//!
//! A peer that calls again and again makes this node dial it no more often than `HEARD_EVERY` allows (CUS-6.3), and
//! only where its operator lets it (SES-1.8). A peer that asks to be left alone for a while is; why nothing is
//! forwarded is a warning once, and again when the reason is another one.
//!
//! A destination that is slow, dead or poisonous holds back itself and nobody else (R2).

use std::sync::Arc;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::RETRY_BASE_MS;
use pli_protocol::trust::{Directory, NodeRecord, Standing};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::dial::dial;
use super::forward::{Broken, Forwarding, Standing as Progress};
use super::postponed::backoff;
use super::{outbox, undeliverable};
use crate::federation::DirectoryWatch;
use crate::metrics;
use crate::relay::Relay;
use crate::route::Wake;
use crate::shutdown::Shutdown;
use crate::store::StoreError;

/// After this long a connection counts as one that worked, and the wait begins anew.
const STEADY_AFTER: Duration = Duration::from_secs(30);
/// Between the beginnings of two dials of one destination, if it is its own calls that shorten the wait.
const HEARD_EVERY: Duration = Duration::from_millis(RETRY_BASE_MS);

/// Starts a task for each destination as it becomes one, until the stop.
pub async fn run(
    relay: Arc<Relay>,
    mut destinations: mpsc::UnboundedReceiver<(AuthorityId, Arc<Wake>)>,
    mut shutdown: Shutdown,
) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            destination = destinations.recv() => {
                let Some((home, wake)) = destination else { break };
                let peer = Peer { relay: Arc::clone(&relay), home, wake };
                tasks.spawn(peer.run(shutdown.clone()));
            }
            () = shutdown.begun() => break,
        }
    }
    while tasks.join_next().await.is_some() {}
    relay.neighbours.close().await;
    relay.dialler.wait_idle().await;
}

struct Peer {
    relay: Arc<Relay>,
    home: AuthorityId,
    wake: Arc<Wake>,
}

impl Peer {
    async fn run(self, mut shutdown: Shutdown) {
        let mut standing = Progress::default();
        let mut failures = 0;
        let mut said = Said::default();
        self.wake.waiting.notified().await;
        loop {
            let began = Instant::now();
            let listed = Listed::of(&self.relay.directory(), &self.home);
            let (broken, idle) = tokio::select! {
                ended = self.attempt(&mut standing) => ended,
                () = shutdown.begun() => return,
            };
            let steady = idle && began.elapsed() > STEADY_AFTER;
            let worked = std::mem::take(&mut standing.progress) || steady;
            failures = if worked { 1 } else { failures + 1 };
            if worked {
                said = Said::default();
            }
            if let Broken::Store(error) = &broken {
                tracing::error!(home = %self.home, %error, "forwarding waits for the disk");
            }
            let wait = backoff(failures).max(broken.retry_after());
            self.note(&broken, wait);
            if said.is_new(&broken.to_string()) {
                tracing::warn!(home = %self.home, %broken, "forwarding waits; it is tried again");
            } else {
                tracing::debug!(home = %self.home, %broken, ?wait, "forwarding waits");
            }
            tokio::select! {
                () = sleep(wait) => {}
                // CUS-6.3: heard from. What is only new waits too, or a busy queue would dial in a loop.
                () = heard(&self.wake.heard, began) => {}
                // Suspended no more, another key, another address: what failed before says nothing now.
                () = listed.changes(self.relay.directory.clone(), &self.home) => failures = 0,
                () = shutdown.begun() => return,
            }
        }
    }

    fn note(&self, broken: &Broken, wait: Duration) {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let next_try = self.relay.clock.now().plus_ms(wait_ms);
        let destinations = &self.relay.destinations;
        destinations.lost(&self.home, next_try, broken.to_string());
    }

    /// Dials and forwards until something breaks; with whether the home owed an answer then.
    async fn attempt(&self, standing: &mut Progress) -> (Broken, bool) {
        let dials = &self.relay.metrics.deliver.dials_total;
        let connection = match dial(&self.relay, &self.home).await {
            Ok(connection) => connection,
            Err(error) => {
                dials.of(metrics::Outcome::Failed).increment(1);
                return (error, false);
            }
        };
        dials.of(metrics::Outcome::Ok).increment(1);
        self.relay.destinations.reached_now(&self.home);
        let _counted = self.relay.sessions.dialled();
        let forwarding =
            Forwarding::new(&self.relay, &self.home, &connection, &self.wake, standing);
        // CUS-8.3: reports have calls of their own and hold back no letter.
        let reports = outbox::run(&self.relay, &self.home, &connection, &self.wake.reports);
        let (broken, unsettled) = tokio::select! {
            ended = forwarding.run(&connection) => ended,
            error = reports => (Broken::Store(error), Vec::new()),
        };
        connection.close(None, "done for now");
        let idle = unsettled.is_empty();
        if !matches!(broken, Broken::Store(_)) {
            let now = self.relay.clock.now();
            let caution = &mut standing.caution;
            caution.unanswered(&unsettled, &broken.to_string(), now);
            let stuck = caution.stuck().cloned();
            self.relay.destinations.stuck(&self.home, stuck);
        }
        if let (Broken::Peer(_), false) = (&broken, idle)
            && let Err(error) = self.suspect(standing, &unsettled).await
        {
            return (error.into(), idle);
        }
        (broken, idle)
    }

    /// R2, CUS-6.5: a connection that breaks with one envelope on its way, again and again, breaks by it.
    async fn suspect(
        &self,
        standing: &mut Progress,
        unsettled: &[EnvelopeId],
    ) -> Result<(), StoreError> {
        let Some(id) = standing.caution.broke(unsettled) else {
            return Ok(());
        };
        tracing::warn!(envelope = %id, home = %self.home, "set aside: no answer, again and again");
        self.relay.metrics.deliver.set_aside_total.increment(1);
        undeliverable::report(&self.relay, vec![(id, Code::SetAside)]).await
    }
}

/// What the log says of a destination that is not reached: each reason once, as long as it lasts.
#[derive(Debug, Default)]
struct Said(Vec<String>);

impl Said {
    /// Whether it is another reason than the one before; addresses come in any order.
    fn is_new(&mut self, reason: &str) -> bool {
        let mut parts: Vec<String> = reason.split("; ").map(str::to_owned).collect();
        parts.sort();
        let new = self.0 != parts;
        self.0 = parts;
        new
    }
}

/// What the directory says of a destination, as far as dialling it depends on that.
#[derive(Debug, PartialEq)]
struct Listed(Option<(Standing, Option<NodeRecord>)>);

impl Listed {
    fn of(directory: &Directory, home: &AuthorityId) -> Self {
        let record = directory.authority(home).ok();
        let node = directory.node_of(home).ok();
        Self(record.map(|record| (record.standing, node.cloned())))
    }

    /// Returns when the directory says something else.
    async fn changes(self, mut directory: DirectoryWatch, home: &AuthorityId) {
        while Self::of(&directory.current(), home) == self {
            if directory.changed().await.is_none() {
                return std::future::pending().await;
            }
        }
    }
}

/// Returns when the destination was heard from, but not within [`HEARD_EVERY`] of the last dial: whoever calls proves
/// a key and not that the addresses which it publishes are its own.
async fn heard(heard: &Notify, dialled: Instant) {
    heard.notified().await;
    sleep_until(dialled + HEARD_EVERY).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_once_as_long_as_it_lasts() {
        let mut said = Said::default();
        let reasons = ["a; b", "b; a", "a; b", "a", "a", "a; b"];
        let new = reasons.map(|reason| said.is_new(reason));
        assert_eq!(new, [true, false, false, true, false, true]);
    }

    /// A newer directory alone wakes nobody; another standing does, and another key.
    #[tokio::test]
    async fn a_destination_is_tried_at_once_when_it_is_listed_otherwise() {
        use crate::federation::fixture::{DAY_MS, NOON, authority, directory_with, node_key};
        use crate::federation::{Publisher, Refreshed};
        let suspended = Some(Standing::Suspended { since: NOON });
        let active = Some(Standing::Active);
        let at = |version, key: u8, standing| {
            directory_with(version, &node_key(key), [DAY_MS; 5], standing)
        };
        let first = at(1, 1, suspended);
        let (publisher, watch) = Publisher::new(Arc::clone(&first), Refreshed::default());
        let changed = |listed: Listed| {
            let changes = tokio::spawn({
                let watch = watch.clone();
                async move { listed.changes(watch, &authority()).await }
            });
            async {
                tokio::time::timeout(Duration::from_millis(200), changes)
                    .await
                    .is_ok()
            }
        };
        let of = |version, key, standing| Listed::of(&at(version, key, standing), &authority());
        publisher.publish(at(2, 1, suspended), NOON);
        assert!(!changed(of(1, 1, suspended)).await, "it says the same");
        publisher.publish(at(3, 1, active), NOON);
        assert!(changed(of(1, 1, suspended)).await, "suspended no more");
        assert!(!changed(of(3, 1, active)).await);
        publisher.publish(at(4, 2, active), NOON);
        assert!(changed(of(3, 1, active)).await, "another key");
        // What came while it was tried is not missed.
        assert!(changed(of(1, 1, None)).await, "listed now");
    }

    /// CUS-6.3
    #[tokio::test(start_paused = true)]
    async fn r5_a_peer_that_calls_all_the_time_is_dialled_no_more_often_than_the_floor() {
        let wake = Notify::new();
        let began = Instant::now();
        let mut dials = 0;
        while began.elapsed() < HEARD_EVERY * 10 {
            let dialled = Instant::now();
            dials += 1;
            wake.notify_one();
            wake.notify_one();
            heard(&wake, dialled).await;
            assert!(dialled.elapsed() >= HEARD_EVERY);
        }
        assert_eq!(dials, 10);
        // Who calls after a long silence is dialled at once.
        let dialled = Instant::now();
        sleep(HEARD_EVERY * 100).await;
        wake.notify_one();
        let called = Instant::now();
        heard(&wake, dialled).await;
        assert_eq!(called.elapsed(), Duration::ZERO);
    }
}
