//! Who may open a session, and when it ends. Spec: SES-3.7, SES-4, SES-5.7, TRU-4.6, TRU-5.5.
//!
//! The transport proves that a peer holds its key; here the directory says whether the key may
//! have that name. When a newer directory takes that back, the session is cut.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::id::Timestamp;
use pli_protocol::limits::{BATCHES_IN_FLIGHT_MAX, CONNECTIONS_UNENROLLED_MAX, ENROL_TIMEOUT_MS};
use pli_protocol::session::{Authenticated, Principal, Refusal, Role, Welcome};
use pli_protocol::trust::{Directory, KeyOwner};
use pli_transport::{AcceptedConnection, Listener, Pending};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::calls;
use crate::deliver::pinned::KEYS_LOOKED_AT;
use crate::metrics::{self, AlarmKind, Metrics};
use crate::relay::Relay;
use crate::shutdown::Shutdown;

/// Accepts until the stop, then waits for the sessions to end.
pub async fn run(relay: Arc<Relay>, listener: Arc<Listener>, mut shutdown: Shutdown) {
    let mut sessions = JoinSet::new();
    let unenrolled = Arc::new(Semaphore::new(CONNECTIONS_UNENROLLED_MAX));
    loop {
        tokio::select! {
            pending = listener.accept() => {
                let Some(pending) = pending else { break };
                let unenrolled = Arc::clone(&unenrolled);
                sessions.spawn(session(Arc::clone(&relay), pending, unenrolled, shutdown.clone()));
            }
            Some(ended) = sessions.join_next() => note_panic(&relay.metrics, ended),
            () = shutdown.begun() => break,
        }
    }
    listener.stop_accepting();
    while let Some(ended) = sessions.join_next().await {
        note_panic(&relay.metrics, ended);
    }
}

async fn session(
    relay: Arc<Relay>,
    pending: Pending,
    unenrolled: Arc<Semaphore>,
    shutdown: Shutdown,
) {
    let metrics = &relay.metrics.session;
    metrics
        .connections_total
        .of(pending.via().into())
        .increment(1);
    metrics.handshaking.increment(1.0);
    let remote = pending.remote_addr();
    let accepted = pending
        .authenticate(|peer| {
            let relay = Arc::clone(&relay);
            async move { welcome(&relay, &peer) }
        })
        .await;
    metrics.handshaking.decrement(1.0);
    let connection = match accepted {
        Ok(connection) => connection,
        Err(error) => {
            if let Some(code) = error.code() {
                metrics.refused_total.of(code).increment(1);
            }
            tracing::info!(%remote, %error, "no session");
            return;
        }
    };
    let role: metrics::Role = connection.peer().principal.role().into();
    metrics.opened_total.of(role).increment(1);
    metrics.open.of(role).increment(1.0);
    let _counted = relay.sessions.accepted(connection.peer().principal.role());
    let why = tokio::select! {
        why = serve(&relay, &connection, shutdown) => why,
        why = stay_unenrolled(&relay, &connection, unenrolled) => Some(why),
    };
    metrics.open.of(role).decrement(1.0);
    if let Some(code) = why {
        metrics.refused_total.of(code).increment(1);
        connection.close(Some(code), code.name());
        tracing::info!(%remote, peer = %connection.peer().principal, %code, "session cut");
    }
}

/// Serves calls until the connection ends; gives the code for which it must be closed, if any.
async fn serve(
    relay: &Arc<Relay>,
    connection: &AcceptedConnection,
    mut shutdown: Shutdown,
) -> Option<Code> {
    let peer = Arc::new(connection.peer().clone());
    let calls_max = peer.principal.role().calls_max() as usize;
    let mut directory = relay.directory.clone();
    let bad = Arc::new(AtomicU32::new(0));
    let mut calls = JoinSet::new();
    let mut look = Instant::now() + KEYS_LOOKED_AT;
    let why = loop {
        tokio::select! {
            // SES-5.2: QUIC and yamux bound the streams; this bounds what runs.
            stream = connection.accept_call(), if calls.len() < calls_max => {
                let Ok(stream) = stream else { break None };
                let call = calls::run(
                    Arc::clone(relay), Arc::clone(&peer), stream, Arc::clone(&bad), shutdown.clone(),
                );
                calls.spawn(call);
            }
            Some(ended) = calls.join_next() => match ended {
                Ok(None) => {}
                Ok(Some(code)) => break Some(code),
                Err(panic) => note_panic(&relay.metrics, Err(panic)),
            },
            Some(newer) = directory.changed() => {
                if let Err(refusal) = check(&newer, &peer, relay, relay.clock.now()) {
                    break Some(refusal);
                }
            }
            () = sleep_until(look) => {
                look = Instant::now() + KEYS_LOOKED_AT;
                let ended = check(&relay.directory(), &peer, relay, relay.clock.now()).err();
                if let Some(code) = ended.filter(|code| *code != Code::DirectoryExpired) {
                    break Some(code);
                }
            }
            // A connection that is lost while all calls are taken would otherwise be seen late.
            _ = connection.closed() => break None,
            () = shutdown.begun() => break None,
        }
    };
    if why.is_some() {
        calls.shutdown().await;
    }
    // A stop lets the calls under way say their last word; they hear of it themselves.
    while let Some(ended) = calls.join_next().await {
        if let Err(panic) = ended {
            note_panic(&relay.metrics, Err(panic));
        }
    }
    why
}

/// SES-5.7: ends, with the reason, when a device that belongs to no account must go.
async fn stay_unenrolled(
    relay: &Relay,
    connection: &AcceptedConnection,
    places: Arc<Semaphore>,
) -> Code {
    let peer = connection.peer();
    if peer.principal.role() == Role::Device && !enrolled(relay, peer).await {
        let Ok(_place): Result<OwnedSemaphorePermit, _> = places.try_acquire_owned() else {
            return Code::TooManyConnections;
        };
        tokio::time::sleep(Duration::from_millis(ENROL_TIMEOUT_MS)).await;
        if !enrolled(relay, peer).await {
            return Code::UnknownDevice;
        }
    }
    std::future::pending().await
}

/// A store that cannot answer costs no enrolled device its session: each call asks again.
async fn enrolled(relay: &Relay, peer: &Authenticated) -> bool {
    let key = peer.key.id();
    let account = relay.on_store(move |store| store.account_of_device(&key));
    !matches!(account.await, Ok(None))
}

fn welcome(relay: &Relay, peer: &Authenticated) -> Result<Welcome, Refusal> {
    let now = relay.clock.now();
    check(&relay.directory(), peer, relay, now).map_err(|code| {
        // TRU-5.5
        if code == Code::UnknownKey {
            relay.directory.want_newer_for_stranger();
        }
        Refusal::new(code, format!("{} with key {}", peer.principal, peer.key))
    })?;
    if let Principal::Node(node) = &peer.principal {
        // Whoever calls can be called: what waits for it is tried at once.
        relay.router.heard_from(node);
    }
    Ok(Welcome {
        server_time: now,
        max_batches_in_flight: BATCHES_IN_FLIGHT_MAX,
    })
}

// SES-3.7: nodes of any authority that takes part; services and the gateway of this one alone.
// A device is known by its key to the store, call by call, since it may come to enrol.
fn check(
    directory: &Directory,
    peer: &Authenticated,
    relay: &Relay,
    now: Timestamp,
) -> Result<(), Code> {
    let owner = match &peer.principal {
        Principal::Device => return Ok(()),
        Principal::Node(node) if *node == relay.authority => {
            // Case 80: somebody says to be this node. With its key, somebody is.
            if peer.key == *relay.key.public() {
                let detail = "another process opened a session with this node's key: stop one of \
                    the two, or if it is not yours, publish a new key and revoke this one";
                relay.alarms.raise(AlarmKind::IdentityInUse, now, detail);
            }
            return Err(Code::NotAuthoritative);
        }
        Principal::Node(node) => KeyOwner::node(node.clone()),
        Principal::Service(service) if *service.authority() == relay.authority => {
            KeyOwner::service(service.clone())
        }
        Principal::Gateway(authority) if *authority == relay.authority => {
            KeyOwner::gateway(authority.clone())
        }
        Principal::Service(_) | Principal::Gateway(_) => return Err(Code::NotAuthoritative),
    };
    let known = directory.current_key(&owner, &peer.key.id(), now);
    known.map(|_| ()).map_err(|refusal| refusal.code())
}

fn note_panic(metrics: &Metrics, ended: Result<(), tokio::task::JoinError>) {
    let Err(error) = ended else { return };
    if error.is_panic() {
        metrics.session.panics_total.increment(1);
        tracing::error!(%error, "a task panicked; its stream or session ended, nothing else");
    }
}

impl From<pli_transport::Via> for metrics::Transport {
    fn from(via: pli_transport::Via) -> Self {
        match via {
            pli_transport::Via::Quic => Self::Quic,
            pli_transport::Via::WebSocket => Self::WebSocket,
        }
    }
}

impl From<Role> for metrics::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Node => Self::Node,
            Role::Service => Self::Service,
            Role::Gateway => Self::Gateway,
            Role::Device => Self::Device,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ses_7_4_case_56_a_panic_ends_its_own_call_and_is_counted() {
        let metrics = Metrics::new();
        let mut calls = JoinSet::new();
        calls.spawn(async { panic!("a fault of ours") });
        calls.spawn(async {});
        let mut well = 0;
        while let Some(ended) = calls.join_next().await {
            well += usize::from(ended.is_ok());
            note_panic(&metrics, ended);
        }
        assert_eq!(well, 1, "the other call ended in order");
        assert!(
            metrics.render().contains("pli_session_panics_total 1"),
            "{}",
            metrics.render()
        );
    }
}
