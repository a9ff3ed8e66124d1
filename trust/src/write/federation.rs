//! A federation's workspace: who takes part and what each may do, signed by k of n offline keys.
//!
//! ```text
//! <dir>/federation.json       lifetimes, versions published
//! <dir>/staged/               signed offline, not yet published: root.json, targets.json, roles/, targets/
//! <dir>/repository/           published: metadata/ and targets/, for any mirror
//! ```

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use pli_protocol::id::{AuthorityId, Timestamp, to_hex};
use pli_protocol::trust::{AuthorityRecord, Quotas, Standing};
use tough::schema::{RoleType, Root, Signed, Targets};

use super::change::{GrantChange, NewFederation, Overview, RootChange, Suspension};
use super::error::WriteError;
use super::handover::{Handover, hashed, target};
use super::keys::{KeyRing, SigningRole, sign};
use super::metadata::{SPEC_VERSION, delegate, target_name, with_roles};
use super::state::{State, in_days, json, next_version, read_json, write, write_json};
use super::workspace::STATE;
use crate::error::TrustError;
use crate::format::{AuthorityFile, TargetPath};
use crate::moment::{instant, timestamp};

/// A federation's workspace.
#[derive(Clone, Debug)]
pub struct Federation {
    pub(super) dir: PathBuf,
    pub(super) state: State,
}

impl Federation {
    /// Makes the workspace, signs the first root and an empty list of authorities.
    pub fn init(
        dir: &Path,
        new: NewFederation,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<Self, WriteError> {
        if dir.join(STATE).exists() {
            return Err(WriteError::Occupied {
                dir: dir.to_owned(),
                what: "a federation",
            });
        }
        let root = Root {
            spec_version: SPEC_VERSION.into(),
            consistent_snapshot: true,
            version: NonZeroU64::MIN,
            expires: instant(in_days(now, new.lifetimes.root_days)),
            keys: HashMap::new(),
            roles: HashMap::new(),
            _extra: HashMap::new(),
        };
        let root = with_roles(
            root,
            [
                (RoleType::Root, new.root),
                (RoleType::Targets, new.targets),
                (RoleType::Snapshot, new.snapshot),
                (RoleType::Timestamp, new.timestamp),
            ],
        );
        let signers =
            [RoleType::Root, RoleType::Targets].map(|role| SigningRole::of_root(&root, role));
        ring.only_for(&signers.each_ref())?;
        let targets = sign(
            Targets::new(
                SPEC_VERSION.into(),
                NonZeroU64::MIN,
                instant(in_days(now, new.lifetimes.targets_days)),
            ),
            &[&signers[1]],
            ring,
        )?;
        let root = sign(root, &[&signers[0]], ring)?;
        let made = Self {
            dir: dir.to_owned(),
            state: State::new(new.lifetimes),
        };
        write_json(&made.staged("root.json"), &root)?;
        write_json(&made.staged("targets.json"), &targets)?;
        made.save()?;
        Ok(made)
    }

    /// Opens a workspace.
    pub fn open(dir: &Path) -> Result<Self, WriteError> {
        let path = dir.join(STATE);
        if !path.exists() {
            return Err(WriteError::NoWorkspace {
                dir: dir.to_owned(),
                what: "federation",
                make: "pli federation init",
            });
        }
        Ok(Self {
            dir: dir.to_owned(),
            state: read_json(&path)?,
        })
    }

    /// Takes an authority in: what it may do, and its keys for its own paths.
    pub fn add_authority(
        &self,
        handover: &Path,
        change: GrantChange,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<AuthorityRecord, WriteError> {
        let handover = Handover::read(handover)?;
        let mut targets = self.targets()?.signed;
        let path = TargetPath::Authority(handover.authority.clone());
        if targets.targets.contains_key(&target_name(&path)?) {
            return Err(WriteError::KnownAuthority {
                authority: handover.authority,
            });
        }
        let mut record = AuthorityRecord {
            authority: handover.authority.clone(),
            name: handover.name.clone(),
            standing: Standing::Active,
            may_host: false,
            may_lookup: false,
            alerts: Vec::new(),
            legal_bases: Default::default(),
            quotas: Quotas::default(),
        };
        change.apply(&mut record);
        delegate(&mut targets, &handover)?;
        let bytes = self.put_record(&mut targets, &record)?;
        let signed = self.sign_targets(targets, ring, now)?;
        self.take_in(&handover, &signed.signed)?;
        self.stage(&path, &bytes, &signed)?;
        Ok(record)
    }

    /// Gives an authority other keys for its own paths, as its hand-over asks.
    pub fn replace_authority_keys(
        &self,
        handover: &Path,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<AuthorityId, WriteError> {
        let handover = Handover::read(handover)?;
        let mut targets = self.targets()?.signed;
        self.record(&targets, &handover.authority)?;
        delegate(&mut targets, &handover)?;
        let signed = self.sign_targets(targets, ring, now)?;
        self.take_in(&handover, &signed.signed)?;
        write_json(&self.staged("targets.json"), &signed)?;
        Ok(handover.authority)
    }

    /// Changes what an authority may do.
    pub fn grant(
        &self,
        authority: &AuthorityId,
        change: GrantChange,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<AuthorityRecord, WriteError> {
        self.change(authority, |record| change.apply(record), ring, now)
    }

    /// Suspends an authority, or takes it back (TRU-6.2). What it signed before stays verifiable.
    pub fn suspend(
        &self,
        authority: &AuthorityId,
        suspension: Suspension,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<AuthorityRecord, WriteError> {
        let since = Timestamp::from_ms(now.as_ms() / 1_000 * 1_000);
        let standing = match suspension {
            Suspension::Impose => Standing::Suspended { since },
            Suspension::Lift => Standing::Active,
        };
        self.change(authority, |record| record.standing = standing, ring, now)
    }

    /// Signs the next root, by the threshold of the old one and of the new one. Also how a stolen
    /// online key is replaced, and how a fast-forward is recovered from (TRU-2.5, case 22).
    pub fn rotate_root(
        &self,
        change: RootChange,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<u64, WriteError> {
        if self.state.root == 0 {
            return Err(WriteError::NeverPublished);
        }
        let old = self.published_root()?.signed;
        let version = next_version("root", self.state.root)?;
        let mut new = old.clone();
        new.version = NonZeroU64::new(version).expect("a next version is not zero");
        new.expires = instant(in_days(now, self.state.lifetimes.root_days));
        let targets_changed = change.targets.is_some();
        let changes = [
            (RoleType::Root, change.root),
            (RoleType::Targets, change.targets),
            (RoleType::Snapshot, change.snapshot),
            (RoleType::Timestamp, change.timestamp),
        ];
        let changes = changes
            .into_iter()
            .filter_map(|(role, keys)| keys.map(|keys| (role, keys)));
        let new = with_roles(new, changes);
        let (before, after) = (SigningRole::of_version(&old), SigningRole::of_version(&new));
        let targets_signer = SigningRole::of_root(&new, RoleType::Targets);
        let mut known = vec![&before, &after];
        if targets_changed {
            known.push(&targets_signer);
        }
        ring.only_for(&known)?;
        let targets = targets_changed
            .then(|| {
                self.targets()
                    .and_then(|signed| self.sign_with(signed.signed, &targets_signer, ring, now))
            })
            .transpose()?;
        let root = sign(new, &[&before, &after], ring)?;
        if let Some(targets) = targets {
            write_json(&self.staged("targets.json"), &targets)?;
        }
        write_json(&self.staged("root.json"), &root)?;
        Ok(version)
    }

    /// What is in force, and what is staged beside it.
    pub fn overview(&self) -> Result<Overview, WriteError> {
        let published = match self.state.root {
            0 => None,
            _ => Some((
                self.published_root()?.signed,
                self.published_targets()?.signed,
            )),
        };
        let (staged_root, staged_targets) = (self.root()?.signed, self.targets()?.signed);
        let authorities = match &published {
            Some((_, targets)) => self.records(targets)?,
            None => Vec::new(),
        };
        let mut staged_authorities = self.records(&staged_targets)?;
        staged_authorities.retain(|record| !authorities.contains(record));
        let (root, targets) = published.unwrap_or((staged_root, staged_targets));
        let state = &self.state;
        let targets_version = state.role("targets");
        Ok(Overview {
            authorities,
            staged_authorities,
            published: [state.root, targets_version, state.snapshot, state.timestamp],
            staged: self.dir.join("staged").is_dir(),
            policy: self.policy(&targets)?,
            root_expires: timestamp(root.expires),
            targets_expires: timestamp(targets.expires),
        })
    }

    pub(super) fn records(&self, targets: &Targets) -> Result<Vec<AuthorityRecord>, WriteError> {
        let mut authorities = Vec::new();
        for name in targets.targets.keys() {
            if let Ok(TargetPath::Authority(authority)) = name.raw().parse() {
                authorities.push(self.record(targets, &authority)?);
            }
        }
        authorities.sort_by(|a, b| a.authority.cmp(&b.authority));
        Ok(authorities)
    }

    /// `metadata/` and `targets/` for any mirror.
    #[must_use]
    pub fn repository_dir(&self) -> PathBuf {
        self.dir.join("repository")
    }

    /// The file that a node or device trusts once: the newest root.
    #[must_use]
    pub fn root_file(&self) -> PathBuf {
        self.repository_dir().join("metadata/root.json")
    }

    fn change(
        &self,
        authority: &AuthorityId,
        change: impl FnOnce(&mut AuthorityRecord),
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<AuthorityRecord, WriteError> {
        let mut targets = self.targets()?.signed;
        let mut record = self.record(&targets, authority)?;
        change(&mut record);
        let bytes = self.put_record(&mut targets, &record)?;
        let signed = self.sign_targets(targets, ring, now)?;
        self.stage(&TargetPath::Authority(authority.clone()), &bytes, &signed)?;
        Ok(record)
    }

    /// Checks a hand-over against the delegation and stages it.
    pub(super) fn take_in(&self, handover: &Handover, targets: &Targets) -> Result<(), WriteError> {
        let authority = &handover.authority;
        let delegations = targets.delegations.as_ref();
        let delegations = delegations.ok_or_else(|| WriteError::UnknownAuthority {
            authority: authority.clone(),
        })?;
        delegations
            .verify_role(&handover.role, authority.as_str())
            .map_err(|problem| {
                TrustError::invalid(format!("the role of {authority}: {problem}"))
            })?;
        let got = handover.role.signed.version.get();
        let published = self.state.role(authority.as_str());
        let same = || {
            let path = self.metadata(&format!("{published}.{authority}.json"));
            std::fs::read(path).is_ok_and(|bytes| bytes == json(&handover.role))
        };
        if got < published || (got == published && !same()) {
            return Err(WriteError::OldHandover {
                authority: authority.clone(),
                got,
                published,
            });
        }
        for (file, bytes) in &handover.files {
            write(&self.staged("targets").join(file), bytes)?;
        }
        write_json(
            &self.staged("roles").join(format!("{authority}.json")),
            &handover.role,
        )
    }

    fn put_record(
        &self,
        targets: &mut Targets,
        record: &AuthorityRecord,
    ) -> Result<Vec<u8>, WriteError> {
        let bytes = AuthorityFile::write(record);
        let path = TargetPath::Authority(record.authority.clone());
        targets.targets.insert(target_name(&path)?, target(&bytes));
        Ok(bytes)
    }

    fn record(
        &self,
        targets: &Targets,
        authority: &AuthorityId,
    ) -> Result<AuthorityRecord, WriteError> {
        let path = TargetPath::Authority(authority.clone());
        let unknown = || WriteError::UnknownAuthority {
            authority: authority.clone(),
        };
        let listed = targets
            .targets
            .get(&target_name(&path)?)
            .ok_or_else(unknown)?;
        let sha256: &[u8] = &listed.hashes.sha256;
        let bytes = self.target_file(&path.hashed(&to_hex(sha256)))?;
        Ok(AuthorityFile::read(authority, &path.to_string(), &bytes)?)
    }

    pub(super) fn stage(
        &self,
        path: &TargetPath,
        bytes: &[u8],
        targets: &Signed<Targets>,
    ) -> Result<(), WriteError> {
        write(&self.staged("targets").join(hashed(path, bytes)), bytes)?;
        write_json(&self.staged("targets.json"), targets)
    }

    pub(super) fn sign_targets(
        &self,
        targets: Targets,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<Signed<Targets>, WriteError> {
        let signer = SigningRole::of_root(&self.root()?.signed, RoleType::Targets);
        ring.only_for(&[&signer])?;
        self.sign_with(targets, &signer, ring, now)
    }

    fn sign_with(
        &self,
        mut targets: Targets,
        signer: &SigningRole,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<Signed<Targets>, WriteError> {
        let version = next_version("targets", self.state.role("targets"))?;
        targets.version = NonZeroU64::new(version).expect("a next version is not zero");
        targets.expires = instant(in_days(now, self.state.lifetimes.targets_days));
        sign(targets, &[signer], ring)
    }
}
