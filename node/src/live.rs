//! What the run loop knows of itself, for `/status`: open sessions, destinations, the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::session::Role;

use crate::alarm::Alarms;
use crate::api::status::{QueueStatus, SessionsStatus, StoreStatus};
use crate::api::{Live, LiveStatus};
use crate::clock::Clock;
use crate::metrics::{AlarmKind, Lane, Metrics};
use crate::shutdown::Shutdown;
use crate::store::Store;

/// Sessions that are open, by who is at the other end.
#[derive(Debug, Default)]
pub struct Sessions {
    open: [AtomicU64; 4],
    dialled: AtomicU64,
}

/// Counts a session until it is dropped.
#[derive(Debug)]
pub struct Counted<'a>(&'a AtomicU64);

impl Sessions {
    /// A peer of this role has a session.
    pub fn accepted(&self, role: Role) -> Counted<'_> {
        Counted::new(&self.open[index(role)])
    }

    /// This node has a session with another.
    pub fn dialled(&self) -> Counted<'_> {
        Counted::new(&self.dialled)
    }

    fn status(&self) -> SessionsStatus {
        let open = |role| self.open[index(role)].load(Ordering::Relaxed);
        SessionsStatus {
            nodes: open(Role::Node),
            services: open(Role::Service),
            gateways: open(Role::Gateway),
            devices: open(Role::Device),
            dialled: self.dialled.load(Ordering::Relaxed),
        }
    }
}

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn index(role: Role) -> usize {
    match role {
        Role::Node => 0,
        Role::Service => 1,
        Role::Gateway => 2,
        Role::Device => 3,
    }
}

/// How the last attempt to reach each destination went. Bounded by the authorities that there are.
#[derive(Debug, Default)]
pub struct Destinations(Mutex<BTreeMap<AuthorityId, Reach>>);

/// How the last attempt to reach a destination went.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// When it is tried again; `None` while it is connected.
    pub next_try: Option<Timestamp>,
    /// Why not.
    pub error: Option<String>,
}

impl Destinations {
    /// Takes note.
    pub fn note(&self, destination: &AuthorityId, reach: Reach) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(destination.clone(), reach);
    }

    /// Whether it answered the last time it was tried. What was never tried did not answer.
    pub fn reached(&self, destination: &AuthorityId) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(destination)
            .is_some_and(|reach| reach.error.is_none())
    }

    fn snapshot(&self) -> BTreeMap<AuthorityId, Reach> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Answers for the run loop.
#[derive(Debug)]
pub struct LiveView {
    /// The store and the URL it was opened by.
    pub store: (Arc<dyn Store>, String),
    /// Open sessions.
    pub sessions: Arc<Sessions>,
    /// Destinations.
    pub destinations: Arc<Destinations>,
    /// Whether the node stops.
    pub shutdown: Shutdown,
    /// What is wrong.
    pub alarms: Alarms,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Gauges that only this knows.
    pub metrics: Arc<Metrics>,
}

impl Live for LiveView {
    fn live(&self) -> LiveStatus {
        let (store, url) = &self.store;
        let status = store.status();
        let now = self.clock.now();
        let full = status.read_only.then(|| {
            format!(
                "{} bytes free: nothing is taken in until there is room",
                status.free_bytes
            )
        });
        self.alarms.set(AlarmKind::DiskFull, now, full);
        if status.quarantined > 0 {
            let detail = format!("{} damaged records were put aside", status.quarantined);
            self.alarms.raise(AlarmKind::RecordQuarantined, now, detail);
        }
        self.metrics.store.free_bytes.set(status.free_bytes as f64);
        self.metrics.store.used_bytes.set(status.log_bytes as f64);
        self.metrics
            .store
            .quarantined_total
            .absolute(status.quarantined);
        LiveStatus {
            draining: self.shutdown.is_stopping(),
            queues: self.queues(),
            sessions: self.sessions.status(),
            store: StoreStatus {
                url: url.clone(),
                writable: !status.read_only,
                used_bytes: status.log_bytes,
                free_bytes: status.free_bytes,
                quarantined: status.quarantined,
            },
        }
    }
}

impl LiveView {
    fn queues(&self) -> Vec<QueueStatus> {
        let mut queues: BTreeMap<String, QueueStatus> = BTreeMap::new();
        // A disk that cannot be read is the store's alarm; what else is known is still shown.
        for state in self.store.0.destinations().unwrap_or_default() {
            let destination = state.destination.to_string();
            let queue = QueueStatus {
                destination: destination.clone(),
                priority: state.priority,
                bulk: state.bulk,
                bytes: state.bytes,
                oldest_ms: state.oldest.map(Timestamp::as_ms),
                reachable: true,
                ..QueueStatus::default()
            };
            queues.insert(destination, queue);
        }
        let mut unreachable = 0;
        for (destination, reach) in self.destinations.snapshot() {
            if reach.error.is_none() {
                continue;
            }
            unreachable += 1;
            let destination = destination.to_string();
            let queue = queues.entry(destination.clone()).or_default();
            queue.destination = destination;
            queue.reachable = false;
            queue.next_try_ms = reach.next_try.map(Timestamp::as_ms);
            queue.last_error = reach.error;
        }
        let waiting = &self.metrics.deliver.waiting;
        let sum = |of: fn(&QueueStatus) -> u64| queues.values().map(of).sum::<u64>() as f64;
        waiting.of(Lane::Priority).set(sum(|queue| queue.priority));
        waiting.of(Lane::Bulk).set(sum(|queue| queue.bulk));
        self.metrics
            .deliver
            .unreachable_destinations
            .set(f64::from(unreachable));
        queues.into_values().collect()
    }
}
