//! The steps of a start before the first envelope: environment, key, directory, store. In: the
//! configuration. Out: each thing, or why it is refused. A start and `--check` ask the same questions,
//! so that what the one passes the other passes.

use std::env;
use std::sync::Arc;

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::Timestamp;
use pli_protocol::session::Principal;
use pli_protocol::trust::Environment;
use pli_transport::{
    Credential, Dialler, DiallerConfig, Identity, ListenerConfig, ListenerLimits, PlainHttp,
};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::evidence::{self, Keeper};
use crate::fatal::Fatal;
use crate::federation::{self, Found, Opened};
use crate::keys::NodeKey;
use crate::store::{self, Look, OpenOptions, Status, Store};

/// A file named here would hold the keys of every session: TLS libraries write it for debugging.
pub const KEY_LOG_VARIABLE: &str = "SSLKEYLOGFILE";

/// Refuses to start where the keys of sessions would be written down.
pub fn environment(config: &Config) -> Result<(), Fatal> {
    if config.environment == Environment::Production && env::var_os(KEY_LOG_VARIABLE).is_some() {
        return Err(Fatal::KeyLog);
    }
    Ok(())
}

/// Reads the node's key.
pub fn key(config: &Config) -> Result<NodeKey, Fatal> {
    Ok(NodeKey::load(
        &config.key,
        config.authority.clone(),
        config.environment,
    )?)
}

/// Loads the trust repository.
pub async fn trust(config: &Config, now: Timestamp) -> Result<Opened, Fatal> {
    federation::open(&config.trust, config.environment, now)
        .await
        .map_err(|error| Fatal::Trust(error.to_string()))
}

/// Finds what the trust repository holds. Changes nothing.
pub async fn look_at_trust(config: &Config, now: Timestamp) -> Result<Found, Fatal> {
    federation::look(&config.trust, config.environment, now)
        .await
        .map_err(|error| Fatal::Trust(error.to_string()))
}

/// Opens the store, making it if there is none.
pub fn store(config: &Config, key: &NodeKey) -> Result<Arc<dyn Store>, Fatal> {
    store::open(&config.store.url.to_string(), &store_options(config, key))
        .map_err(|error| Fatal::StoreOpen(error.to_string()))
}

/// Opens the evidence log, making it if there is none; `None` where the operator wants none.
pub fn evidence(
    config: &Config,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Option<Arc<Keeper>>, Fatal> {
    if !config.evidence.enabled {
        return Ok(None);
    }
    let key = log_key(config)?;
    let Status {
        epoch, confirmed, ..
    } = store.status();
    let keeper = Keeper::open(&config.evidence.folder, &config.authority, key, epoch, now);
    let keeper = keeper.map_err(|error| Fatal::EvidenceOpen(error.to_string()))?;
    Ok(Some(Arc::new(match confirmed {
        Some(_) => keeper.beside_a_used_store(),
        None => keeper,
    })))
}

/// Reads the key of the evidence log.
pub fn log_key(config: &Config) -> Result<SigningKey, Fatal> {
    Ok(NodeKey::load_log_key(
        &config.evidence.key,
        config.environment,
    )?)
}

/// Whose log is there, and whether it goes on beside that store. Changes nothing.
pub fn look_at_evidence(config: &Config, store: Option<&Look>) -> Result<evidence::Look, Fatal> {
    let epoch = store
        .filter(|store| !store.is_copy)
        .map(|store| store.epoch);
    let mut look = evidence::look(&config.evidence.folder, &config.authority, epoch)
        .map_err(|error| Fatal::EvidenceOpen(error.to_string()))?;
    if look.began.is_none() && store.is_some_and(|store| store.confirmed.is_some()) {
        look.anew = Some(evidence::NO_LOG.to_owned());
    }
    Ok(look)
}

/// Case 17: a person says that the clock is right. For a node that does not run and has a store.
pub fn confirm_clock(config: &Config, now: Timestamp) -> Result<Timestamp, Fatal> {
    let key = key(config)?;
    if look_at_store(config, &key)?.is_none() {
        return Err(Fatal::StoreOpen("there is none yet".to_owned()));
    }
    store(config, &key)?
        .confirm_time(now)
        .map_err(|error| Fatal::StoreFailed(error.to_string()))?;
    Ok(now)
}

/// Whose store is there, if there is one. Changes nothing.
pub fn look_at_store(config: &Config, key: &NodeKey) -> Result<Option<Look>, Fatal> {
    store::look(&config.store.url.to_string(), &store_options(config, key))
        .map_err(|error| Fatal::StoreOpen(error.to_string()))
}

fn store_options(config: &Config, key: &NodeKey) -> OpenOptions {
    let mut options = OpenOptions::new(config.authority.clone(), key.id());
    options.limits.queue_envelopes = config.quotas.queue_envelopes;
    options.limits.queue_bytes = config.quotas.queue_bytes.0;
    options.limits.mailbox_envelopes = config.quotas.mailbox_envelopes;
    options.limits.mailbox_bytes = config.quotas.mailbox_bytes.0;
    options.limits.disk_free = config.store.min_free.0;
    let kept = config.store.evidence_kept.0.as_millis();
    options.custody_retention_ms = u64::try_from(kept).unwrap_or(u64::MAX);
    options
}

/// What dials other nodes, where the operator lets it.
pub fn dialler(config: &Config, key: &NodeKey) -> Dialler {
    let credential = Credential {
        principal: Principal::Node(config.authority.clone()),
        key: Arc::new(key.key.clone()),
    };
    let dialling = DiallerConfig {
        private_networks: config.dial.networks(),
        ..DiallerConfig::default()
    };
    Dialler::with_config(credential, dialling)
}

/// How sessions come in, and plain HTTP on the same port.
pub fn listener(
    config: &Config,
    key: &NodeKey,
    http: mpsc::Sender<PlainHttp>,
) -> Result<ListenerConfig, Fatal> {
    let identity =
        Identity::new(key.key.clone()).map_err(|error| Fatal::Internal(error.to_string()))?;
    Ok(ListenerConfig {
        identity,
        authority: config.authority.clone(),
        quic: Some(*config.listen.quic),
        websocket: Some(*config.listen.websocket),
        http: Some(http),
        limits: ListenerLimits {
            connections: config.caps.connections,
            connections_per_address: config.caps.connections_per_address,
            connections_per_key: config.caps.connections_per_key,
            handshakes: config.caps.handshakes,
            ..ListenerLimits::default()
        },
    })
}
