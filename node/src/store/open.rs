//! Opening a store by URL.

use std::path::Path;
use std::sync::Arc;

use pli_protocol::id::{AuthorityId, KeyId, Timestamp, to_hex};
use pli_protocol::limits;

use super::{Store, StoreError};

/// How a node opens its store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Whose node. A new store is bound to it; the store of another authority is refused (case 74).
    pub authority: AuthorityId,
    /// The node's key, which the directory lists for that authority: the caller has seen to it. The store
    /// notes which key it was last opened with; a rotation changes that and nothing else.
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
    pub fn new(authority: AuthorityId, node_key: KeyId) -> Self {
        const THIRTY_DAYS_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
        Self {
            authority,
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
    /// Envelopes of one mailbox that no device has taken yet (CUS-5.5).
    pub mailbox_envelopes: u64,
    /// Their bytes.
    pub mailbox_bytes: u64,
    /// Free bytes that the disk keeps.
    pub disk_free: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_envelopes: limits::QUEUE_ENVELOPES_MAX,
            queue_bytes: limits::QUEUE_BYTES_MAX,
            queues_bytes: 8 * limits::QUEUE_BYTES_MAX,
            mailbox_envelopes: limits::QUOTA_MAILBOX_ENVELOPES,
            mailbox_bytes: limits::QUOTA_MAILBOX_BYTES,
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
    /// Case 39: a fatal error has happened; nothing is answered any more.
    pub failed: bool,
    /// The last time given to [`Store::confirm_time`], if any was.
    pub confirmed: Option<Timestamp>,
    /// The epoch began with this opening: the store was copied, moved or restored (case 43).
    pub new_epoch: bool,
}

/// What an operator is told of a copied store.
pub const COPIED: &str = "this store was copied, moved, restored from a backup or cut short: a new epoch begins and the numbering of every account moves on. If a backup was restored, what was accepted after it is lost, and senders are not told";

/// What is known of a store without opening it.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its epoch.
    pub epoch: Epoch,
    /// The files are not where they were written: opening begins a new epoch (case 43).
    pub is_copy: bool,
    /// The key that it was last opened with, if that is another than the one given.
    pub former_key: Option<KeyId>,
    /// See [`Status::confirmed`].
    pub confirmed: Option<Timestamp>,
}

/// Whose store is at a URL and whether another process has it open; `None` when there is none. Changes nothing and
/// does not read what is in it.
pub fn look(url: &str, options: &OpenOptions) -> Result<Option<Look>, StoreError> {
    super::engine::look(directory(url)?, options)
}

fn directory(url: &str) -> Result<&Path, StoreError> {
    match url.split_once(':') {
        Some(("fjall", path)) if !path.is_empty() => Ok(Path::new(path)),
        _ => Err(StoreError::UnknownEngine { url: url.into() }),
    }
}

/// Opens the store at a URL such as `fjall:/var/lib/pli/store`, making it if there is none.
pub fn open(url: &str, options: &OpenOptions) -> Result<Arc<dyn Store>, StoreError> {
    super::engine::open(directory(url)?, options)
}
