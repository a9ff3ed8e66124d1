//! What an authority drafts, and how a key's time begins and ends.

use std::collections::BTreeSet;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::envelope::{Class, Importance};
use pli_protocol::id::{AuthorityId, KeyId, Timestamp};
use pli_protocol::trust::{
    DisplayName, HostPort, HttpBase, KeyOwner, LinkHost, NodeRecord, ServiceRecord, ValidKey,
    Validity, WebSocketUrl,
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
    /// Its public HTTP.
    pub http: Vec<HttpBase>,
    /// Where it gossips.
    pub gossip: Vec<HostPort>,
    /// The first key of its log; without one its evidence convinces nobody.
    pub log_key: Option<PublicKey>,
}

/// What to change of the node; empty lists and `None` leave things as they are.
#[derive(Clone, Debug, Default)]
pub struct NodeChange {
    /// Replaces the QUIC endpoints.
    pub quic: Vec<HostPort>,
    /// Replaces the WebSocket endpoints.
    pub websocket: Vec<WebSocketUrl>,
    /// Replaces the addresses of public HTTP.
    pub http: Vec<HttpBase>,
    /// Replaces the gossip endpoints.
    pub gossip: Vec<HostPort>,
    /// Listed beside the present keys.
    pub add_keys: Vec<PublicKey>,
    /// Gateways to list.
    pub add_gateway_keys: Vec<PublicKey>,
    /// Log keys to list.
    pub add_log_keys: Vec<PublicKey>,
}

/// What to change of a drafted service; what is empty leaves things as they are.
#[derive(Clone, Debug, Default)]
pub struct ServiceChange {
    /// Listed beside the present keys.
    pub add_keys: Vec<PublicKey>,
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
    /// From when on: the whole second that ends after the revocation, or with it.
    pub not_after: Timestamp,
    /// What replaces it, at once.
    pub replacement: Option<PublicKey>,
}

/// A key that holds at once, from the second that has begun: files hold whole seconds.
pub(super) fn from_now(key: PublicKey, now: Timestamp) -> ValidKey {
    ValidKey {
        key,
        validity: Validity {
            not_before: Timestamp::from_ms(now.as_ms() / SECOND_MS * SECOND_MS),
            not_after: None,
        },
    }
}

/// Lists a further key of a holder.
pub(super) fn list(
    keys: &mut Vec<ValidKey>,
    owner: &KeyOwner,
    key: PublicKey,
    now: Timestamp,
) -> Result<(), WriteError> {
    if keys.iter().any(|listed| listed.key == key) {
        return Err(WriteError::KeyListed {
            key: key.into(),
            owner: owner.clone().into(),
        });
    }
    keys.push(from_now(key, now));
    Ok(())
}

/// Ends one key of a holder and lists the one that takes its place (TRU-3.3).
pub(super) fn end(
    keys: &mut Vec<ValidKey>,
    owner: KeyOwner,
    which: Option<&KeyId>,
    replacement: Option<PublicKey>,
    at: Timestamp,
) -> Result<Revoked, WriteError> {
    let index = match which {
        Some(id) => named(keys, &owner, id, at)?,
        None => only(keys, &owner, at)?,
    };
    let not_after = end_of(&keys[index].validity, at);
    let key = keys[index].key;
    if let Some(new) = replacement {
        list(keys, &owner, new, at)?;
    }
    keys[index].validity.not_after = Some(not_after);
    Ok(Revoked {
        owner,
        key,
        not_after,
        replacement,
    })
}

/// The first whole second of which nothing that was signed before `at` is left out (TRU-3.3). A key that
/// began in the same second keeps one: otherwise it would never have been valid.
fn end_of(validity: &Validity, at: Timestamp) -> Timestamp {
    let up = Timestamp::from_ms(at.as_ms().div_ceil(SECOND_MS) * SECOND_MS);
    up.max(validity.not_before.plus_ms(SECOND_MS))
}

/// An end is moved forwards, to when a key was stolen, and never put off.
fn can_end(validity: &Validity, at: Timestamp) -> bool {
    validity
        .not_after
        .is_none_or(|end| end_of(validity, at) < end)
}

fn named(
    keys: &[ValidKey],
    owner: &KeyOwner,
    id: &KeyId,
    at: Timestamp,
) -> Result<usize, WriteError> {
    let index = keys.iter().position(|listed| listed.key.id() == *id);
    let index = index.ok_or_else(|| WriteError::NotInDraft {
        what: format!("key {id} of {owner}"),
    })?;
    let ValidKey { key, validity } = keys[index];
    if at < validity.not_before {
        return Err(WriteError::EndsBeforeItBegins {
            key: key.into(),
            owner: owner.clone().into(),
            begins: validity.not_before,
            ends: at,
        });
    }
    match validity.not_after {
        Some(ended) if !can_end(&validity, at) => Err(WriteError::EndedAlready {
            key: key.into(),
            owner: owner.clone().into(),
            ended,
        }),
        _ => Ok(index),
    }
}

fn only(keys: &[ValidKey], owner: &KeyOwner, at: Timestamp) -> Result<usize, WriteError> {
    let in_force =
        |listed: &ValidKey| listed.validity.not_before <= at && can_end(&listed.validity, at);
    let goes_on = |n: &usize| keys[*n].validity.not_after.is_none();
    let mut candidates: Vec<usize> = (0..keys.len()).filter(|&n| in_force(&keys[n])).collect();
    // An end that is moved forwards leaves the key of today in force: nobody means that without saying so.
    if !candidates.is_empty() && !candidates.iter().any(goes_on) {
        candidates.extend((0..keys.len()).filter(goes_on));
    }
    match candidates.as_slice() {
        [one] => Ok(*one),
        [] => Err(WriteError::NoKeyInForce {
            owner: owner.clone().into(),
        }),
        several => Err(WriteError::WhichKey {
            owner: owner.clone().into(),
            keys: several.iter().map(|&n| keys[n].key).collect(),
        }),
    }
}

const SECOND_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn key() -> PublicKey {
        *crate::keyfile::generate().unwrap().public()
    }

    fn owner() -> KeyOwner {
        KeyOwner::service("rdv@interieur.gouv.fr".parse().unwrap())
    }

    /// TRU-3.3: what was signed in the second of the revocation, before it, stays verifiable.
    #[test]
    fn tru_3_3_nothing_signed_before_a_revocation_falls_outside() {
        let mut keys = vec![from_now(key(), NOW)];
        let revoked = end(&mut keys, owner(), None, None, NOW.plus_ms(60_999)).unwrap();
        assert_eq!(revoked.not_after, NOW.plus_ms(61_000));
        assert!(keys[0].validity.contains(NOW.plus_ms(60_998)));
        // On the second it ends at once.
        let mut keys = vec![from_now(key(), NOW)];
        let revoked = end(&mut keys, owner(), None, None, NOW.plus_ms(60_000)).unwrap();
        assert_eq!(revoked.not_after, NOW.plus_ms(60_000));
    }

    /// The one of today began after it: which of the two was stolen has to be said.
    #[test]
    fn tru_3_3_a_key_that_has_ended_is_ended_earlier_only_if_it_is_named() {
        let mut keys = vec![from_now(key(), NOW)];
        let replaced = NOW.plus_ms(3_600_000);
        end(&mut keys, owner(), None, Some(key()), replaced).unwrap();
        let stolen = NOW.plus_ms(60_000);
        let which = end(&mut keys, owner(), None, None, stolen).unwrap_err();
        assert!(matches!(which, WriteError::WhichKey { keys, .. } if keys.len() == 2));
        let first = keys[0].key.id();
        let revoked = end(&mut keys, owner(), Some(&first), None, stolen).unwrap();
        assert_eq!(revoked.not_after, stolen);
    }

    #[test]
    fn tru_3_3_a_key_that_is_listed_and_ended_at_once_was_valid_for_a_second() {
        for (begins_ms, ends_ms) in [(0, 0), (0, 1), (1, 999), (999, 999)] {
            let mut keys = vec![from_now(key(), NOW.plus_ms(begins_ms))];
            let revoked = end(&mut keys, owner(), None, None, NOW.plus_ms(ends_ms)).unwrap();
            assert_eq!(revoked.not_after, NOW.plus_ms(1_000));
            assert!(keys[0].validity.contains(NOW), "{begins_ms} {ends_ms}");
        }
    }

    #[test]
    fn a_key_that_has_its_end_is_not_ended_again_but_for_a_theft_before() {
        let (first, second) = (key(), key());
        let mut keys = vec![from_now(first, NOW)];
        let at = |ms: u64| NOW.plus_ms(60_000 + ms);
        end(&mut keys, owner(), None, Some(second), at(100)).unwrap();
        let before = keys.clone();
        for (which, ms) in [(first, 100), (first, 999), (first, 5_000)] {
            let error = end(&mut keys, owner(), Some(&which.id()), None, at(ms)).unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, WriteError::EndedAlready { .. }), "{said}");
            assert!(said.contains("2027-01-15 08:01:01 UTC"), "{said}");
            assert!(said.contains("set-service rdv --service-key"), "{said}");
        }
        assert_eq!(keys, before, "a refusal changes nothing");
        // In the same second, unnamed: only the key that took its place can be meant.
        let revoked = end(&mut keys, owner(), None, None, at(200)).unwrap();
        assert_eq!(revoked.key, second);
        let error = end(&mut keys, owner(), None, None, at(300)).unwrap_err();
        assert!(matches!(error, WriteError::NoKeyInForce { .. }), "{error}");
        // It turns out that the first was stolen before.
        let theft = NOW.plus_ms(30_000);
        let revoked = end(&mut keys, owner(), Some(&first.id()), None, theft).unwrap();
        assert_eq!(revoked.not_after, theft);
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let (first, second) = (key(), key());
        let mut keys = vec![from_now(first, NOW), from_now(second, NOW)];
        let before = keys.clone();
        let early = Timestamp::from_ms(NOW.as_ms() - 1);
        let error = end(&mut keys, owner(), Some(&first.id()), None, early).unwrap_err();
        assert!(
            matches!(error, WriteError::EndsBeforeItBegins { .. }),
            "{error}"
        );
        let error = end(&mut keys, owner(), None, None, NOW)
            .unwrap_err()
            .to_string();
        for part in [
            "2 keys that could be meant",
            &first.to_string(),
            &second.to_string(),
        ] {
            assert!(error.contains(part), "{error}");
        }
        // A key that is listed already takes nobody's place.
        let error = end(&mut keys, owner(), Some(&first.id()), Some(second), NOW).unwrap_err();
        assert!(matches!(error, WriteError::KeyListed { .. }), "{error}");
        assert_eq!(keys, before);
    }
}
