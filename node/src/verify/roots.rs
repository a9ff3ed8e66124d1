//! Which signatures over Merkle roots were checked, bounded. SIG-5.5.

use pli_protocol::limits::VERIFIED_ROOTS_MAX;
use pli_protocol::signed::{RootCheck, VerifiedRoots};

use crate::recent::Recent;

/// Spares the signature check of an envelope whose batch is known. Forgetting costs one check more.
#[derive(Debug)]
pub struct RootMemory(Recent<RootCheck, ()>);

impl Default for RootMemory {
    fn default() -> Self {
        Self(Recent::new(VERIFIED_ROOTS_MAX))
    }
}

impl VerifiedRoots for RootMemory {
    fn contains(&self, check: &RootCheck) -> bool {
        self.0.lookup(check).is_some()
    }

    fn insert(&self, check: RootCheck) {
        self.0.insert(check, ());
    }
}
