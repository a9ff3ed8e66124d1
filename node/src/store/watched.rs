//! Case 39: whichever operation meets the first fatal error, the node hears of it and ends (CUS-1.5).
//!
//! In: any [`Store`]. Out: the same one, and a channel that says once why it must not be used any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::between::{Between, Through};
use super::{Status, Store, StoreError};

/// Announces a store's first fatal error.
#[derive(Debug)]
pub struct Watched {
    failed: AtomicBool,
    announce: Mutex<Option<oneshot::Sender<String>>>,
}

impl Watched {
    /// The store, and who hears of its failure.
    pub fn over(store: Arc<dyn Store>) -> (Arc<dyn Store>, oneshot::Receiver<String>) {
        let (announce, failed) = oneshot::channel();
        let watched = Self {
            failed: AtomicBool::new(false),
            announce: Mutex::new(Some(announce)),
        };
        (Through::over(store, watched), failed)
    }
}

impl Between for Watched {
    fn after(&self, _operation: &'static str, outcome: Result<(), &StoreError>) {
        if let Err(error) = outcome
            && error.is_fatal()
        {
            self.failed.store(true, Ordering::Release);
            let mut announce = self.announce.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(announce) = announce.take() {
                // Whoever does not listen any more is ending already.
                drop(announce.send(error.to_string()));
            }
        }
    }

    fn status(&self, status: Status) -> Status {
        Status {
            failed: status.failed || self.failed.load(Ordering::Acquire),
            ..status
        }
    }
}
