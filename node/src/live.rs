//! What the run loop knows of itself, for `/status`: open sessions, destinations, the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pli_protocol::code::Code;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::session::Role;

use crate::alarm::Alarms;
use crate::api::status::{QueueStatus, SessionsStatus, StoreStatus, StuckStatus};
use crate::api::{Live, LiveStatus};
use crate::clock::Clock;
use crate::deliver::caution::Stuck;
use crate::metrics::{AlarmKind, Lane, Metrics};
use crate::shutdown::Shutdown;
use crate::store::{CustodyState, Store};

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

/// A home that owes an answer for longer does not answer now: it is not known to be there (CUS-6.6).
const ANSWERS_WITHIN_MS: u64 = 2_000;

/// How each destination answers. Bounded by the authorities that there are.
#[derive(Debug, Default)]
pub struct Destinations(Mutex<BTreeMap<AuthorityId, Reach>>);

/// How a destination answers.
#[derive(Clone, Debug, Default)]
struct Reach {
    /// When it is tried again; `None` while it is connected.
    next_try: Option<Timestamp>,
    /// Why not.
    error: Option<String>,
    /// Since when it owes an answer.
    awaited: Option<Timestamp>,
    /// What it refused for now, by code.
    postponed: BTreeMap<Code, u64>,
    /// What it never answers.
    stuck: Option<Stuck>,
}

impl Destinations {
    /// There is a connection.
    pub fn reached_now(&self, destination: &AuthorityId) {
        self.change(destination, |reach| {
            (reach.next_try, reach.error, reach.awaited) = (None, None, None);
        });
    }

    /// There is none.
    pub fn lost(&self, destination: &AuthorityId, next_try: Timestamp, error: String) {
        self.change(destination, |reach| {
            reach.next_try = Some(next_try);
            reach.error = Some(error);
        });
    }

    /// Since when it owes an answer.
    pub fn awaits(&self, destination: &AuthorityId, since: Option<Timestamp>) {
        self.change(destination, |reach| reach.awaited = since);
    }

    /// What it refused for now, and what it never answers.
    pub fn waiting(
        &self,
        destination: &AuthorityId,
        postponed: BTreeMap<Code, u64>,
        stuck: Option<Stuck>,
    ) {
        self.change(destination, |reach| {
            (reach.postponed, reach.stuck) = (postponed, stuck);
        });
    }

    /// What it never answers.
    pub fn stuck(&self, destination: &AuthorityId, stuck: Option<Stuck>) {
        self.change(destination, |reach| reach.stuck = stuck);
    }

    /// Whether it is there, as far as is known. What was never tried is not.
    pub fn reached(&self, destination: &AuthorityId, now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(destination)
            .is_some_and(|reach| reach.trouble(now).is_none())
    }

    fn change(&self, destination: &AuthorityId, change: impl FnOnce(&mut Reach)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(destination) {
            Some(reach) => change(reach),
            None => change(known.entry(destination.clone()).or_default()),
        }
    }

    fn snapshot(&self) -> BTreeMap<AuthorityId, Reach> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Reach {
    fn trouble(&self, now: Timestamp) -> Option<String> {
        let silent = self.awaited.map_or(0, |since| now.since_ms(since));
        match &self.error {
            Some(error) => Some(error.clone()),
            None if silent > ANSWERS_WITHIN_MS => Some(format!("no answer for {silent} ms")),
            None => None,
        }
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
                writable: !status.read_only && !status.failed,
                used_bytes: status.log_bytes,
                free_bytes: status.free_bytes,
                quarantined: status.quarantined,
            },
        }
    }
}

impl LiveView {
    /// It may have expired since it was tried.
    fn waits(&self, stuck: &Stuck) -> bool {
        let custody = self.store.0.custody(&stuck.envelope);
        matches!(custody, Ok(Some(custody)) if matches!(custody.state, CustodyState::Queued { .. }))
    }

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
                reports: state.reports,
                oldest_ms: state.oldest.map(Timestamp::as_ms),
                reachable: true,
                ..QueueStatus::default()
            };
            queues.insert(destination, queue);
        }
        let mut unreachable = 0;
        let mut postponed: BTreeMap<Code, u64> = BTreeMap::new();
        let now = self.clock.now();
        for (destination, reach) in self.destinations.snapshot() {
            let trouble = reach.trouble(now);
            let stuck = reach.stuck.filter(|stuck| self.waits(stuck));
            if trouble.is_none() && reach.postponed.is_empty() && stuck.is_none() {
                continue;
            }
            let destination = destination.to_string();
            let queue = queues.entry(destination.clone()).or_insert(QueueStatus {
                destination,
                reachable: true,
                ..QueueStatus::default()
            });
            queue.stuck = stuck.map(|stuck| StuckStatus {
                envelope: stuck.envelope.to_string(),
                tries: stuck.tries,
                since_ms: stuck.since.as_ms(),
                reason: stuck.reason.to_string(),
            });
            for (code, letters) in reach.postponed {
                *postponed.entry(code).or_default() += letters;
                *queue.postponed.entry(code.name().to_owned()).or_default() += letters;
            }
            if trouble.is_some() {
                unreachable += 1;
                queue.reachable = false;
                queue.next_try_ms = reach.next_try.map(Timestamp::as_ms);
                queue.last_error = trouble;
            }
        }
        for code in Code::ALL {
            let letters = postponed.get(code).copied().unwrap_or_default();
            let gauge = self.metrics.deliver.postponed.of(*code);
            gauge.set(letters as f64);
        }
        let waiting = &self.metrics.deliver.waiting;
        let sum = |of: fn(&QueueStatus) -> u64| queues.values().map(of).sum::<u64>() as f64;
        waiting.of(Lane::Priority).set(sum(|queue| queue.priority));
        waiting.of(Lane::Bulk).set(sum(|queue| queue.bulk));
        let reports = sum(|queue| queue.reports);
        self.metrics.deliver.reports_waiting.set(reports);
        self.metrics
            .deliver
            .unreachable_destinations
            .set(f64::from(unreachable));
        queues.into_values().collect()
    }
}
