//! Which signatures over Merkle roots were checked, bounded. SIG-5.5.

use std::sync::Arc;

use pli_protocol::limits::VERIFIED_ROOTS_MAX;
use pli_protocol::signed::{RootCheck, VerifiedRoots};

use crate::metrics::{Metrics, RootCache};
use crate::recent::Recent;

/// Spares the signature check of an envelope whose batch is known. Forgetting costs one check more.
#[derive(Debug)]
pub struct RootMemory {
    recent: Recent<RootCheck, ()>,
    metrics: Arc<Metrics>,
}

impl RootMemory {
    /// Remembers nothing yet, and counts what it is asked.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            recent: Recent::new(VERIFIED_ROOTS_MAX),
            metrics,
        }
    }
}

#[cfg(test)]
impl Default for RootMemory {
    fn default() -> Self {
        Self::new(Arc::new(Metrics::new()))
    }
}

impl VerifiedRoots for RootMemory {
    fn contains(&self, check: &RootCheck) -> bool {
        let known = self.recent.lookup(check).is_some();
        let outcome = if known {
            RootCache::Hit
        } else {
            RootCache::Miss
        };
        self.metrics.verify.roots_total.of(outcome).increment(1);
        known
    }

    fn insert(&self, check: RootCheck) {
        self.recent.insert(check, ());
    }
}
