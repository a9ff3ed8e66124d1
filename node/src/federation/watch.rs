//! The directory in force, read by many and replaced by one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pli_protocol::id::Timestamp;
use pli_protocol::trust::Directory;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// A key costs a stranger nothing, so that all strangers together are looked up no more often than this (TRU-5.5).
pub(super) const STRANGER_EVERY: Duration = Duration::from_secs(60);

/// Reads the directory. Clones see the same one.
#[derive(Clone, Debug)]
pub struct DirectoryWatch {
    directory: watch::Receiver<Arc<Directory>>,
    refreshed: watch::Receiver<Refreshed>,
    wanted: Arc<Notify>,
    /// When a newer one was last wanted because of a stranger.
    stranger: Arc<Mutex<Option<Instant>>>,
}

/// Replaces the directory.
#[derive(Clone, Debug)]
pub struct Publisher {
    directory: watch::Sender<Arc<Directory>>,
    refreshed: watch::Sender<Refreshed>,
}

/// How the last refresh went.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refreshed {
    /// When the last one that succeeded ended.
    pub at: Option<Timestamp>,
    /// Why the last one failed, if it did.
    pub error: Option<String>,
}

impl Publisher {
    /// Begins with the directory that was found at start.
    pub fn new(directory: Arc<Directory>, refreshed: Refreshed) -> (Self, DirectoryWatch) {
        let (publish_directory, directory) = watch::channel(directory);
        let (publish_refreshed, refreshed) = watch::channel(refreshed);
        (
            Self {
                directory: publish_directory,
                refreshed: publish_refreshed,
            },
            DirectoryWatch {
                directory,
                refreshed,
                wanted: Arc::default(),
                stranger: Arc::default(),
            },
        )
    }

    /// Puts a newly verified directory in force. Those who wait are woken only if something may
    /// have changed: a repository that is signed again, or an expiry that moved.
    pub fn publish(&self, directory: Arc<Directory>, at: Timestamp) {
        self.replace(directory);
        self.refreshed.send_replace(Refreshed {
            at: Some(at),
            error: None,
        });
    }

    /// The same for what a peer gave: what is wrong with the configured sources is still wrong (TRU-5.6).
    pub fn publish_followed(&self, directory: Arc<Directory>, at: Timestamp) {
        self.replace(directory);
        self.refreshed
            .send_modify(|refreshed| refreshed.at = Some(at));
    }

    /// Two who publish may come in any order; the newer one stays.
    fn replace(&self, directory: Arc<Directory>) {
        self.directory.send_if_modified(|current| {
            let (ours, theirs) = (current.versions(), directory.versions());
            let changed = theirs.age() >= ours.age()
                && (theirs != ours || current.expiries() != directory.expiries());
            if changed {
                *current = directory;
            }
            changed
        });
    }

    /// A refresh failed; what is in force stays.
    pub fn failed(&self, error: String) {
        self.refreshed
            .send_modify(|refreshed| refreshed.error = Some(error));
    }
}

impl DirectoryWatch {
    /// The directory. One read lock and one count: once per batch, not per envelope.
    pub fn current(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.borrow())
    }

    /// Waits for a directory newer than the one this clone saw last. `None` once no other can come.
    /// Whoever holds sessions then asks of each peer again, and cuts those that lost their place.
    pub async fn changed(&mut self) -> Option<Arc<Directory>> {
        self.directory.changed().await.ok()?;
        Some(Arc::clone(&self.directory.borrow_and_update()))
    }

    /// Something was refused that a newer directory may allow: looks for one soon.
    pub fn want_newer(&self) {
        self.wanted.notify_one();
    }

    /// A peer showed a key that the directory does not list: it may be a new one (TRU-5.5). Whoever it is has proved
    /// nothing, so that this asks more seldom than [`Self::want_newer`].
    pub fn want_newer_for_stranger(&self) {
        let now = Instant::now();
        let mut last = self.stranger.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now >= last + STRANGER_EVERY) {
            *last = Some(now);
            self.want_newer();
        }
    }

    /// Returns when a newer one is wanted.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The channel itself, for a task that selects on it.
    pub fn receiver(&self) -> watch::Receiver<Arc<Directory>> {
        self.directory.clone()
    }

    /// How the last refresh went.
    pub fn refreshed(&self) -> Refreshed {
        self.refreshed.borrow().clone()
    }
}
