//! What an authority drafts, and how a key's time begins and ends.

use std::collections::BTreeSet;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::envelope::{Class, Importance};
use pli_protocol::id::{AuthorityId, KeyId, Timestamp};
use pli_protocol::trust::{
    DisplayName, HostPort, KeyOwner, LinkHost, NodeRecord, ServiceRecord, ValidKey, Validity,
    WebSocketUrl,
};

use super::error::WriteError;
use super::handover::hashed;
use super::keys::RoleKeys;
use crate::format::{NodeFile, ServiceFile, TargetPath};

/// A new authority.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    /// Who.
    pub authority: AuthorityId,
    /// Its name for people; the federation may correct it.
    pub name: DisplayName,
    /// The keys of its delegated role.
    pub keys: RoleKeys,
    /// For how many days its role holds.
    pub role_days: u64,
    /// Its node's first key.
    pub node_key: PublicKey,
    /// Where its node is.
    pub quic: Vec<HostPort>,
    /// The fallback.
    pub websocket: Vec<WebSocketUrl>,
}

/// What to change of the node; empty lists and `None` leave things as they are.
#[derive(Clone, Debug, Default)]
pub struct NodeChange {
    /// Replaces the QUIC endpoints.
    pub quic: Vec<HostPort>,
    /// Replaces the WebSocket endpoints.
    pub websocket: Vec<WebSocketUrl>,
    /// Listed beside the present keys.
    pub add_keys: Vec<PublicKey>,
    /// Gateways to list.
    pub add_gateway_keys: Vec<PublicKey>,
    /// Log keys to list.
    pub add_log_keys: Vec<PublicKey>,
}

/// What to change of a drafted service; empty sets leave things as they are.
#[derive(Clone, Debug, Default)]
pub struct ServiceChange {
    /// Replaces the classes.
    pub classes: BTreeSet<Class>,
    /// Replaces the importances.
    pub importances: BTreeSet<Importance>,
    /// Replaces the hosts that links may lead to.
    pub link_hosts: BTreeSet<LinkHost>,
}

/// What the last hand-over holds.
#[derive(Clone, Debug, Default)]
pub struct HandedOver {
    /// Hashed paths.
    pub(super) files: BTreeSet<String>,
    /// Its version; 0 where there is none.
    pub version: u64,
}

impl HandedOver {
    /// Whether this node, as drafted, was handed over.
    #[must_use]
    pub fn has_node(&self, node: &NodeRecord) -> bool {
        let path = TargetPath::Node(node.authority.clone());
        self.files.contains(&hashed(&path, &NodeFile::write(node)))
    }

    /// Whether this service, as drafted, was handed over.
    #[must_use]
    pub fn has_service(&self, service: &ServiceRecord) -> bool {
        let path = TargetPath::Service(service.service.clone());
        self.files
            .contains(&hashed(&path, &ServiceFile::write(service)))
    }
}

/// What a revocation did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revoked {
    /// Whose key.
    pub owner: KeyOwner,
    /// The key that signs nothing new.
    pub key: PublicKey,
    /// From when on.
    pub not_after: Timestamp,
    /// What replaces it, from the same instant.
    pub replacement: Option<PublicKey>,
}

pub(super) fn from_now(key: PublicKey, now: Timestamp) -> ValidKey {
    ValidKey {
        key,
        validity: Validity {
            not_before: whole_second(now),
            not_after: None,
        },
    }
}

/// Files hold whole seconds; downwards, so that a new key holds and an old one ends at once.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_ms(at.as_ms() / 1_000 * 1_000)
}

/// Ends one key of a holder and lists the one that takes its place (TRU-3.3).
pub(super) fn end(
    keys: &mut Vec<ValidKey>,
    owner: KeyOwner,
    which: Option<&KeyId>,
    replacement: Option<PublicKey>,
    now: Timestamp,
) -> Result<Revoked, WriteError> {
    let now = whole_second(now);
    // A key cannot end before it began.
    let in_force = |listed: &&mut ValidKey| {
        listed.validity.not_before <= now && listed.validity.not_after.is_none_or(|end| now < end)
    };
    let mut candidates: Vec<_> = keys
        .iter_mut()
        .filter(in_force)
        .filter(|listed| which.is_none_or(|id| listed.key.id() == *id))
        .collect();
    let key = match candidates.as_mut_slice() {
        [one] => {
            one.validity.not_after = Some(now);
            one.key
        }
        [] => {
            let what = which.map_or_else(
                || format!("a key in force of {owner}"),
                |id| format!("key {id} of {owner}"),
            );
            return Err(WriteError::NotInDraft { what });
        }
        several => {
            return Err(WriteError::WhichKey {
                what: owner.to_string(),
                keys: several.len(),
            });
        }
    };
    if let Some(new) = replacement {
        keys.push(from_now(new, now));
    }
    Ok(Revoked {
        owner,
        key,
        not_after: now,
        replacement,
    })
}
