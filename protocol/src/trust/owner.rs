//! Who holds a key, and for what.

use std::fmt;

use crate::id::{AuthorityId, ServiceId};

/// What a key is for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum KeyRole {
    /// TLS of the node and its receipts.
    Node,
    /// A gateway of the authority.
    Gateway,
    /// Checkpoints of the node's log.
    Log,
    /// Envelopes of a service.
    Service(ServiceId),
}

/// Who holds a key, and for what.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyOwner {
    /// Whose.
    pub authority: AuthorityId,
    /// What for.
    pub role: KeyRole,
}

impl KeyOwner {
    /// The node of `authority`.
    #[must_use]
    pub const fn node(authority: AuthorityId) -> Self {
        Self {
            authority,
            role: KeyRole::Node,
        }
    }

    /// A gateway of `authority`.
    #[must_use]
    pub const fn gateway(authority: AuthorityId) -> Self {
        Self {
            authority,
            role: KeyRole::Gateway,
        }
    }

    /// The log of `authority`.
    #[must_use]
    pub const fn log(authority: AuthorityId) -> Self {
        Self {
            authority,
            role: KeyRole::Log,
        }
    }

    /// A service.
    #[must_use]
    pub fn service(service: ServiceId) -> Self {
        Self {
            authority: service.authority().clone(),
            role: KeyRole::Service(service),
        }
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            KeyRole::Node => write!(f, "the node of {}", self.authority),
            KeyRole::Gateway => write!(f, "the gateway of {}", self.authority),
            KeyRole::Log => write!(f, "the log of {}", self.authority),
            KeyRole::Service(service) => service.fmt(f),
        }
    }
}
