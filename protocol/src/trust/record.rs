//! What the directory says of an authority, its node and its services.

use std::collections::BTreeSet;

use crate::crypto::sign::PublicKey;
use crate::envelope::{Class, Importance};
use crate::id::{AuthorityId, ServiceId, Timestamp};

use super::term::{DisplayName, HostPort, HttpBase, LinkHost, Token, WebSocketUrl};

/// TRU-3.3: from when until when a key may sign, `not_before <= t < not_after`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// The first instant.
    pub not_before: Timestamp,
    /// The first instant after; `None` while no end is set. A revocation sets it and keeps the
    /// key listed, so that what it signed before stays verifiable.
    pub not_after: Option<Timestamp>,
}

impl Validity {
    /// Whether the key may sign at `at`.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.not_before <= at && self.not_after.is_none_or(|end| at < end)
    }

    /// Whether the key may sign at some moment from `from` to `until`, both included.
    #[must_use]
    pub fn overlaps(&self, from: Timestamp, until: Timestamp) -> bool {
        self.not_before <= until && self.not_after.is_none_or(|end| from < end)
    }
}

/// A key and its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ValidKey {
    /// The key.
    pub key: PublicKey,
    /// When it may sign.
    pub validity: Validity,
}

/// Whether new envelopes and sessions are accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Yes.
    Active,
    /// No; what was accepted before stays verifiable.
    Suspended {
        /// Since when.
        since: Timestamp,
    },
}

impl Standing {
    /// Since when it is suspended, if it is at `now`.
    #[must_use]
    pub fn suspended_at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Suspended { since } if since <= now => Some(since),
            _ => None,
        }
    }
}

/// What only the federation may grant: the file `authorities/<authority>.json`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorityRecord {
    /// Who.
    pub authority: AuthorityId,
    /// Its name for people.
    pub name: DisplayName,
    /// Whether it takes part at present.
    pub standing: Standing,
    /// May keep citizens' mailboxes.
    pub may_host: bool,
    /// May ask homes for a citizen by identity (protocol design, section 9).
    pub may_lookup: bool,
    /// Which alerts it may raise, and with whom.
    pub alerts: Vec<AlertGrant>,
    /// Which legal bases it may cite.
    pub legal_bases: BTreeSet<Token>,
    /// How much it may send.
    pub quotas: Quotas,
}

/// An alert that an authority may raise.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AlertGrant {
    /// The event's code.
    pub event: Token,
    /// Who must sign it too.
    pub cosigners: BTreeSet<AuthorityId>,
}

/// Upper bounds that the federation sets; `None` leaves the node's own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quotas {
    /// Per service and minute.
    pub envelopes_per_minute: Option<u64>,
    /// Per service and 24 hours.
    pub envelopes_per_day: Option<u64>,
    /// Per authority and 24 hours.
    pub lookups_per_day: Option<u64>,
}

/// What holds for the whole federation: the file `federation/policy.json`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// How many other authorities' nodes must have cosigned a checkpoint before the evidence in it is final (EVD-7).
    pub witnesses: usize,
}

/// How to reach an authority's node, and its keys: the file `<authority>/node.json`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeRecord {
    /// Whose node.
    pub authority: AuthorityId,
    /// TLS and receipts.
    pub keys: Vec<ValidKey>,
    /// QUIC endpoints, in the order to try.
    pub quic: Vec<HostPort>,
    /// WebSocket fallback, in the order to try.
    pub websocket: Vec<WebSocketUrl>,
    /// Where its public HTTP is: `/trust`, `/pli/log`, `/pli/witness`.
    pub http: Vec<HttpBase>,
    /// Where it gossips (UDP), in the order to try.
    pub gossip: Vec<HostPort>,
    /// Keys of its gateways.
    pub gateway_keys: Vec<ValidKey>,
    /// Keys that sign its log's checkpoints.
    pub log_keys: Vec<ValidKey>,
}

/// A sender of an authority: the file `<authority>/services/<name>.json`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceRecord {
    /// Who.
    pub service: ServiceId,
    /// Its name for citizens.
    pub name: DisplayName,
    /// Whether the authority lets it send at present.
    pub standing: Standing,
    /// Signing keys.
    pub keys: Vec<ValidKey>,
    /// Classes of envelope it may send.
    pub classes: BTreeSet<Class>,
    /// Importances it may claim.
    pub importances: BTreeSet<Importance>,
    /// Hosts that its links may lead to; others are shown but not clickable.
    pub link_hosts: BTreeSet<LinkHost>,
}

impl ServiceRecord {
    /// TRU-3.4: whether it may send such an envelope.
    #[must_use]
    pub fn may_send(&self, class: Class, importance: Importance) -> bool {
        self.classes.contains(&class) && self.importances.contains(&importance)
    }
}
