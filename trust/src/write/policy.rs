//! What holds for the whole federation, signed like the list of authorities.

use pli_protocol::id::Timestamp;
use pli_protocol::trust::Policy;

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
        let bytes = PolicyFile::write(policy);
        targets
            .targets
            .insert(target_name(&TargetPath::Policy)?, target(&bytes));
        let signed = self.sign_targets(targets, ring, now)?;
        self.stage(&TargetPath::Policy, &bytes, &signed)
    }
}
