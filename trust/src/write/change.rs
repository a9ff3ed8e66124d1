//! What is asked of a federation: its keys, changes to them, changes to what an authority may do.

use pli_protocol::id::Timestamp;
use pli_protocol::trust::{AlertGrant, AuthorityRecord, DisplayName, Policy, Quotas, Token};

use super::keys::RoleKeys;
use super::state::Lifetimes;

/// A new federation: the keys of the four roles.
#[derive(Clone, Debug)]
pub struct NewFederation {
    /// k of n, offline, of several authorities.
    pub root: RoleKeys,
    /// k of n, offline.
    pub targets: RoleKeys,
    /// Online.
    pub snapshot: RoleKeys,
    /// Online.
    pub timestamp: RoleKeys,
    /// For how long each signature holds.
    pub lifetimes: Lifetimes,
}

/// New keys for some roles; `None` keeps those of now.
#[derive(Clone, Debug, Default)]
pub struct RootChange {
    /// Who holds the root.
    pub root: Option<RoleKeys>,
    /// The federation's offline role.
    pub targets: Option<RoleKeys>,
    /// Online.
    pub snapshot: Option<RoleKeys>,
    /// Online.
    pub timestamp: Option<RoleKeys>,
}

/// What to change of an authority's grants; `None` leaves things as they are.
#[derive(Clone, Debug, Default)]
pub struct GrantChange {
    /// Its name for people.
    pub name: Option<DisplayName>,
    /// May keep citizens' mailboxes.
    pub may_host: Option<bool>,
    /// May ask homes for a citizen.
    pub may_lookup: Option<bool>,
    /// Replaces the alerts it may raise.
    pub alerts: Option<Vec<AlertGrant>>,
    /// Replaces the legal bases it may cite.
    pub legal_bases: Option<Vec<Token>>,
    /// Replaces the quotas.
    pub quotas: Option<Quotas>,
}

/// Whether to suspend or to take back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suspension {
    /// From now on.
    Impose,
    /// Takes part again.
    Lift,
}

/// What a federation consists of: what is in force, and what is signed for the next publication.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Every authority in force, by name.
    pub authorities: Vec<AuthorityRecord>,
    /// Those that are new or different once what is staged is published, by name.
    pub staged_authorities: Vec<AuthorityRecord>,
    /// Versions published last; 0 before the first time: root, targets, snapshot, timestamp.
    pub published: [u64; 4],
    /// Whether something signed awaits publication.
    pub staged: bool,
    /// What holds for the whole federation: in force, before the first publication as it is staged.
    pub policy: Policy,
    /// Ends of root and targets: of those in force, before the first publication of those staged.
    pub root_expires: Timestamp,
    /// See above.
    pub targets_expires: Timestamp,
}

impl GrantChange {
    pub(super) fn apply(self, record: &mut AuthorityRecord) {
        if let Some(name) = self.name {
            record.name = name;
        }
        record.may_host = self.may_host.unwrap_or(record.may_host);
        record.may_lookup = self.may_lookup.unwrap_or(record.may_lookup);
        if let Some(alerts) = self.alerts {
            record.alerts = alerts;
        }
        if let Some(bases) = self.legal_bases {
            record.legal_bases = bases.into_iter().collect();
        }
        if let Some(quotas) = self.quotas {
            record.quotas = quotas;
        }
    }
}
