//! For the operator, on loopback: `/healthz`, `/readyz`, `/metrics`, `/status`.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pli_protocol::id::Timestamp;

use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::clock::sync::{ClockState, ClockWatch};
use crate::evidence::Keeper;
use crate::evidence::witness::Witnessed;
use crate::federation::gossip::Gossip;
use crate::federation::{DirectoryWatch, Refreshed, standing};
use crate::keys::NodeKey;
use crate::metrics::{Label, Metrics};

use super::status::{
    AlarmStatus, ClockStatus, DirectoryStatus, EvidenceStatus, LiveStatus, Readiness, RoleStatus,
    Status, VersionsStatus, WitnessStatus,
};

/// What the run loop tells of itself.
pub trait Live: Debug + Send + Sync + 'static {
    /// A snapshot. Called at each `/status`, `/readyz` and `/metrics`, on a thread that may block;
    /// it also sets the gauges that only it knows.
    fn live(&self) -> LiveStatus;
}

/// What the operations address answers from.
#[derive(Clone, Debug)]
pub struct Ops {
    /// Whose node, by which key.
    pub key: NodeKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What peers think of it.
    pub clock_watch: Arc<ClockWatch>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is wrong.
    pub alarms: Alarms,
    /// The directory.
    pub directory: DirectoryWatch,
    /// This node's log, where it keeps one.
    pub evidence: Option<Arc<Keeper>>,
    /// When other nodes last cosigned this node's log.
    pub witnessed: Arc<Witnessed>,
    /// The other nodes, where this one takes part in gossip.
    pub gossip: Option<Gossip>,
    /// The run loop.
    pub live: Arc<dyn Live>,
    /// When the process started, by both clocks.
    pub started: (Instant, Timestamp),
}

const MS_PER_DAY: u64 = 86_400_000;

/// The routes.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(Arc::new(ops))
}

/// The process runs and answers; nothing more.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether new envelopes are taken in: 200 or 503, with the reasons.
async fn readyz(State(ops): State<Arc<Ops>>) -> Response {
    match look(move || ops.readiness(&ops.live.live(), ops.clock.now())).await {
        Ok(readiness) => {
            let code = if readiness.ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            (code, Json(readiness)).into_response()
        }
        Err(response) => response,
    }
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Response {
    const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let text = look(move || {
        let _ = ops.live.live();
        ops.metrics.render()
    });
    match text.await {
        Ok(text) => ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], text).into_response(),
        Err(response) => response,
    }
}

async fn status(State(ops): State<Arc<Ops>>) -> Response {
    match look(move || ops.status()).await {
        Ok(status) => Json(status).into_response(),
        Err(response) => response,
    }
}

/// The run loop may take locks and look at the disk: not on a thread that serves sessions.
async fn look<T: Send + 'static>(
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Response> {
    tokio::task::spawn_blocking(question)
        .await
        .map_err(|error| {
            tracing::error!(%error, "the answer to an operator failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })
}

impl Ops {
    fn readiness(&self, live: &LiveStatus, now: Timestamp) -> Readiness {
        let directory = self.directory.current();
        let mut because = Vec::new();
        if let Err(refusal) = directory.in_force(now) {
            because.push(refusal.to_string());
        }
        if let Err(refusal) = self.key.check_listed(&directory, now) {
            because.push(refusal.to_string());
        }
        if let Err(suspended) = standing(&directory, &self.key.authority, now) {
            because.push(suspended.to_string());
        }
        if live.draining {
            because.push("the node is stopping".to_owned());
        }
        // Case 17
        if let Some(doubt) = self.clock_watch.doubt(Instant::now(), now) {
            because.push(doubt.to_string());
        }
        // R13
        if let Some(stale) = self.witnessed.refuses(&directory, now) {
            because.push(stale.to_string());
        }
        if !live.store.writable {
            because.push("the store takes nothing in".to_owned());
        }
        Readiness {
            ready: because.is_empty(),
            because,
        }
    }

    /// Everything at a glance. May block.
    pub fn status(&self) -> Status {
        let (now, live) = (self.clock.now(), self.live.live());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            authority: self.key.authority.to_string(),
            key: self.key.key.public().to_string(),
            key_id: self.key.id().to_string(),
            started_ms: self.started.1.as_ms(),
            uptime_s: self.started.0.elapsed().as_secs(),
            now_ms: now.as_ms(),
            ready: self.readiness(&live, now),
            directory: self.directory_status(now),
            clock: self.clock_status(),
            evidence: self.evidence_status(now),
            gossip: self.gossip.as_ref().map(Gossip::status).unwrap_or_default(),
            live,
            alarms: self.alarm_status(),
        }
    }

    fn evidence_status(&self, now: Timestamp) -> EvidenceStatus {
        let Some(keeper) = &self.evidence else {
            return EvidenceStatus::default();
        };
        let (log, directory) = (keeper.log(), self.directory.current());
        let witnesses = self.witnessed.all().into_iter();
        let witnesses = witnesses.map(|(authority, at)| WitnessStatus {
            authority: authority.to_string(),
            at_ms: at.as_ms(),
        });
        EvidenceStatus {
            enabled: true,
            log: log.origin().to_string(),
            events: log.events(),
            entries: log.size(),
            closed_ms: log.closed_at().map(Timestamp::as_ms),
            published: log.published().map_or(0, |head| head.size),
            waiting: log.waiting().ok(),
            witnesses_reached: self.witnessed.reached(&directory, now) as u64,
            witnesses_needed: directory.policy().witnesses as u64,
            witnesses: witnesses.collect(),
        }
    }

    fn directory_status(&self, now: Timestamp) -> DirectoryStatus {
        let directory = self.directory.current();
        let Refreshed { at, error } = self.directory.refreshed();
        let versions = directory.versions();
        let roles = directory.expiries().iter().map(|line| RoleStatus {
            role: line.role.to_string(),
            expires_ms: line.expires.as_ms(),
            days_left: line.expires.since_ms(now) / MS_PER_DAY,
            alarm: line.alarm(now).name().to_owned(),
        });
        DirectoryStatus {
            in_force: directory.in_force(now).is_ok(),
            expires_ms: directory.expires().as_ms(),
            versions: VersionsStatus {
                root: versions.root,
                targets: versions.targets,
                snapshot: versions.snapshot,
                timestamp: versions.timestamp,
            },
            roles: roles.collect(),
            authorities: directory.authorities().count() as u64,
            refreshed_ms: at.map(Timestamp::as_ms),
            last_error: error,
            findings: directory
                .findings()
                .iter()
                .map(|finding| format!("{}: {}", finding.authority, finding.refusal))
                .collect(),
        }
    }

    fn clock_status(&self) -> ClockStatus {
        let (state, offset_ms) = match self.clock_watch.state(Instant::now()) {
            ClockState::Unknown => ("unknown", None),
            ClockState::Agrees { offset_ms } => ("agrees", Some(offset_ms)),
            ClockState::Unsynchronised { offset_ms } => ("unsynchronised", Some(offset_ms)),
        };
        ClockStatus {
            state: state.to_owned(),
            offset_ms,
        }
    }

    fn alarm_status(&self) -> Vec<AlarmStatus> {
        let raised = self.alarms.raised().into_iter();
        raised
            .map(|alarm| AlarmStatus {
                alarm: alarm.kind.value().to_owned(),
                since_ms: alarm.since.as_ms(),
                detail: alarm.detail,
            })
            .collect()
    }
}
