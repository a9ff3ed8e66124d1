//! Opening a store by URL.

use std::path::Path;
use std::sync::Arc;

use pli_protocol::id::{KeyId, to_hex};
use pli_protocol::limits;

use super::{Store, StoreError};

/// How a node opens its store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The node's key. A new store is bound to it; a store of another node is refused (case 74).
    pub node_key: KeyId,
    /// How long after an envelope's expiry its custody can still be asked.
    pub custody_retention_ms: u64,
    /// The operator says that this is a restored backup: begin a new epoch (case 43). A copied directory is
    /// recognised without it; a volume rolled back below the file system is not.
    pub restored: bool,
    /// Bounds.
    pub limits: Limits,
}

impl OpenOptions {
    /// The defaults for a node.
    pub fn new(node_key: KeyId) -> Self {
        const THIRTY_DAYS_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
        Self {
            node_key,
            custody_retention_ms: THIRTY_DAYS_MS,
            restored: false,
            limits: Limits::default(),
        }
    }
}

/// Bounds of a store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Envelopes waiting for one destination.
    pub queue_envelopes: u64,
    /// Bytes waiting for one destination.
    pub queue_bytes: u64,
    /// Bytes waiting for all destinations.
    pub queues_bytes: u64,
    /// Free bytes that the disk keeps.
    pub disk_free: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_envelopes: limits::QUEUE_ENVELOPES_MAX,
            queue_bytes: limits::QUEUE_BYTES_MAX,
            queues_bytes: 8 * limits::QUEUE_BYTES_MAX,
            disk_free: limits::DISK_FREE_MIN,
        }
    }
}

/// One unbroken history of a store. A restored backup begins a new one (case 43).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Epoch {
    /// Counts from 1.
    pub number: u64,
    /// Random.
    pub id: [u8; 16],
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.number, to_hex(&self.id))
    }
}

/// The store's own state, for operators.
#[derive(Clone, Debug)]
pub struct Status {
    /// The engine's name.
    pub engine: &'static str,
    /// Its format version.
    pub format: u32,
    /// Its epoch.
    pub epoch: Epoch,
    /// Bytes waiting for all destinations.
    pub queued_bytes: u64,
    /// Records put aside as damaged since the store was made.
    pub quarantined: u64,
    /// Bytes of the log: envelopes, evidence, accounts.
    pub log_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Free bytes of the file system.
    pub free_bytes: u64,
    /// Appending is refused for want of space.
    pub read_only: bool,
}

/// Opens the store at a URL such as `fjall:/var/lib/pli/store`, making it if there is none.
pub fn open(url: &str, options: &OpenOptions) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("fjall", path)) if !path.is_empty() => super::engine::open(Path::new(path), options),
        _ => Err(StoreError::UnknownEngine { url: url.into() }),
    }
}
