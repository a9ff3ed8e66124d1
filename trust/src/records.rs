//! From verified metadata to records: whose paths each role names, and what the files say.
//!
//! In: the targets roles of one verified state. Out: records in a [`DirectoryBuilder`], and the exact
//! bytes of every file. What the federation signed wrongly stops the refresh; what an authority signed
//! wrongly is left out and noted (TRU-2.4).

use std::collections::BTreeMap;

use bytes::Bytes;
use pli_protocol::id::{AuthorityId, to_hex};
use pli_protocol::limits;
use pli_protocol::trust::{Directory, DirectoryBuilder, RecordRefusal};
use sha2::{Digest, Sha256};
use tough::schema::{DelegatedRole, PathSet, Target, Targets};

use crate::error::TrustError;
use crate::format::{AuthorityFile, NodeFile, PolicyFile, ServiceFile, TargetPath, malformed};
use crate::moment::timestamp;
use crate::read::Reader;

pub(crate) struct Records<'a> {
    reader: &'a Reader<'a>,
    builder: DirectoryBuilder,
    files: BTreeMap<String, Bytes>,
}

impl<'a> Records<'a> {
    pub(crate) const fn new(reader: &'a Reader<'a>, builder: DirectoryBuilder) -> Self {
        Self {
            reader,
            builder,
            files: BTreeMap::new(),
        }
    }

    pub(crate) fn finish(self) -> (Directory, BTreeMap<String, Bytes>) {
        (self.builder.build(), self.files)
    }

    /// What the federation's own offline keys signed. Its faults stop the refresh; an authority's do not.
    pub(crate) async fn federation(&mut self, targets: &Targets) -> Result<(), TrustError> {
        let mut named = BTreeMap::new();
        for (name, target) in &targets.targets {
            match name.raw().parse() {
                Ok(TargetPath::Authority(authority)) => {
                    named.insert(authority, target);
                }
                Ok(path @ TargetPath::Policy) => self.policy(&path, target).await?,
                _ => {
                    let name = name.raw();
                    return Err(TrustError::invalid(format!(
                        "the federation's role names {name:?}"
                    )));
                }
            }
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

    /// The federation's own rule: nobody goes on without knowing it.
    async fn policy(&mut self, path: &TargetPath, target: &Target) -> Result<(), TrustError> {
        let refused = |refusal: RecordRefusal| TrustError::invalid(refusal.to_string());
        bounded(path, target).map_err(refused)?;
        let bytes = self.target(path, target).await?;
        let policy = PolicyFile::read(&path.to_string(), &bytes).map_err(refused)?;
        self.builder.policy(policy).map_err(refused)
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
            // Whoever signs snapshots left it out, which `tough` takes for the end of all delegations:
            // taken as it stands, one line less in a snapshot would silence every authority.
            return Err(TrustError::invalid(format!(
                "the snapshot does not list the role of {authority}"
            )));
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

    /// TRU-1.3, TRU-3.2
    fn own_file(
        &mut self,
        authority: &AuthorityId,
        path: &TargetPath,
        bytes: &[u8],
    ) -> Result<(), RecordRefusal> {
        let text = path.to_string();
        match path {
            TargetPath::Authority(_) | TargetPath::Policy => {
                Err(not_authoritative(authority, &text))
            }
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

/// TRU-1.2: a delegation must be to the authority's own two patterns, and end there.
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
    Err(RecordRefusal::TooMany {
        what: "bytes of a file",
        got,
        max,
    })
}

fn not_authoritative(authority: &AuthorityId, path: &str) -> RecordRefusal {
    RecordRefusal::NotAuthoritative {
        authority: authority.clone(),
        path: path.to_owned(),
    }
}
