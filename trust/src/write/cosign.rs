//! Holders of one role who are not in one place: each adds a signature to what is staged.

use tough::schema::{RoleType, Root, Signed, Targets};

use super::error::WriteError;
use super::federation::Federation;
use super::keys::{KeyRing, Progress, SigningRole, cosign, progress};
use super::state::{read_json, write_json};

impl Federation {
    /// Adds the ring's signatures to the staged root and the staged list of authorities, and says how
    /// far each has come. TRU-6.1: what is below its threshold is not published.
    pub fn cosign(&self, ring: &KeyRing) -> Result<Vec<Progress>, WriteError> {
        let staged = self.staged_signing()?;
        let roles: Vec<_> = staged
            .root_roles
            .iter()
            .chain(&staged.targets_role)
            .collect();
        ring.only_for(&roles)?;
        if let Some(mut root) = staged.root {
            cosign(
                &mut root,
                &staged.root_roles.iter().collect::<Vec<_>>(),
                ring,
            )?;
            write_json(&self.staged("root.json"), &root)?;
        }
        if let (Some(mut targets), Some(role)) = (staged.targets, &staged.targets_role) {
            cosign(&mut targets, &[role], ring)?;
            write_json(&self.staged("targets.json"), &targets)?;
        }
        self.signing_progress()
    }

    /// How far each staged file has come; empty when nothing is staged.
    pub fn signing_progress(&self) -> Result<Vec<Progress>, WriteError> {
        let staged = self.staged_signing()?;
        let mut lines = Vec::new();
        if let Some(root) = &staged.root {
            lines.extend(progress(
                root,
                &staged.root_roles.iter().collect::<Vec<_>>(),
            )?);
        }
        if let (Some(targets), Some(role)) = (&staged.targets, &staged.targets_role) {
            lines.extend(progress(targets, &[role])?);
        }
        Ok(lines)
    }

    /// What is staged and lacks signatures.
    pub(super) fn unfinished(&self) -> Result<Option<Progress>, WriteError> {
        let lines = self.signing_progress()?;
        Ok(lines.into_iter().find(|line| !line.is_met()))
    }

    fn staged_signing(&self) -> Result<Staged, WriteError> {
        let (root_file, targets_file) = (self.staged("root.json"), self.staged("targets.json"));
        let mut staged = Staged::default();
        if root_file.exists() {
            let root: Signed<Root> = read_json(&root_file)?;
            if self.state.root > 0 {
                staged
                    .root_roles
                    .push(SigningRole::of_version(&self.published_root()?.signed));
            }
            staged
                .root_roles
                .push(SigningRole::of_version(&root.signed));
            staged.root = Some(root);
        }
        if targets_file.exists() {
            let targets: Signed<Targets> = read_json(&targets_file)?;
            let mut role = SigningRole::of_root(&self.root()?.signed, RoleType::Targets);
            role.name = format!("targets version {}", targets.signed.version);
            staged.targets_role = Some(role);
            staged.targets = Some(targets);
        }
        Ok(staged)
    }
}

/// What awaits signatures, and whose.
#[derive(Default)]
struct Staged {
    root: Option<Signed<Root>>,
    /// The holders of before, and those of after.
    root_roles: Vec<SigningRole>,
    targets: Option<Signed<Targets>>,
    targets_role: Option<SigningRole>,
}
