//! What holds for the whole federation, signed like the list of authorities.

use pli_protocol::id::{Timestamp, to_hex};
use pli_protocol::trust::Policy;
use tough::schema::Targets;

use super::error::WriteError;
use super::federation::Federation;
use super::handover::target;
use super::keys::KeyRing;
use super::metadata::target_name;
use crate::format::{PolicyFile, TargetPath};

impl Federation {
    /// Changes what holds for the whole federation.
    pub fn set_policy(
        &self,
        policy: Policy,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let mut targets = self.targets()?.signed;
        // A node is no witness of its own log (EVD-6.6).
        let most = self.records(&targets)?.len().saturating_sub(1);
        if policy.witnesses > most {
            let wanted = policy.witnesses;
            return Err(WriteError::Witnesses { wanted, most });
        }
        let bytes = PolicyFile::write(policy);
        targets
            .targets
            .insert(target_name(&TargetPath::Policy)?, target(&bytes));
        let signed = self.sign_targets(targets, ring, now)?;
        self.stage(&TargetPath::Policy, &bytes, &signed)
    }

    /// What these targets say, or what holds where they say nothing.
    pub(super) fn policy(&self, targets: &Targets) -> Result<Policy, WriteError> {
        let path = TargetPath::Policy;
        let Some(listed) = targets.targets.get(&target_name(&path)?) else {
            return Ok(Policy::default());
        };
        let sha256: &[u8] = &listed.hashes.sha256;
        let bytes = self.target_file(&path.hashed(&to_hex(sha256)))?;
        Ok(PolicyFile::read(&path.to_string(), &bytes)?)
    }
}
