//! The rows of envelopes that were queued a moment ago. Most are settled within seconds, and reading a
//! random row back from a table costs more than all the rest of settling it.

use std::collections::HashMap;

use bytes::Bytes;
use pli_protocol::id::EnvelopeId;

/// Rows of one generation. Two are kept, about 8 MiB when full.
const GENERATION_MAX: usize = 16_384;

/// Invariant: what is here is what the index has. Every later write of such a row takes it out.
#[derive(Debug, Default)]
pub(super) struct Recent {
    young: HashMap<EnvelopeId, Bytes>,
    old: HashMap<EnvelopeId, Bytes>,
}

impl Recent {
    pub(super) fn insert(&mut self, id: EnvelopeId, row: Bytes) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, row);
    }

    pub(super) fn get(&self, id: &EnvelopeId) -> Option<Bytes> {
        self.young.get(id).or_else(|| self.old.get(id)).cloned()
    }

    pub(super) fn remove(&mut self, id: &EnvelopeId) {
        self.young.remove(id);
        self.old.remove(id);
    }
}
