//! Whom to tell that submitting must be tried again.

use std::fmt;
use std::sync::Arc;

use pli_protocol::code::{Blame, Code};

use super::submit::SubmitError;

/// Whom to tell that something must be tried again.
#[derive(Clone, Default)]
pub struct OnTrouble(Option<Arc<Tell>>);

type Tell = dyn Fn(&SubmitError) + Send + Sync;

impl OnTrouble {
    /// Calls `tell`.
    pub fn new(tell: impl Fn(&SubmitError) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(super) fn tell(&self, error: &SubmitError) {
        if let Some(tell) = &self.0 {
            tell(error);
        }
    }
}

impl fmt::Debug for OnTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnTrouble({})", self.0.is_some())
    }
}

/// Whether a node that refuses a letter with this code may take it in seconds: it is busy or about
/// to stop. A quota or a full mailbox is also worth another try, but not now; that is the caller's.
pub(super) fn passes_soon(code: Code) -> bool {
    code.retryable() && (code.blame() == Blame::Ours || code == Code::NotYetValid)
}
