//! From what was signed offline to a repository that others can load: the online roles.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::{fs, io};

use bytes::Bytes;
use pli_protocol::id::{AuthorityId, Timestamp, to_hex};
use pli_protocol::trust::{Directory, Environment, Versions};
use sha2::{Digest, Sha256};
use tough::schema::{
    Metafile, RoleType, Root, Signed, Snapshot, Targets, Timestamp as TufTimestamp,
};

use super::error::WriteError;
use super::federation::Federation;
use super::handover::Handover;
use super::keys::{KeyRing, Progress, SigningRole, sign};
use super::metadata::{SPEC_VERSION, bare, metafile};
use super::state::{in_days, json, next_version, read_json};
use crate::error::TrustError;
use crate::fetch::Fetcher;
use crate::format::TargetPath;
use crate::mirror::{Mirror, Old};
use crate::moment::instant;
use crate::read::{Expiry, Reader, Verified};
use crate::source::Source;

/// What a publication made.
#[derive(Clone, Debug)]
pub struct Published {
    /// The new versions.
    pub versions: Versions,
    /// As a node will see it.
    pub directory: Directory,
    /// `metadata/` and `targets/`, for any mirror.
    pub repository: PathBuf,
    /// SHA-256 of the newest root's file, in hexadecimal: what invitations carry.
    pub root_sha256: String,
    /// Hand-overs that held what is published already, with its version.
    pub unchanged: Vec<(AuthorityId, u64)>,
    /// What is staged and lacks signatures: it waits, and was not published.
    pub waiting: Option<Progress>,
}

impl Federation {
    /// Takes in hand-overs, signs the next snapshot and timestamp, reads the result as a node would
    /// from the first root on, and only then replaces what mirrors fetch.
    ///
    /// What still lacks signatures of its holders waits, and holds back neither a revocation nor the freshness of what
    /// is in force. Only the first publication cannot do without it ([`WriteError::Unfinished`]).
    pub async fn publish(
        &mut self,
        handovers: &[PathBuf],
        ring: &KeyRing,
        environment: Environment,
        now: Timestamp,
    ) -> Result<Published, WriteError> {
        let waiting = self.unfinished()?;
        let (root, targets) = match &waiting {
            None => (self.root()?, self.targets()?),
            Some(_) if self.state.root > 0 => (self.published_root()?, self.published_targets()?),
            Some(progress) => {
                let progress = progress.clone();
                return Err(WriteError::Unfinished { progress });
            }
        };
        let signers = [RoleType::Snapshot, RoleType::Timestamp]
            .map(|role| SigningRole::of_root(&root.signed, role));
        ring.only_for(&signers.each_ref())?;
        let mut unchanged = Vec::new();
        for dir in handovers {
            let handover = Handover::read(dir)?;
            self.take_in(&handover, &targets.signed)?;
            let version = handover.role.signed.version.get();
            if self.state.role(handover.authority.as_str()) == version {
                unchanged.push((handover.authority, version));
            }
        }
        let mut next = Next::new(self, &root, &targets)?;
        next.roles(self, &targets.signed)?;
        let versions = next.online_roles(self, &signers, ring, now)?;
        let verified = self.check(&next, environment, now).await?;
        let repository = self.repository_dir();
        Mirror::new(&repository).replace(&verified.files, &verified.root, Old::Kept)?;
        self.state.root = versions.root;
        self.state.snapshot = versions.snapshot;
        self.state.timestamp = versions.timestamp;
        self.state.roles = next.versions;
        self.save()?;
        // A role of an authority that is staged itself waits with it.
        let taken = match waiting {
            None => vec![self.staged("")],
            Some(_) => {
                let roles = self.state.roles.keys();
                let roles = roles.map(|name| self.staged("roles").join(format!("{name}.json")));
                roles.filter(|staged| staged.is_file()).collect()
            }
        };
        for staged in taken {
            remove(&staged).map_err(WriteError::file(staged))?;
        }
        let root_sha256 = to_hex(&Sha256::digest(&verified.root));
        Ok(Published {
            versions,
            directory: verified.directory,
            repository,
            root_sha256,
            unchanged,
            waiting,
        })
    }

    /// Reads the candidate as a node that starts from the first root would.
    async fn check(
        &self,
        next: &Next,
        environment: Environment,
        now: Timestamp,
    ) -> Result<Verified, WriteError> {
        let folder = tempfile::tempdir_in(&self.dir).map_err(WriteError::file(&self.dir))?;
        let candidate = Mirror::new(folder.path().join("candidate"));
        let memory = folder.path().join("memory");
        std::fs::create_dir_all(&memory).map_err(WriteError::file(&memory))?;
        candidate.replace(&next.files, &next.root, Old::Kept)?;
        let fetcher = Fetcher::new(Source::Directory(candidate.dir().to_owned()))
            .map_err(TrustError::from)?;
        let first = next.files.get("metadata/1.root.json").unwrap_or(&next.root);
        let reader = Reader {
            fetcher: &fetcher,
            root: first,
            memory: &memory,
            environment,
            expiry: Expiry::Refused { now },
            kept: None,
        };
        let mut verified = reader.read().await?;
        let refusals: Vec<_> = verified
            .directory
            .findings()
            .iter()
            .map(|finding| finding.refusal.clone())
            .collect();
        if !refusals.is_empty() {
            return Err(WriteError::LeftOut { refusals });
        }
        // `tough` does not ask for the root it was given.
        verified
            .files
            .insert("metadata/1.root.json".into(), first.clone());
        Ok(verified)
    }
}

fn remove(staged: &Path) -> io::Result<()> {
    match staged.is_dir() {
        true => fs::remove_dir_all(staged),
        false if staged.exists() => fs::remove_file(staged),
        false => Ok(()),
    }
}

/// The files of the next state.
struct Next {
    files: BTreeMap<String, Bytes>,
    root: Bytes,
    root_version: u64,
    /// Each role that the snapshot lists: name → version.
    versions: BTreeMap<String, u64>,
    meta: HashMap<String, Metafile>,
}

impl Next {
    fn new(
        federation: &Federation,
        root: &Signed<Root>,
        targets: &Signed<Targets>,
    ) -> Result<Self, WriteError> {
        let mut files = BTreeMap::new();
        let root_version = root.signed.version.get();
        for version in 1..root_version {
            let name = format!("{version}.root.json");
            let path = federation.metadata(&name);
            let bytes = std::fs::read(&path).map_err(WriteError::file(path))?;
            files.insert(format!("metadata/{name}"), bytes.into());
        }
        // A published root is taken as it is: its bytes are what others hold a hash of.
        let published = federation.metadata(&format!("{root_version}.root.json"));
        let bytes = if root_version == federation.state.root {
            std::fs::read(&published).map_err(WriteError::file(published))?
        } else {
            json(root)
        };
        let newest: Bytes = bytes.into();
        files.insert(format!("metadata/{root_version}.root.json"), newest.clone());
        // A snapshot goes on listing whatever one before it listed, or clients see a rollback.
        let versions = federation.state.roles.clone();
        let meta = versions
            .iter()
            .map(|(name, version)| (format!("{name}.json"), bare(*version)));
        let mut next = Self {
            files,
            root: newest,
            root_version,
            meta: meta.collect(),
            versions,
        };
        next.role(federation, "targets", targets)?;
        Ok(next)
    }

    /// Each authority's own role and all files.
    fn roles(&mut self, federation: &Federation, targets: &Targets) -> Result<(), WriteError> {
        let delegations = targets.delegations.as_ref();
        for delegated in delegations.map_or(&[][..], |delegations| &delegations.roles) {
            let name = &delegated.name;
            let staged = federation.staged("roles").join(format!("{name}.json"));
            let published = federation.state.role(name);
            let path = match (staged.exists(), published) {
                (true, _) => staged,
                (false, 1..) => federation.metadata(&format!("{published}.{name}.json")),
                (false, 0) => {
                    let authority = AuthorityId::new(name);
                    let authority =
                        authority.map_err(|problem| TrustError::invalid(problem.to_string()))?;
                    return Err(WriteError::NothingHandedOver { authority });
                }
            };
            let role: Signed<Targets> = read_json(&path)?;
            self.role(federation, name, &role)?;
        }
        Ok(())
    }

    fn role(
        &mut self,
        federation: &Federation,
        name: &str,
        role: &Signed<Targets>,
    ) -> Result<(), WriteError> {
        let version = role.signed.version;
        let bytes = json(role);
        self.meta
            .insert(format!("{name}.json"), metafile(version, &bytes));
        self.versions.insert(name.to_owned(), version.get());
        self.files
            .insert(format!("metadata/{version}.{name}.json"), bytes.into());
        for (path, target) in &role.signed.targets {
            let path: TargetPath = path
                .raw()
                .parse()
                .map_err(|problem| TrustError::invalid(format!("{name}: {problem}")))?;
            let sha256: &[u8] = &target.hashes.sha256;
            let hashed = path.hashed(&to_hex(sha256));
            let bytes = federation.target_file(&hashed)?;
            self.files.insert(format!("targets/{hashed}"), bytes.into());
        }
        Ok(())
    }

    fn online_roles(
        &mut self,
        federation: &Federation,
        signers: &[SigningRole; 2],
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<Versions, WriteError> {
        let state = &federation.state;
        let nonzero = |version| NonZeroU64::new(version).expect("a next version is not zero");
        let snapshot_version = nonzero(next_version("snapshot", state.snapshot)?);
        let mut snapshot = Snapshot::new(
            SPEC_VERSION.into(),
            snapshot_version,
            instant(in_days(now, state.lifetimes.snapshot_days)),
        );
        snapshot.meta = std::mem::take(&mut self.meta);
        let bytes = json(&sign(snapshot, &[&signers[0]], ring)?);
        let timestamp_version = nonzero(next_version("timestamp", state.timestamp)?);
        let mut timestamp = TufTimestamp::new(
            SPEC_VERSION.into(),
            timestamp_version,
            instant(in_days(now, state.lifetimes.timestamp_days)),
        );
        timestamp
            .meta
            .insert("snapshot.json".into(), metafile(snapshot_version, &bytes));
        self.files.insert(
            format!("metadata/{snapshot_version}.snapshot.json"),
            bytes.into(),
        );
        let bytes = json(&sign(timestamp, &[&signers[1]], ring)?);
        self.files
            .insert("metadata/timestamp.json".into(), bytes.into());
        Ok(Versions {
            root: self.root_version,
            timestamp: timestamp_version.get(),
            snapshot: snapshot_version.get(),
            targets: self.versions.get("targets").copied().unwrap_or_default(),
        })
    }
}
