//! An authority's own workspace: it drafts its files, signs its role alone, and hands it over.
//!
//! ```text
//! <dir>/authority.json            who, the role's keys, the last version
//! <dir>/draft/node.json           as it will be published
//! <dir>/draft/services/<name>.json
//! <dir>/handover/                 what the federation takes in
//! ```

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, KeyId, ServiceId, Timestamp};
use pli_protocol::trust::{KeyOwner, KeyRole, NodeRecord, ServiceRecord, ValidKey};
use serde::{Deserialize, Serialize};
use tough::TargetName;
use tough::schema::Targets;

use super::draft::{
    HandedOver, NewAuthority, NodeChange, Revoked, ServiceChange, end, from_now, list,
};
use super::error::WriteError;
use super::handover::{Handover, hashed, target};
use super::keys::{KeyRing, RoleKeys, SigningRole, sign};
use super::metadata::SPEC_VERSION;
use super::state::{in_days, next_version, read_json, write, write_json};
use crate::error::TrustError;
use crate::format::{NameEntry, NodeFile, ServiceFile, TargetPath};
use crate::moment::instant;

/// An authority's workspace.
#[derive(Clone, Debug)]
pub struct Authority {
    dir: PathBuf,
    state: State,
    id: AuthorityId,
    keys: RoleKeys,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u64,
    authority: String,
    name: NameEntry,
    keys: Vec<String>,
    threshold: usize,
    role_days: u64,
    /// Of the last hand-over; 0 before the first.
    role_version: u64,
}

impl Authority {
    /// Makes the workspace with a node and no service.
    pub fn init(dir: &Path, new: NewAuthority, now: Timestamp) -> Result<Self, WriteError> {
        let path = dir.join(STATE);
        if path.exists() {
            return Err(WriteError::Occupied {
                dir: dir.to_owned(),
                what: "an authority's workspace",
            });
        }
        let state = State {
            version: 1,
            authority: new.authority.to_string(),
            name: NameEntry::from_name(&new.name),
            keys: new.keys.keys().iter().map(PublicKey::to_string).collect(),
            threshold: new.keys.threshold(),
            role_days: new.role_days,
            role_version: 0,
        };
        let node = NodeRecord {
            authority: new.authority.clone(),
            keys: vec![from_now(new.node_key, now)],
            quic: new.quic,
            websocket: new.websocket,
            http: new.http,
            gossip: new.gossip,
            gateway_keys: Vec::new(),
            log_keys: new
                .log_key
                .map(|key| from_now(key, now))
                .into_iter()
                .collect(),
        };
        let made = Self {
            dir: dir.to_owned(),
            state,
            id: new.authority,
            keys: new.keys,
        };
        made.write_node(&node)?;
        write_json(&path, &made.state)?;
        Ok(made)
    }

    /// Opens a workspace.
    pub fn open(dir: &Path) -> Result<Self, WriteError> {
        let path = dir.join(STATE);
        if !path.exists() {
            return Err(WriteError::NoWorkspace {
                dir: dir.to_owned(),
                what: "authority's workspace",
                make: "pli authority init",
            });
        }
        let state: State = read_json(&path)?;
        let wrong = |problem: String| WriteError::File {
            path: path.clone(),
            problem,
        };
        let id =
            AuthorityId::new(&state.authority).map_err(|problem| wrong(problem.to_string()))?;
        let keys: Result<Vec<PublicKey>, _> = state.keys.iter().map(|key| key.parse()).collect();
        let keys = RoleKeys::new(
            keys.map_err(|problem| wrong(problem.to_string()))?,
            state.threshold,
        )?;
        Ok(Self {
            dir: dir.to_owned(),
            state,
            id,
            keys,
        })
    }

    /// Who.
    #[must_use]
    pub const fn id(&self) -> &AuthorityId {
        &self.id
    }

    /// The keys of its role.
    #[must_use]
    pub const fn role_keys(&self) -> &RoleKeys {
        &self.keys
    }

    /// Where [`publish`](Self::publish) leaves what the federation takes in.
    #[must_use]
    pub fn handover_dir(&self) -> PathBuf {
        self.dir.join("handover")
    }

    /// The drafted node.
    pub fn node(&self) -> Result<NodeRecord, WriteError> {
        let path = self.dir.join("draft/node.json");
        let bytes = std::fs::read(&path).map_err(WriteError::file(&path))?;
        Ok(NodeFile::read(
            &self.id,
            &path.display().to_string(),
            &bytes,
        )?)
    }

    /// A drafted service.
    pub fn service(&self, name: &str) -> Result<ServiceRecord, WriteError> {
        let id = self.service_id(name)?;
        let path = self.service_path(&id);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {
                return Err(WriteError::NotInDraft {
                    what: id.to_string(),
                });
            }
            Err(problem) => return Err(WriteError::file(path)(problem)),
        };
        Ok(ServiceFile::read(&id, &path.display().to_string(), &bytes)?)
    }

    /// All drafted services, by name.
    pub fn services(&self) -> Result<Vec<ServiceRecord>, WriteError> {
        let folder = self.dir.join("draft/services");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(problem) => return Err(WriteError::file(folder)(problem)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(WriteError::file(&folder))?;
            let file = entry.file_name();
            if let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".json")) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        names.iter().map(|name| self.service(name)).collect()
    }

    /// `name@authority`.
    pub fn service_id(&self, name: &str) -> Result<ServiceId, WriteError> {
        ServiceId::new(name, self.id.clone()).map_err(|_| WriteError::ServiceName {
            got: name.chars().take(80).collect(),
        })
    }

    /// Drafts a service whose keys hold from now on.
    pub fn add_service(&self, record: &ServiceRecord) -> Result<(), WriteError> {
        let path = self.service_path(&record.service);
        if path.exists() {
            return Err(WriteError::InDraft {
                what: record.service.to_string(),
            });
        }
        write(&path, &ServiceFile::write(record))
    }

    /// Changes what a drafted service may send and lists further keys.
    pub fn set_service(
        &self,
        name: &str,
        change: ServiceChange,
        now: Timestamp,
    ) -> Result<ServiceRecord, WriteError> {
        let mut record = self.service(name)?;
        let owner = KeyOwner::service(record.service.clone());
        for key in change.add_keys {
            list(&mut record.keys, &owner, key, now)?;
        }
        if !change.classes.is_empty() {
            record.classes = change.classes;
        }
        if !change.importances.is_empty() {
            record.importances = change.importances;
        }
        if !change.link_hosts.is_empty() {
            record.link_hosts = change.link_hosts;
        }
        write(
            &self.service_path(&record.service),
            &ServiceFile::write(&record),
        )?;
        Ok(record)
    }

    /// Whether the last hand-over holds this very file: what is drafted only, nobody knows yet.
    #[must_use]
    pub fn handed_over(&self) -> HandedOver {
        match Handover::read(&self.handover_dir()) {
            Ok(handover) => HandedOver {
                files: handover.files.into_keys().collect(),
                version: self.state.role_version,
            },
            Err(_) => HandedOver::default(),
        }
    }

    /// A key that holds from now on, to draft a service with.
    #[must_use]
    pub fn key_from(key: PublicKey, now: Timestamp) -> ValidKey {
        from_now(key, now)
    }

    /// Changes the node's endpoints and lists further keys.
    pub fn set_node(&self, change: NodeChange, now: Timestamp) -> Result<NodeRecord, WriteError> {
        let mut node = self.node()?;
        if !change.quic.is_empty() {
            node.quic = change.quic;
        }
        if !change.websocket.is_empty() {
            node.websocket = change.websocket;
        }
        if !change.http.is_empty() {
            node.http = change.http;
        }
        if !change.gossip.is_empty() {
            node.gossip = change.gossip;
        }
        for (role, added) in [
            (KeyRole::Node, change.add_keys),
            (KeyRole::Gateway, change.add_gateway_keys),
            (KeyRole::Log, change.add_log_keys),
        ] {
            let owner = self.owner(&role);
            for key in added {
                list(keys_mut(&mut node, &role), &owner, key, now)?;
            }
        }
        self.write_node(&node)?;
        Ok(node)
    }

    /// Ends a key at `now`, or with the whole second that `now` is in, and keeps it listed: what it signed
    /// before stays verifiable (TRU-3.3, case 21). `which` may be left out where only one key is in force.
    pub fn revoke(
        &self,
        owner: &KeyRole,
        which: Option<&KeyId>,
        replacement: Option<PublicKey>,
        now: Timestamp,
    ) -> Result<Revoked, WriteError> {
        if let KeyRole::Service(service) = owner {
            let mut record = self.service(service.name())?;
            let owner = KeyOwner::service(service.clone());
            let revoked = end(&mut record.keys, owner, which, replacement, now)?;
            write(&self.service_path(service), &ServiceFile::write(&record))?;
            return Ok(revoked);
        }
        let mut node = self.node()?;
        let keys = keys_mut(&mut node, owner);
        let revoked = end(keys, self.owner(owner), which, replacement, now)?;
        self.write_node(&node)?;
        Ok(revoked)
    }

    /// The keys that the draft lists for a holder, also those that have ended.
    pub fn keys(&self, owner: &KeyRole) -> Result<Vec<ValidKey>, WriteError> {
        if let KeyRole::Service(service) = owner {
            return Ok(self.service(service.name())?.keys);
        }
        Ok(std::mem::take(keys_mut(&mut self.node()?, owner)))
    }

    fn owner(&self, role: &KeyRole) -> KeyOwner {
        KeyOwner {
            authority: self.id.clone(),
            role: role.clone(),
        }
    }

    /// Signs the draft as the next version of the role and writes the hand-over. Returns the version.
    pub fn publish(&mut self, ring: &KeyRing, now: Timestamp) -> Result<u64, WriteError> {
        let version = next_version(self.id.as_str(), self.state.role_version)?;
        let mut files = vec![(
            TargetPath::Node(self.id.clone()),
            NodeFile::write(&self.node()?),
        )];
        for record in self.services()? {
            files.push((
                TargetPath::Service(record.service.clone()),
                ServiceFile::write(&record),
            ));
        }
        let mut targets = HashMap::new();
        for (path, bytes) in &files {
            let name = TargetName::new(path.to_string()).map_err(TrustError::from)?;
            targets.insert(name, target(bytes));
        }
        let role = Targets {
            spec_version: SPEC_VERSION.into(),
            version: NonZeroU64::new(version).expect("a next version is not zero"),
            expires: instant(in_days(now, self.state.role_days)),
            targets,
            delegations: None,
            _extra: HashMap::new(),
        };
        let signer = SigningRole::new(self.id.as_str(), &self.keys);
        ring.only_for(&[&signer])?;
        let handover = Handover {
            authority: self.id.clone(),
            name: self
                .state
                .name
                .clone()
                .parse()
                .map_err(|problem| WriteError::File {
                    path: self.dir.join(STATE),
                    problem,
                })?,
            keys: self.keys.clone(),
            role: sign(role, &[&signer], ring)?,
            files: files
                .iter()
                .map(|(path, bytes)| (hashed(path, bytes), bytes.clone()))
                .collect(),
        };
        handover.write(&self.handover_dir())?;
        self.state.role_version = version;
        write_json(&self.dir.join(STATE), &self.state)?;
        Ok(version)
    }

    fn write_node(&self, node: &NodeRecord) -> Result<(), WriteError> {
        write(&self.dir.join("draft/node.json"), &NodeFile::write(node))
    }

    fn service_path(&self, service: &ServiceId) -> PathBuf {
        self.dir
            .join("draft/services")
            .join(format!("{}.json", service.name()))
    }
}

/// The node's own, where a service is named: its keys are in a file of its own.
fn keys_mut<'a>(node: &'a mut NodeRecord, role: &KeyRole) -> &'a mut Vec<ValidKey> {
    match role {
        KeyRole::Gateway => &mut node.gateway_keys,
        KeyRole::Log => &mut node.log_keys,
        KeyRole::Node | KeyRole::Service(_) => &mut node.keys,
    }
}

const STATE: &str = "authority.json";
