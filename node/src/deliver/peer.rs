//! One task per destination: its durable queue, its connection, its retries (CUS-6.1).
//!
//! ```text
//!            something waits            connected             nothing waits for a while
//! ┌──────┐ ────────────────▶ ┌─────────┐ ────────▶ ┌────────────┐ ────▶ (kept open)
//! │ idle │                   │ dialling │           │ forwarding │
//! └──────┘ ◀──────────────── └─────────┘ ◀──────── └────────────┘
//!            wait: 0.5 s doubling to 15 min, with jitter; at once when heard from
//! ```
//!
//! A destination that is slow, dead or poisonous holds back itself and nobody else (R2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::{POISON_TRIES_MAX, RETRY_BASE_MS, RETRY_MAX_MS};
use pli_protocol::session::{Principal, ServerIdentity};
use pli_transport::{Credential, DialledConnection, Dialler, Endpoints};
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::forward::{Broken, Caution, Forwarding};
use super::undeliverable;
use crate::live::Reach;
use crate::metrics;
use crate::relay::Relay;
use crate::route::Wake;
use crate::shutdown::Shutdown;

/// After this long a connection counts as one that worked, and the wait begins anew.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// Starts a task for each destination as it becomes one, until the stop.
pub async fn run(
    relay: Arc<Relay>,
    mut destinations: mpsc::UnboundedReceiver<(AuthorityId, Arc<Wake>)>,
    mut shutdown: Shutdown,
) {
    let credential = Credential {
        principal: Principal::Node(relay.authority.clone()),
        key: Arc::new(relay.key.clone()),
    };
    let dialler = Dialler::new(credential);
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            destination = destinations.recv() => {
                let Some((home, wake)) = destination else { break };
                let peer = Peer { relay: Arc::clone(&relay), dialler: dialler.clone(), home, wake };
                tasks.spawn(peer.run(shutdown.clone()));
            }
            () = shutdown.begun() => break,
        }
    }
    while tasks.join_next().await.is_some() {}
    dialler.wait_idle().await;
}

struct Peer {
    relay: Arc<Relay>,
    dialler: Dialler,
    home: AuthorityId,
    wake: Arc<Wake>,
}

impl Peer {
    async fn run(self, mut shutdown: Shutdown) {
        let mut caution = Caution::default();
        let mut failures = 0;
        self.wake.waiting.notified().await;
        loop {
            let began = Instant::now();
            let outcome = tokio::select! {
                outcome = self.attempt(&mut caution) => outcome,
                () = shutdown.begun() => return,
            };
            let worked = began.elapsed() > STEADY_AFTER || std::mem::take(&mut caution.progress);
            failures = if worked { 1 } else { failures + 1 };
            if let Err(Broken::Store(error)) = &outcome {
                tracing::error!(home = %self.home, %error, "forwarding waits for the disk");
            }
            let wait = self.backoff(failures);
            self.note(&outcome, wait);
            tracing::info!(home = %self.home, ?outcome, ?wait, "forwarding paused");
            tokio::select! {
                () = sleep(wait) => {}
                // CUS-6.3: heard from. What is only new waits too, or a busy queue would dial in a loop.
                () = self.wake.heard.notified() => {}
                () = shutdown.begun() => return,
            }
        }
    }

    fn note(&self, outcome: &Result<(), Broken>, wait: Duration) {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let reach = Reach {
            next_try: Some(self.relay.clock.now().plus_ms(wait_ms)),
            error: outcome.as_ref().err().map(ToString::to_string),
        };
        self.relay.destinations.note(&self.home, reach);
    }

    /// Dials and forwards until something breaks.
    async fn attempt(&self, caution: &mut Caution) -> Result<(), Broken> {
        let dials = &self.relay.metrics.deliver.dials_total;
        let connection = match self.dial().await {
            Ok(connection) => connection,
            Err(error) => {
                dials.of(metrics::Outcome::Failed).increment(1);
                return Err(error);
            }
        };
        dials.of(metrics::Outcome::Ok).increment(1);
        self.relay.destinations.note(&self.home, Reach::default());
        let _counted = self.relay.sessions.dialled();
        let forwarding = Forwarding::new(
            &self.relay,
            &self.home,
            &connection,
            &self.wake.waiting,
            caution,
        );
        let (outcome, unsettled) = forwarding.run(&connection).await;
        connection.close(None, "done for now");
        if let (Err(Broken::Peer(_)), false) = (&outcome, unsettled.is_empty()) {
            self.suspect(caution, unsettled).await?;
        }
        outcome
    }

    /// R2, CUS-6.5: a connection that breaks with one envelope on its way, again and again, breaks by it.
    async fn suspect(
        &self,
        caution: &mut Caution,
        unsettled: Vec<EnvelopeId>,
    ) -> Result<(), Broken> {
        let alone = caution.one_at_a_time > 0;
        caution.one_at_a_time = caution.one_at_a_time.max(unsettled.len());
        let (true, [id]) = (alone, unsettled.as_slice()) else {
            return Ok(());
        };
        let tries = caution.tries.entry(*id).or_default();
        *tries += 1;
        if *tries < POISON_TRIES_MAX {
            return Ok(());
        }
        tracing::warn!(envelope = %id, home = %self.home, "set aside: no answer, again and again");
        caution.tries.remove(id);
        self.relay.metrics.deliver.set_aside_total.increment(1);
        Ok(undeliverable::report(&self.relay, vec![(*id, Code::SetAside)]).await?)
    }

    /// Connects to any endpoint of the home that proves to hold a key of the directory.
    async fn dial(&self) -> Result<DialledConnection, Broken> {
        let directory = self.relay.directory();
        let now = self.relay.clock.now();
        let refused = |error: pli_protocol::trust::TrustRefusal| Broken::Peer(error.to_string());
        let node = directory.node_of(&self.home).map_err(refused)?;
        let mut endpoints = Endpoints::default();
        for host in &node.quic {
            endpoints.quic.extend(resolve(&host.to_string()).await);
        }
        for url in &node.websocket {
            endpoints
                .websocket
                .extend(resolve(&format!("{}:{}", url.host(), url.port())).await);
        }
        let mut last = Broken::Peer(format!("{} has no key in force", self.home));
        for key in directory.node_keys(&self.home, now).map_err(refused)? {
            let server = ServerIdentity {
                authority: self.home.clone(),
                key: *key,
            };
            let asked = self.relay.clock.now();
            match self.dialler.connect(&server, &endpoints).await {
                Ok(connection) => {
                    let theirs = connection.welcome().server_time;
                    let received = self.relay.clock.now();
                    let watch = &self.relay.clock_watch;
                    watch.observe(
                        &self.home,
                        theirs,
                        asked,
                        received,
                        std::time::Instant::now(),
                    );
                    return Ok(connection);
                }
                Err(error) => last = Broken::Peer(error.to_string()),
            }
        }
        Err(last)
    }

    // Exponential with full jitter over its upper half, so that peers do not return together.
    fn backoff(&self, failures: u32) -> Duration {
        let exponent = failures.saturating_sub(1).min(16);
        let ceiling = RETRY_BASE_MS
            .saturating_mul(1 << exponent)
            .min(RETRY_MAX_MS);
        let mut random = [0; 8];
        if let Err(error) = getrandom::fill(&mut random) {
            tracing::warn!(%error, "no jitter in this wait");
        }
        let jitter = u64::from_le_bytes(random) % (ceiling / 2 + 1);
        Duration::from_millis(ceiling / 2 + jitter)
    }
}

/// The addresses of a host; none if it does not resolve now.
async fn resolve(host: &str) -> Vec<SocketAddr> {
    match lookup_host(host).await {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            tracing::info!(%host, %error, "does not resolve");
            Vec::new()
        }
    }
}
