//! From records to a [`Directory`] (TRU-3.5): every bound, and every check that needs more than one record.

use std::collections::{HashMap, HashSet};

use crate::id::{AuthorityId, Timestamp};
use crate::limits;

use super::directory::{Directory, Environment, Finding, Member};
use super::expiry::{RoleExpiry, TrustRole};
use super::owner::KeyOwner;
use super::published::is_published;
use super::record::{AuthorityRecord, NodeRecord, Policy, ServiceRecord, ValidKey};
use super::refusal::RecordRefusal;
use super::versions::Versions;

/// Takes records one by one. A record that is refused is left out and the rest goes on: one
/// authority's fault must not take the directory from the others.
#[derive(Debug)]
pub struct DirectoryBuilder {
    environment: Environment,
    directory: Directory,
}

impl DirectoryBuilder {
    /// An empty directory with the ends of the four top-level roles.
    #[must_use]
    pub fn new(
        environment: Environment,
        versions: Versions,
        top: [(TrustRole, Timestamp); 4],
    ) -> Self {
        let expiries: Vec<_> = top
            .into_iter()
            .map(|(role, expires)| RoleExpiry { role, expires })
            .collect();
        let expires = expiries
            .iter()
            .map(|line| line.expires)
            .min()
            .unwrap_or_default();
        let directory = Directory {
            versions,
            expiries,
            expires,
            members: HashMap::new(),
            services: HashMap::new(),
            owners: HashMap::new(),
            findings: Vec::new(),
            policy: Policy::default(),
        };
        Self {
            environment,
            directory,
        }
    }

    /// Adds an authority, as the federation says.
    pub fn authority(&mut self, record: AuthorityRecord) -> Result<(), RecordRefusal> {
        at_most(
            "authorities",
            self.directory.members.len() + 1,
            limits::AUTHORITIES_MAX,
        )?;
        at_most("alerts", record.alerts.len(), limits::ALERTS_MAX)?;
        at_most(
            "legal bases",
            record.legal_bases.len(),
            limits::LEGAL_BASES_MAX,
        )?;
        for alert in &record.alerts {
            at_most(
                "cosigners of an alert",
                alert.cosigners.len(),
                limits::COSIGNERS_MAX,
            )?;
        }
        let member = Member {
            expires: None,
            node: None,
            services: 0,
            record,
        };
        self.directory
            .members
            .insert(member.record.authority.clone(), member);
        Ok(())
    }

    /// What holds for the whole federation.
    pub fn policy(&mut self, policy: Policy) -> Result<(), RecordRefusal> {
        // TRU-3.7
        at_most("witnesses", policy.witnesses, limits::WITNESSES_MAX)?;
        self.directory.policy = policy;
        Ok(())
    }

    /// Says until when the delegated role of `authority` holds.
    pub fn role(&mut self, authority: &AuthorityId, expires: Timestamp) {
        if let Some(member) = self.directory.members.get_mut(authority) {
            member.expires = Some(expires);
            let role = TrustRole::Authority(authority.clone());
            self.directory.expiries.push(RoleExpiry { role, expires });
        }
    }

    /// Adds the node of an authority; `signer` is whose delegated role named the file. Case 25.
    pub fn node(&mut self, signer: &AuthorityId, record: NodeRecord) -> Result<(), RecordRefusal> {
        let path = || format!("{}/node.json", record.authority);
        authoritative(signer, &record.authority, path)?;
        at_most("QUIC endpoints", record.quic.len(), limits::ENDPOINTS_MAX)?;
        at_most(
            "WebSocket endpoints",
            record.websocket.len(),
            limits::ENDPOINTS_MAX,
        )?;
        at_most("HTTP addresses", record.http.len(), limits::ENDPOINTS_MAX)?;
        at_most(
            "gossip addresses",
            record.gossip.len(),
            limits::ENDPOINTS_MAX,
        )?;
        let owner = |make: fn(AuthorityId) -> KeyOwner| make(record.authority.clone());
        if record.keys.is_empty() {
            return Err(RecordRefusal::NoKey {
                owner: owner(KeyOwner::node),
            });
        }
        // Before any key is entered: a refused record leaves no trace.
        self.member(&record.authority, path)?;
        self.take_keys(&[
            (owner(KeyOwner::node), &record.keys),
            (owner(KeyOwner::gateway), &record.gateway_keys),
            (owner(KeyOwner::log), &record.log_keys),
        ])?;
        let member = self.member(&record.authority, path)?;
        member.node = Some(record);
        Ok(())
    }

    /// Adds a service; `signer` is whose delegated role named the file. Case 25.
    pub fn service(
        &mut self,
        signer: &AuthorityId,
        record: ServiceRecord,
    ) -> Result<(), RecordRefusal> {
        let authority = record.service.authority().clone();
        let path = || format!("{authority}/services/{}.json", record.service.name());
        authoritative(signer, &authority, path)?;
        at_most(
            "link hosts",
            record.link_hosts.len(),
            limits::LINK_HOSTS_MAX,
        )?;
        let services = self.member(&authority, path)?.services + 1;
        at_most(
            "services of an authority",
            services,
            limits::SERVICES_PER_AUTHORITY_MAX,
        )?;
        let owner = KeyOwner::service(record.service.clone());
        if record.keys.is_empty() {
            return Err(RecordRefusal::NoKey { owner });
        }
        self.take_keys(&[(owner, &record.keys)])?;
        self.member(&authority, path)?.services = services;
        self.directory
            .services
            .insert(record.service.clone(), record);
        Ok(())
    }

    /// Notes something that was left out.
    pub fn finding(&mut self, authority: AuthorityId, refusal: RecordRefusal) {
        self.directory.findings.push(Finding { authority, refusal });
    }

    /// The directory.
    #[must_use]
    pub fn build(mut self) -> Directory {
        let top = self.directory.expiries.len().min(TOP_LEVEL_ROLES);
        self.directory.expiries[top..].sort_by(|a, b| a.role.cmp(&b.role));
        self.directory
    }

    fn member(
        &mut self,
        authority: &AuthorityId,
        path: impl Fn() -> String,
    ) -> Result<&mut Member, RecordRefusal> {
        let member = self.directory.members.get_mut(authority);
        member.ok_or_else(|| RecordRefusal::NotAuthoritative {
            authority: authority.clone(),
            path: path(),
        })
    }

    /// Checks all keys of one record, then enters them: a refused record leaves no trace.
    fn take_keys(&mut self, holders: &[(KeyOwner, &Vec<ValidKey>)]) -> Result<(), RecordRefusal> {
        let mut seen = HashSet::new();
        for (owner, keys) in holders {
            at_most("keys of a holder", keys.len(), limits::KEYS_PER_HOLDER_MAX)?;
            for ValidKey { key, .. } in *keys {
                if !seen.insert(key.id()) {
                    return Err(RecordRefusal::KeyRepeated {
                        owner: owner.clone(),
                        key: key.id(),
                    });
                }
                if self.environment == Environment::Production && is_published(key) {
                    return Err(RecordRefusal::PublishedKey {
                        owner: owner.clone(),
                        key: key.id(),
                    });
                }
                // Only within one authority: otherwise a hostile authority could list another's
                // key and so have the other's record refused.
                let listed = self.directory.owners(&key.id());
                if let Some(other) = listed
                    .iter()
                    .find(|other| other.authority == owner.authority)
                {
                    return Err(RecordRefusal::KeyReused {
                        owner: owner.clone(),
                        other: Box::new(other.clone()),
                        key: key.id(),
                    });
                }
            }
        }
        for (owner, keys) in holders {
            for ValidKey { key, .. } in *keys {
                self.directory
                    .owners
                    .entry(key.id())
                    .or_default()
                    .push(owner.clone());
            }
        }
        Ok(())
    }
}

const TOP_LEVEL_ROLES: usize = 4;

fn authoritative(
    signer: &AuthorityId,
    subject: &AuthorityId,
    path: impl Fn() -> String,
) -> Result<(), RecordRefusal> {
    if signer == subject {
        return Ok(());
    }
    Err(RecordRefusal::NotAuthoritative {
        authority: signer.clone(),
        path: path(),
    })
}

fn at_most(what: &'static str, got: usize, max: usize) -> Result<(), RecordRefusal> {
    if got > max {
        Err(RecordRefusal::TooMany { what, got, max })
    } else {
        Ok(())
    }
}
