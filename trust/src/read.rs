//! The TUF client workflow, then our own rules, then records.
//!
//! In: files from a place that nobody trusts, the newest root that is trusted, what was seen before.
//! Out: a [`Directory`] and the exact bytes it was made from. `tough` checks signatures, thresholds,
//! versions, hashes and rollback; here are checked:
//! - expiries, against the caller's clock: the four top-level roles stop the refresh, an authority's
//!   own role stops only that authority. (`tough`'s own check would let one authority that forgets to
//!   sign stop the whole federation.)
//! - that each role names only its own paths (case 25), and delegates no further.
//! - every file, strictly.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits;
use pli_protocol::trust::{
    Directory, DirectoryBuilder, Environment, RecordRefusal, TrustRole, Versions,
};
use sha2::{Digest, Sha256};
use tough::schema::{DelegatedRole, PathSet, Role, Target, Targets};
use tough::{ExpirationEnforcement, Limits, Repository, RepositoryLoader};

use crate::error::TrustError;
use crate::fetch::{Fetcher, metadata_base, targets_base};
use crate::format::{AuthorityFile, NodeFile, ServiceFile, TargetPath, malformed};
use crate::mirror::Mirror;
use crate::moment::timestamp;
use pli_protocol::id::to_hex;

/// One state of the repository, verified.
pub(crate) struct Verified {
    pub(crate) directory: Directory,
    /// The newest root, to begin from next time.
    pub(crate) root: Bytes,
    /// File name within the repository → bytes; `metadata/timestamp.json` among them.
    pub(crate) files: BTreeMap<String, Bytes>,
}

/// Whether an expired top-level role is an error. Of what comes from a source it is (a freeze);
/// of the own copy at a start it is a state that the directory itself reports.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expiry {
    Refused { now: Timestamp },
    Reported,
}

pub(crate) struct Reader<'a> {
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) root: &'a [u8],
    pub(crate) memory: &'a Path,
    pub(crate) environment: Environment,
    pub(crate) expiry: Expiry,
    /// Where target files that were verified before need not be fetched again.
    pub(crate) kept: Option<&'a Mirror>,
}

impl Reader<'_> {
    pub(crate) async fn read(&self) -> Result<Verified, TrustError> {
        let repository = self.load().await?;
        let root = &repository.root().signed;
        if !root.consistent_snapshot {
            return Err(TrustError::invalid(
                "the root does not set consistent_snapshot",
            ));
        }
        let top = top_level(&repository);
        if let Expiry::Refused { now } = self.expiry {
            for (role, expires) in &top {
                if *expires <= now {
                    return Err(TrustError::Expired {
                        role: role.clone(),
                        expires: *expires,
                        now,
                    });
                }
            }
        }
        let versions = Versions {
            root: root.version.get(),
            timestamp: repository.timestamp().signed.version.get(),
            snapshot: repository.snapshot().signed.version.get(),
            targets: repository.targets().signed.version.get(),
        };
        let mut records = Records {
            reader: self,
            builder: DirectoryBuilder::new(self.environment, versions, top),
            files: BTreeMap::new(),
        };
        records.federation(&repository.targets().signed).await?;
        let Records {
            builder, mut files, ..
        } = records;

        let metadata = self.fetcher.metadata();
        let newest = metadata
            .get(&format!("{}.root.json", versions.root))
            .cloned();
        let newest = newest.unwrap_or_else(|| Bytes::copy_from_slice(self.root));
        files.extend(
            metadata
                .into_iter()
                .map(|(name, bytes)| (format!("metadata/{name}"), bytes)),
        );
        files.insert(
            format!("metadata/{}.root.json", versions.root),
            newest.clone(),
        );
        Ok(Verified {
            directory: builder.build(),
            root: newest,
            files,
        })
    }

    async fn load(&self) -> Result<Repository, TrustError> {
        // `tough` remembers the clock and refuses when it has gone back, for ever after a clock
        // that was once far ahead. The clock is the node's own concern (case 76).
        let clock = self.memory.join("latest_known_time.json");
        match std::fs::remove_file(&clock) {
            Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => {
                return Err(TrustError::disk(clock)(problem));
            }
            _ => {}
        }
        let loaded = RepositoryLoader::new(&self.root, metadata_base(), targets_base())
            .transport(self.fetcher.clone())
            .limits(Limits {
                max_root_size: limits::TRUST_ROOT_MAX,
                max_targets_size: limits::TRUST_TARGETS_MAX,
                max_timestamp_size: limits::TRUST_TIMESTAMP_MAX,
                max_snapshot_size: limits::TRUST_SNAPSHOT_MAX,
                max_root_updates: limits::TRUST_ROOT_UPDATES_MAX,
            })
            .datastore(self.memory)
            .expiration_enforcement(ExpirationEnforcement::Unsafe)
            .load()
            .await;
        // First: a blocked root explains every signature that then does not fit.
        if let Some(failure) = self.fetcher.failure() {
            return Err(failure.into());
        }
        Ok(loaded?)
    }
}

fn top_level(repository: &Repository) -> [(TrustRole, Timestamp); 4] {
    let root = timestamp(repository.root().signed.expires());
    let targets = timestamp(repository.targets().signed.expires());
    let snapshot = timestamp(repository.snapshot().signed.expires());
    let newest = timestamp(repository.timestamp().signed.expires());
    [
        (TrustRole::Root, root),
        (TrustRole::Targets, targets),
        (TrustRole::Snapshot, snapshot),
        (TrustRole::Timestamp, newest),
    ]
}

struct Records<'a> {
    reader: &'a Reader<'a>,
    builder: DirectoryBuilder,
    files: BTreeMap<String, Bytes>,
}

impl Records<'_> {
    /// What the federation's own offline keys signed. Its faults stop the refresh; an authority's do not.
    async fn federation(&mut self, targets: &Targets) -> Result<(), TrustError> {
        let mut named = BTreeMap::new();
        for (name, target) in &targets.targets {
            match name.raw().parse() {
                Ok(TargetPath::Authority(authority)) => named.insert(authority, target),
                _ => {
                    let name = name.raw();
                    return Err(TrustError::invalid(format!(
                        "the federation's role names {name:?}"
                    )));
                }
            };
        }
        for (authority, target) in named {
            let path = TargetPath::Authority(authority.clone());
            bounded(&path, target).map_err(|refusal| TrustError::invalid(refusal.to_string()))?;
            let bytes = self.target(&path, target).await?;
            let record = AuthorityFile::read(&authority, &path.to_string(), &bytes);
            let taken = record.and_then(|record| self.builder.authority(record));
            self.note(&authority, taken);
        }
        let roles = targets
            .delegations
            .as_ref()
            .map_or(&[][..], |delegations| &delegations.roles);
        if roles.len() > limits::AUTHORITIES_MAX {
            let got = roles.len();
            return Err(TrustError::invalid(format!("{got} delegations")));
        }
        for role in roles {
            let Ok(authority) = AuthorityId::new(&role.name) else {
                let name = &role.name;
                return Err(TrustError::invalid(format!(
                    "a delegation to {name:?}, no authority"
                )));
            };
            self.authority(&authority, role).await?;
        }
        Ok(())
    }

    async fn authority(
        &mut self,
        authority: &AuthorityId,
        role: &DelegatedRole,
    ) -> Result<(), TrustError> {
        if let Err(refusal) = only_its_own(authority, role) {
            self.note(authority, Err(refusal));
            return Ok(());
        }
        let Some(signed) = &role.targets else {
            let path = format!("the role file of {authority}");
            self.note(authority, Err(RecordRefusal::Missing { path }));
            return Ok(());
        };
        self.builder
            .role(authority, timestamp(signed.signed.expires));
        let mut named: Vec<_> = signed.signed.targets.iter().collect();
        // In one order everywhere: which of two records wins a bound must not vary between nodes.
        named.sort_by(|a, b| a.0.cmp(b.0));
        if named.len() > limits::SERVICES_PER_AUTHORITY_MAX + 1 {
            let (got, max) = (named.len(), limits::SERVICES_PER_AUTHORITY_MAX + 1);
            self.note(
                authority,
                Err(RecordRefusal::TooMany {
                    what: "files of an authority",
                    got,
                    max,
                }),
            );
            return Ok(());
        }
        for (name, target) in named {
            let raw = name.raw();
            let taken = match raw.parse::<TargetPath>() {
                Ok(path) if path.signer() == Some(authority) => {
                    // What the authority signed is its own affair. A file that is not what was signed
                    // is the mirror's doing: if it only lost that file, a mirror could silence whom it likes.
                    match bounded(&path, target) {
                        Ok(()) => {
                            let bytes = self.target(&path, target).await?;
                            self.own_file(authority, &path, &bytes)
                        }
                        Err(refusal) => Err(refusal),
                    }
                }
                Ok(path) => Err(not_authoritative(authority, &path.to_string())),
                Err(problem) => Err(malformed(raw, problem.to_string())),
            };
            self.note(authority, taken);
        }
        Ok(())
    }

    fn own_file(
        &mut self,
        authority: &AuthorityId,
        path: &TargetPath,
        bytes: &[u8],
    ) -> Result<(), RecordRefusal> {
        let text = path.to_string();
        match path {
            TargetPath::Authority(_) => Err(not_authoritative(authority, &text)),
            TargetPath::Node(of) => self
                .builder
                .node(authority, NodeFile::read(of, &text, bytes)?),
            TargetPath::Service(of) => self
                .builder
                .service(authority, ServiceFile::read(of, &text, bytes)?),
        }
    }

    /// One target file, by its signed length and hash. R18: wrong target, endless data.
    async fn target(&mut self, path: &TargetPath, target: &Target) -> Result<Bytes, TrustError> {
        let signed: &[u8] = &target.hashes.sha256;
        let file = format!("targets/{}", path.hashed(&to_hex(signed)));
        let fits = |bytes: &Bytes| {
            bytes.len() as u64 == target.length && Sha256::digest(bytes).as_slice() == signed
        };
        let kept = self
            .reader
            .kept
            .and_then(|mirror| mirror.read(&file))
            .filter(fits);
        let bytes = match kept {
            Some(bytes) => bytes,
            None => self.reader.fetcher.fetch(&file, target.length).await?,
        };
        if !fits(&bytes) {
            return Err(TrustError::invalid(format!(
                "{path} is not the file that was signed"
            )));
        }
        self.files.insert(file, bytes.clone());
        Ok(bytes)
    }

    fn note(&mut self, authority: &AuthorityId, taken: Result<(), RecordRefusal>) {
        if let Err(refusal) = taken {
            tracing::warn!(%authority, code = %refusal.code(), %refusal, "left out of the directory");
            self.builder.finding(authority.clone(), refusal);
        }
    }
}

/// A delegation must be to the authority's own two patterns, and end there.
fn only_its_own(authority: &AuthorityId, role: &DelegatedRole) -> Result<(), RecordRefusal> {
    let expected = TargetPath::delegated(authority);
    let PathSet::Paths(patterns) = &role.paths else {
        return Err(malformed(
            "targets.json",
            format!("the delegation to {authority} is by hash"),
        ));
    };
    if let Some(other) = patterns
        .iter()
        .find(|got| expected.iter().all(|own| own != got.value()))
    {
        return Err(not_authoritative(authority, other.value()));
    }
    let further = role
        .targets
        .as_ref()
        .and_then(|signed| signed.signed.delegations.as_ref());
    if further.is_some_and(|delegations| !delegations.roles.is_empty()) {
        return Err(malformed(
            &format!("{authority}.json"),
            "an authority's role delegates no further",
        ));
    }
    Ok(())
}

/// TRU-1.4
fn bounded(path: &TargetPath, target: &Target) -> Result<(), RecordRefusal> {
    if target.length <= limits::TRUST_FILE_MAX {
        return Ok(());
    }
    let got = usize::try_from(target.length).unwrap_or(usize::MAX);
    let max = usize::try_from(limits::TRUST_FILE_MAX).unwrap_or(usize::MAX);
    tracing::warn!(%path, got, max, "a file over its bound is signed");
    Err(RecordRefusal::TooMany { what: "bytes of a file", got, max })
}

fn not_authoritative(authority: &AuthorityId, path: &str) -> RecordRefusal {
    RecordRefusal::NotAuthoritative {
        authority: authority.clone(),
        path: path.to_owned(),
    }
}
