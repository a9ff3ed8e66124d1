//! The task that keeps the directory fresh, and is loud in time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::id::Timestamp;
use pli_protocol::limits::TRUST_REFRESH_ALARM_MS;
use pli_protocol::trust::{Alarm, Directory, RoleExpiry, TrustRole};
use tokio::time::{Instant, sleep_until};

use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::keys::NodeKey;
use crate::metrics::{AlarmKind, Metrics, Outcome, TufRole};
use crate::shutdown::Shutdown;

use super::{DirectoryWatch, News, Publisher, standing};

/// The expiries are looked at this often, however seldom the directory is fetched.
const ALARMS_EVERY: Duration = Duration::from_secs(30);
/// After a failure the next attempt comes sooner than the interval, and while the directory has expired: at most this
/// late.
const RETRY_WITHIN: Duration = Duration::from_secs(30);
/// Who wants a newer one waits at least this long after the last was looked for (CUS-6.8).
const WANTED_AFTER: Duration = Duration::from_secs(5);

/// Fetches and verifies the trust repository by the TUF client workflow.
pub trait Source: Send + 'static {
    /// The newest verified directory. Never older than the one before.
    fn refresh(
        &mut self,
        now: Timestamp,
    ) -> impl Future<Output = Result<Arc<Directory>, RefreshError>> + Send;
}

/// Why a refresh failed. What is in force stays in force.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefreshError {
    /// Case 18: what was offered is older than what is known.
    #[error("{0}")]
    Rollback(String),
    /// Case 20: two different files of one version, both rightly signed.
    #[error("{0}")]
    Equivocation(String),
    /// Anything else: not reached, not verified.
    #[error("{0}")]
    Failed(String),
}

/// Keeps a directory fresh.
#[derive(Debug)]
pub struct Refresher<S> {
    source: S,
    publisher: Publisher,
    watch: DirectoryWatch,
    news: News,
    every: Duration,
    key: NodeKey,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
    metrics: Arc<Metrics>,
    /// The age of the last completed refresh counts from here where none was completed.
    since: Timestamp,
}

impl<S: Source> Refresher<S> {
    /// Around a directory that is in hand already; its alarms are looked at once.
    pub fn new(
        source: S,
        (publisher, watch): (Publisher, DirectoryWatch),
        (news, every): (News, Duration),
        key: NodeKey,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
        metrics: Arc<Metrics>,
    ) -> Self {
        let refresher = Self {
            since: clock.now(),
            source,
            publisher,
            watch,
            news,
            every,
            key,
            clock,
            alarms,
            metrics,
        };
        refresher.look();
        refresher
    }

    /// Refreshes, at once and then regularly, until the stop.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let mut wait = Duration::ZERO;
        loop {
            if self.stopped_within(&mut shutdown, wait).await {
                return;
            }
            let Self {
                source,
                clock,
                publisher,
                alarms,
                metrics,
                ..
            } = &mut self;
            let refreshing = refresh(source, clock, publisher, alarms, metrics);
            wait = tokio::select! {
                biased;
                () = shutdown.begun() => return,
                ok = refreshing => if ok { self.every } else { self.every.min(RETRY_WITHIN) },
            };
            self.look();
        }
    }

    /// Waits, looking at the alarms meanwhile; less long when a newer one is wanted, or there are news. Whether the stop
    /// came.
    async fn stopped_within(&mut self, shutdown: &mut Shutdown, wait: Duration) -> bool {
        let began = Instant::now();
        let mut until = began + wait;
        let mut directory = self.watch.clone();
        let earliest = began + wait.min(WANTED_AFTER);
        loop {
            if self.watch.current().in_force(self.clock.now()).is_err() {
                until = until.min(began + RETRY_WITHIN);
            }
            if Instant::now() >= until {
                return false;
            }
            let step = until.min(Instant::now() + ALARMS_EVERY);
            tokio::select! {
                () = shutdown.begun() => return true,
                () = self.news.came() => return false,
                () = self.watch.wanted(), if until > earliest => until = earliest,
                // What a peer gave is looked at, too.
                Some(_) = directory.changed() => self.look(),
                () = sleep_until(step) => self.look(),
            }
        }
    }

    /// Raises and clears the alarms that the directory in force gives reason for.
    fn look(&self) {
        let (directory, now) = (self.watch.current(), self.clock.now());
        let (expiring, expired) = expiry_alarms(&directory, &self.key, now);
        self.alarms.set(AlarmKind::DirectoryExpiring, now, expiring);
        self.alarms.set(AlarmKind::DirectoryExpired, now, expired);
        let unlisted = self.key.check_listed(&directory, now).err();
        self.alarms.set(
            AlarmKind::OwnKeyNotListed,
            now,
            unlisted.map(|error| error.to_string()),
        );
        let suspended = standing(&directory, &self.key.authority, now).err();
        self.alarms.set(
            AlarmKind::OwnAuthoritySuspended,
            now,
            suspended.map(|error| error.to_string()),
        );
        self.look_at_age(now);
        gauges(&self.metrics, &directory, now);
    }
}

impl<S> Refresher<S> {
    /// TRU-5.3: also a source that answers nothing new, or a refresh that fails again and again
    /// for reasons that each pass, must not leave revocations behind unseen.
    fn look_at_age(&self, now: Timestamp) {
        let at = self.watch.refreshed().at.unwrap_or(self.since);
        let age_ms = now.since_ms(at);
        let stale = age_ms >= TRUST_REFRESH_ALARM_MS.max(self.every.as_millis() as u64 * 2);
        let detail = format!(
            "the last completed refresh of the directory was at {at}: revocations since are not \
             known here; check `trust.sources` and the network"
        );
        self.alarms
            .set(AlarmKind::DirectoryStale, now, stale.then_some(detail));
        let seconds = age_ms as f64 / 1_000.0;
        self.metrics.trust.refresh_age_seconds.set(seconds);
    }
}

async fn refresh<S: Source>(
    source: &mut S,
    clock: &Arc<dyn Clock>,
    publisher: &Publisher,
    alarms: &Alarms,
    metrics: &Metrics,
) -> bool {
    let outcome = source.refresh(clock.now()).await;
    let now = clock.now();
    match outcome {
        Ok(directory) => {
            metrics.trust.refreshes_total.of(Outcome::Ok).increment(1);
            alarms.clear(AlarmKind::DirectoryRefreshFailed);
            alarms.clear(AlarmKind::DirectoryRollback);
            alarms.clear(AlarmKind::DirectoryEquivocation);
            publisher.publish(directory, now);
            true
        }
        Err(error) => {
            metrics
                .trust
                .refreshes_total
                .of(Outcome::Failed)
                .increment(1);
            let detail = error.to_string();
            publisher.failed(detail.clone());
            match error {
                RefreshError::Rollback(_) => {
                    alarms.raise(AlarmKind::DirectoryRollback, now, detail.clone());
                }
                RefreshError::Equivocation(_) => {
                    alarms.raise(AlarmKind::DirectoryEquivocation, now, detail.clone());
                }
                RefreshError::Failed(_) => {}
            }
            alarms.raise(AlarmKind::DirectoryRefreshFailed, now, detail);
            false
        }
    }
}

/// Case 78: what expires soon; case 19: what has expired.
fn expiry_alarms(
    directory: &Directory,
    key: &NodeKey,
    now: Timestamp,
) -> (Option<String>, Option<String>) {
    // Another authority's lapse is its own affair and stops only its own letters.
    let ours = |line: &&RoleExpiry| match &line.role {
        TrustRole::Authority(authority) => *authority == key.authority,
        _ => true,
    };
    let (mut expiring, mut expired) = (Vec::new(), Vec::new());
    for line in directory.expiries().iter().filter(ours) {
        match line.alarm(now) {
            Alarm::Quiet => {}
            Alarm::Expired => expired.push(format!("{} expired at {}", line.role, line.expires)),
            near => expiring.push(format!("{} expires within {near}", line.role)),
        }
    }
    (joined(expiring), joined(expired))
}

fn joined(lines: Vec<String>) -> Option<String> {
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn gauges(metrics: &Metrics, directory: &Directory, now: Timestamp) {
    let trust = &metrics.trust;
    let mut delegated = None::<f64>;
    for line in directory.expiries() {
        let left = line.expires.since_ms(now) as f64 - now.since_ms(line.expires) as f64;
        let seconds = left / 1_000.0;
        let role = match line.role {
            TrustRole::Root => TufRole::Root,
            TrustRole::Targets => TufRole::Targets,
            TrustRole::Snapshot => TufRole::Snapshot,
            TrustRole::Timestamp => TufRole::Timestamp,
            TrustRole::Authority(_) => {
                delegated = Some(delegated.map_or(seconds, |soonest| soonest.min(seconds)));
                continue;
            }
        };
        trust.expires_in_seconds.of(role).set(seconds);
    }
    if let Some(seconds) = delegated {
        trust.expires_in_seconds.of(TufRole::Delegated).set(seconds);
    }
    let versions = directory.versions();
    for (role, version) in [
        (TufRole::Root, versions.root),
        (TufRole::Targets, versions.targets),
        (TufRole::Snapshot, versions.snapshot),
        (TufRole::Timestamp, versions.timestamp),
    ] {
        trust.version.of(role).set(version as f64);
    }
    trust
        .authorities
        .set(directory.authorities().count() as f64);
}
