//! One verified state of the directory, and the questions a node asks of it.

use std::collections::HashMap;

use crate::crypto::sign::PublicKey;
use crate::envelope::{Class, Importance};
use crate::id::{AuthorityId, KeyId, ServiceId, Timestamp};
use crate::limits::CLOCK_SKEW_MAX_MS;

use super::expiry::{Alarm, RoleExpiry, TrustRole};
use super::owner::{KeyOwner, KeyRole};
use super::record::{AuthorityRecord, NodeRecord, Policy, ServiceRecord, ValidKey};
use super::refusal::{RecordRefusal, TrustRefusal};
use super::versions::Versions;

/// Whether published example keys are tolerated. R9.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Environment {
    /// Published keys are refused.
    Production,
    /// `--dev`: they are accepted.
    Development,
}

/// Something in the repository that was left out, and why. The operator must see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Whose file it is.
    pub authority: AuthorityId,
    /// Why it was left out.
    pub refusal: RecordRefusal,
}

/// One verified state of the directory. Immutable: a refresh makes a new one.
///
/// Two kinds of question, never to be mixed:
/// - *now* ([`sender_key`](Self::sender_key), [`current_key`](Self::current_key), [`home`](Self::home)): may this
///   be accepted? Asks the expiries, the standing and the key's time.
/// - *then* ([`service_key_at`](Self::service_key_at), [`key_at`](Self::key_at)): was this signed rightly? Asks
///   only whether the key was valid at the logged time.
#[derive(Clone, Debug)]
pub struct Directory {
    pub(super) versions: Versions,
    /// Root, targets, snapshot, timestamp, then the authorities.
    pub(super) expiries: Vec<RoleExpiry>,
    /// The earliest of the four top-level roles.
    pub(super) expires: Timestamp,
    pub(super) members: HashMap<AuthorityId, Member>,
    pub(super) services: HashMap<ServiceId, ServiceRecord>,
    /// Invariant: in the order of listing; more than one only if two authorities list one key.
    pub(super) owners: HashMap<KeyId, Vec<KeyOwner>>,
    pub(super) findings: Vec<Finding>,
    pub(super) policy: Policy,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) record: AuthorityRecord,
    /// `None` until its delegated role is known: then nothing that it says is in force.
    pub(super) expires: Option<Timestamp>,
    pub(super) node: Option<NodeRecord>,
    pub(super) services: usize,
}

/// May this be accepted now?
impl Directory {
    /// TRU-4.1: refuses once a top-level role has expired: freeze, or a federation asleep.
    pub fn in_force(&self, now: Timestamp) -> Result<(), TrustRefusal> {
        if now < self.expires {
            Ok(())
        } else {
            Err(TrustRefusal::DirectoryExpired {
                expires: self.expires,
                now,
            })
        }
    }

    /// An authority that takes part at `now`.
    pub fn active(
        &self,
        authority: &AuthorityId,
        now: Timestamp,
    ) -> Result<&AuthorityRecord, TrustRefusal> {
        self.active_member(authority, now)
            .map(|member| &member.record)
    }

    /// The key with which `service` signs a new envelope (TRU-4.2, TRU-4.3). The hot path.
    pub fn sender_key(
        &self,
        service: &ServiceId,
        key: &KeyId,
        now: Timestamp,
    ) -> Result<&PublicKey, TrustRefusal> {
        let record = self.active_service(service, now)?;
        find(&record.keys, key, (now, now), || {
            KeyOwner::service(service.clone())
        })
    }

    /// TRU-4.8: the key of an envelope that the sender's own node accepted before it came here. The sender
    /// must take part at `now`; the key must have been valid when that node can have accepted it.
    pub fn accepted_key(
        &self,
        service: &ServiceId,
        key: &KeyId,
        created: Timestamp,
        now: Timestamp,
    ) -> Result<&PublicKey, TrustRefusal> {
        self.active_service(service, now)?;
        self.service_key_accepted(service, key, created, now)
    }

    fn active_service(
        &self,
        service: &ServiceId,
        now: Timestamp,
    ) -> Result<&ServiceRecord, TrustRefusal> {
        self.active_member(service.authority(), now)?;
        let record = self.service(service)?;
        match record.standing.suspended_at(now) {
            Some(since) => Err(TrustRefusal::Suspended {
                owner: KeyOwner::service(service.clone()),
                since,
            }),
            None => Ok(record),
        }
    }

    /// TRU-4.4: whether `service` may send a new envelope of this class and importance.
    pub fn may_send(
        &self,
        service: &ServiceId,
        class: Class,
        importance: Importance,
    ) -> Result<(), TrustRefusal> {
        if self.service(service)?.may_send(class, importance) {
            Ok(())
        } else {
            Err(TrustRefusal::ClassNotAllowed {
                service: service.clone(),
                class,
                importance,
            })
        }
    }

    /// TRU-4.6: the key with which `owner` opens a session or signs a receipt now.
    pub fn current_key(
        &self,
        owner: &KeyOwner,
        key: &KeyId,
        now: Timestamp,
    ) -> Result<&PublicKey, TrustRefusal> {
        if let KeyRole::Service(service) = &owner.role {
            return self.sender_key(service, key, now);
        }
        self.active_member(&owner.authority, now)?;
        self.key_at(owner, key, now)
    }

    /// TRU-4.6, TRU-4.7: the keys that a dialler pins when it calls the node of `authority`.
    pub fn node_keys(
        &self,
        authority: &AuthorityId,
        now: Timestamp,
    ) -> Result<impl Iterator<Item = &PublicKey>, TrustRefusal> {
        self.active_member(authority, now)?;
        let keys = self.node_of(authority)?.keys.iter();
        Ok(keys
            .filter(move |key| key.validity.contains(now))
            .map(|key| &key.key))
    }

    /// TRU-4.5: the node of an authority that may keep citizens' mailboxes.
    pub fn home(
        &self,
        authority: &AuthorityId,
        now: Timestamp,
    ) -> Result<&NodeRecord, TrustRefusal> {
        if !self.active_member(authority, now)?.record.may_host {
            return Err(TrustRefusal::CannotHost {
                authority: authority.clone(),
            });
        }
        self.node_of(authority)
    }

    fn active_member(
        &self,
        authority: &AuthorityId,
        now: Timestamp,
    ) -> Result<&Member, TrustRefusal> {
        self.in_force(now)?;
        let member = self.member(authority)?;
        if let Some(since) = member.record.standing.suspended_at(now) {
            let owner = KeyOwner::node(authority.clone());
            return Err(TrustRefusal::Suspended { owner, since });
        }
        let expires = member.expires.unwrap_or_default();
        if now < expires {
            Ok(member)
        } else {
            Err(TrustRefusal::AuthorityExpired {
                authority: authority.clone(),
                expires,
                now,
            })
        }
    }
}

/// Was this signed rightly then?
impl Directory {
    /// The key with which `service` signed at `at`. Neither expiry nor suspension matters: what was
    /// signed and logged before stays verifiable.
    pub fn service_key_at(
        &self,
        service: &ServiceId,
        key: &KeyId,
        at: Timestamp,
    ) -> Result<&PublicKey, TrustRefusal> {
        find(&self.service(service)?.keys, key, (at, at), || {
            KeyOwner::service(service.clone())
        })
    }

    /// TRU-4.8: the key of an envelope that its sender's node accepted after it was created, and that somebody
    /// else stored at `stored`. Neither expiry nor suspension matters.
    pub fn service_key_accepted(
        &self,
        service: &ServiceId,
        key: &KeyId,
        created: Timestamp,
        stored: Timestamp,
    ) -> Result<&PublicKey, TrustRefusal> {
        // A node accepts what was created up to the allowed skew ahead of its clock (ENV-4.6).
        let earliest = Timestamp::from_ms(created.as_ms().saturating_sub(CLOCK_SKEW_MAX_MS));
        let span = (earliest.min(stored), stored);
        find(&self.service(service)?.keys, key, span, || {
            KeyOwner::service(service.clone())
        })
    }

    /// The same for a node, a gateway, a log or a service.
    pub fn key_at(
        &self,
        owner: &KeyOwner,
        key: &KeyId,
        at: Timestamp,
    ) -> Result<&PublicKey, TrustRefusal> {
        let keys = match &owner.role {
            KeyRole::Service(service) => return self.service_key_at(service, key, at),
            KeyRole::Node => &self.node_of(&owner.authority)?.keys,
            KeyRole::Gateway => &self.node_of(&owner.authority)?.gateway_keys,
            KeyRole::Log => &self.node_of(&owner.authority)?.log_keys,
        };
        find(keys, key, (at, at), || owner.clone())
    }
}

/// What it holds.
impl Directory {
    /// What the federation says of an authority.
    pub fn authority(&self, authority: &AuthorityId) -> Result<&AuthorityRecord, TrustRefusal> {
        self.member(authority).map(|member| &member.record)
    }

    /// The node of an authority.
    pub fn node_of(&self, authority: &AuthorityId) -> Result<&NodeRecord, TrustRefusal> {
        let node = self.member(authority)?.node.as_ref();
        node.ok_or_else(|| TrustRefusal::NoNode {
            authority: authority.clone(),
        })
    }

    /// A service.
    pub fn service(&self, service: &ServiceId) -> Result<&ServiceRecord, TrustRefusal> {
        match self.services.get(service) {
            Some(record) => Ok(record),
            None => {
                self.member(service.authority())?;
                Err(TrustRefusal::UnknownService {
                    service: service.clone(),
                })
            }
        }
    }

    /// Who lists this key, and for what. More than one only if two authorities claim one key; so
    /// this is for messages and tables, and what is decided asks for a named owner instead.
    #[must_use]
    pub fn owners(&self, key: &KeyId) -> &[KeyOwner] {
        self.owners.get(key).map_or(&[], Vec::as_slice)
    }

    /// Every authority, in no order.
    pub fn authorities(&self) -> impl Iterator<Item = &AuthorityRecord> {
        self.members.values().map(|member| &member.record)
    }

    /// Every service, in no order.
    pub fn services(&self) -> impl Iterator<Item = &ServiceRecord> {
        self.services.values()
    }

    /// The versions of the top-level roles.
    #[must_use]
    pub const fn versions(&self) -> Versions {
        self.versions
    }

    /// From when on nothing new is accepted.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Each role and its end: root, targets, snapshot, timestamp, then the authorities by name.
    #[must_use]
    pub fn expiries(&self) -> &[RoleExpiry] {
        &self.expiries
    }

    /// TRU-5.1: the loudest alarm at `now` over the roles that this node depends on: the federation's, and
    /// those of `own`. Another authority's lapse is its own affair.
    #[must_use]
    pub fn alarm(&self, own: &AuthorityId, now: Timestamp) -> Alarm {
        let concerns = |role: &TrustRole| match role {
            TrustRole::Authority(authority) => authority == own,
            _ => true,
        };
        let roles = self.expiries.iter().filter(|line| concerns(&line.role));
        roles
            .map(|line| line.alarm(now))
            .max()
            .unwrap_or(Alarm::Expired)
    }

    /// What holds for the whole federation.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// What was left out, and why.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn member(&self, authority: &AuthorityId) -> Result<&Member, TrustRefusal> {
        let member = self.members.get(authority);
        member.ok_or_else(|| TrustRefusal::UnknownAuthority {
            authority: authority.clone(),
        })
    }
}

fn find<'a>(
    keys: &'a [ValidKey],
    id: &KeyId,
    (from, until): (Timestamp, Timestamp),
    owner: impl Fn() -> KeyOwner,
) -> Result<&'a PublicKey, TrustRefusal> {
    let listed = keys.iter().find(|listed| listed.key.id() == *id);
    let listed = listed.ok_or_else(|| TrustRefusal::UnknownKey {
        owner: owner(),
        key: *id,
    })?;
    if listed.validity.overlaps(from, until) {
        return Ok(&listed.key);
    }
    Err(TrustRefusal::KeyNotValid {
        owner: owner(),
        key: *id,
        at: until,
        not_before: listed.validity.not_before,
        not_after: listed.validity.not_after,
    })
}
