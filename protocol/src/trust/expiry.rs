//! When each signed role ends, and how loud to be about it (case 78, TRU-5.1).

use std::fmt;

use crate::id::{AuthorityId, Timestamp};
use crate::limits;

/// A role of the TUF repository.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TrustRole {
    /// k of n offline keys; names all others.
    Root,
    /// The federation's offline keys: authorities and what they may do.
    Targets,
    /// Online: which files belong together.
    Snapshot,
    /// Online: which snapshot is the newest.
    Timestamp,
    /// An authority's own keys, over its own files.
    Authority(AuthorityId),
}

impl TrustRole {
    /// The federation's own roles, of which TUF has four.
    pub const TOP: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// Whether it is signed again every few days by a machine. Such a role is always within
    /// 30 days of its end, so only the last alarm means anything.
    const fn short_lived(&self) -> bool {
        matches!(self, Self::Snapshot | Self::Timestamp)
    }
}

impl fmt::Display for TrustRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Targets => f.write_str("targets"),
            Self::Snapshot => f.write_str("snapshot"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Authority(authority) => authority.fmt(f),
        }
    }
}

/// How near an expiry is. Ordered: later is louder.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Alarm {
    /// Nothing to do.
    Quiet,
    /// Within 30 days: plan the signing.
    First,
    /// Within 7 days: sign now.
    Second,
    /// Within one day.
    Last,
    /// Over: what it signed is no longer accepted.
    Expired,
}

impl Alarm {
    /// For metrics and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::First => "30 days",
            Self::Second => "7 days",
            Self::Last => "1 day",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One line of the expiry report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleExpiry {
    /// Which role.
    pub role: TrustRole,
    /// The first instant at which it is no longer accepted.
    pub expires: Timestamp,
}

impl RoleExpiry {
    /// How loud to be at `now`.
    #[must_use]
    pub fn alarm(&self, now: Timestamp) -> Alarm {
        let left = self.expires.since_ms(now);
        if left == 0 {
            Alarm::Expired
        } else if left <= limits::DIRECTORY_ALARM_LAST_MS {
            Alarm::Last
        } else if self.role.short_lived() {
            Alarm::Quiet
        } else if left <= limits::DIRECTORY_ALARM_SECOND_MS {
            Alarm::Second
        } else if left <= limits::DIRECTORY_ALARM_FIRST_MS {
            Alarm::First
        } else {
            Alarm::Quiet
        }
    }
}
