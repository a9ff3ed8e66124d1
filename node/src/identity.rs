//! Two nodes with one identity (case 80): what can be seen of it from inside one of them.
//!
//! A second process on this machine does not get past the store's lock. A copy elsewhere shows when
//! it dials us, or when we dial an address of our own authority: only it holds our key. Both are an
//! alarm and a refusal. Two copies that never meet are seen by their peers (two receipts of one
//! node that contradict each other, two heads of one log), not here.

use std::fmt::Display;
use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::id::KeyId;

use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::metrics::AlarmKind;

/// Knows this node's key and meets everyone else's.
#[derive(Clone, Debug)]
pub struct IdentityGuard {
    own: KeyId,
    alarms: Alarms,
    clock: Arc<dyn Clock>,
}

/// A peer proved that it holds our own key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the peer at {at} holds this node's own key {key}")]
pub struct IdentityInUse {
    /// Where the peer is.
    pub at: String,
    /// The key.
    pub key: KeyId,
}

impl IdentityInUse {
    /// The wire code: nobody else may hold this name.
    pub const fn code(&self) -> Code {
        Code::AuthFailed
    }
}

impl IdentityGuard {
    /// For the node with the key `own`.
    pub fn new(own: KeyId, alarms: Alarms, clock: Arc<dyn Clock>) -> Self {
        Self { own, alarms, clock }
    }

    /// Asked of every peer that proved its key. The alarm stays until the process restarts: a
    /// copied key does not come back by itself.
    pub fn meet(&self, peer: &KeyId, at: impl Display) -> Result<(), IdentityInUse> {
        if *peer != self.own {
            return Ok(());
        }
        let found = IdentityInUse {
            at: at.to_string(),
            key: *peer,
        };
        let advice = "stop one of the two; if you run only one, the key is stolen: revoke it";
        let detail = format!("{found}; {advice}");
        self.alarms
            .raise(AlarmKind::IdentityInUse, self.clock.now(), detail);
        Err(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use crate::federation::fixture::{NOON, node_key};
    use crate::metrics::Metrics;

    #[test]
    fn case_80_a_peer_with_our_own_key_is_refused_and_is_an_alarm() {
        let alarms = Alarms::new(Arc::new(Metrics::new()));
        let clock = Arc::new(TestClock::at(NOON));
        let guard = IdentityGuard::new(node_key(7).id(), alarms.clone(), clock);
        assert_eq!(guard.meet(&node_key(8).id(), "192.0.2.1:7400"), Ok(()));
        assert!(alarms.raised().is_empty());

        let refusal = guard
            .meet(&node_key(7).id(), "192.0.2.1:7400")
            .expect_err("ours");
        assert_eq!(refusal.code(), Code::AuthFailed);
        let raised = alarms.raised();
        assert_eq!(raised[0].kind, AlarmKind::IdentityInUse);
        assert!(
            raised[0].detail.contains("192.0.2.1:7400"),
            "{}",
            raised[0].detail
        );
    }
}
