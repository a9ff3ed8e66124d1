//! Pieces of TUF metadata: who holds which role, which paths are delegated, what a snapshot lists.

use std::collections::HashMap;
use std::num::NonZeroU64;

use sha2::{Digest, Sha256};
use tough::TargetName;
use tough::schema::{
    DelegatedRole, Delegations, Hashes, Metafile, PathPattern, PathSet, RoleKeys as TufRoleKeys,
    RoleType, Root, Targets,
};

use super::error::WriteError;
use super::handover::Handover;
use super::keys::RoleKeys;
use crate::error::TrustError;
use crate::format::TargetPath;

pub(super) const SPEC_VERSION: &str = "1.0.0";

pub(super) fn target_name(path: &TargetPath) -> Result<TargetName, WriteError> {
    Ok(TargetName::new(path.to_string()).map_err(TrustError::from)?)
}

/// Delegates an authority's own paths to its own keys, replacing what was delegated to it before.
pub(super) fn delegate(targets: &mut Targets, handover: &Handover) -> Result<(), WriteError> {
    let authority = &handover.authority;
    let patterns: Result<Vec<_>, _> = TargetPath::delegated(authority)
        .into_iter()
        .map(PathPattern::new)
        .collect();
    let patterns = patterns.map_err(|problem| TrustError::invalid(problem.to_string()))?;
    let delegations = targets.delegations.get_or_insert_with(Delegations::new);
    delegations
        .roles
        .retain(|role| role.name != authority.as_str());
    delegations.roles.push(DelegatedRole {
        name: authority.to_string(),
        keyids: handover.keys.key_ids(),
        threshold: handover.keys.tuf_threshold(),
        paths: PathSet::Paths(patterns),
        terminating: true,
        targets: None,
    });
    delegations.roles.sort_by(|a, b| a.name.cmp(&b.name));
    delegations.keys.extend(handover.keys.tuf_keys());
    let used: Vec<_> = delegations
        .roles
        .iter()
        .flat_map(|role| role.keyids.clone())
        .collect();
    delegations.keys.retain(|id, _| used.contains(id));
    Ok(())
}

/// Sets the keys of some roles; a key that no role uses any more is dropped.
pub(super) fn with_roles(
    mut root: Root,
    roles: impl IntoIterator<Item = (RoleType, RoleKeys)>,
) -> Root {
    for (role, keys) in roles {
        root.keys.extend(keys.tuf_keys());
        let keys = TufRoleKeys {
            keyids: keys.key_ids(),
            threshold: keys.tuf_threshold(),
            _extra: HashMap::new(),
        };
        root.roles.insert(role, keys);
    }
    let used: Vec<_> = root
        .roles
        .values()
        .flat_map(|role| role.keyids.clone())
        .collect();
    root.keys.retain(|id, _| used.contains(id));
    root
}

/// What a snapshot or a timestamp says of a file.
pub(super) fn metafile(version: NonZeroU64, bytes: &[u8]) -> Metafile {
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes {
            sha256: Sha256::digest(bytes).to_vec().into(),
            _extra: HashMap::new(),
        }),
        version,
        _extra: HashMap::new(),
    }
}

/// Of a role that is listed for its version alone.
pub(super) fn bare(version: u64) -> Metafile {
    let version = NonZeroU64::new(version).unwrap_or(NonZeroU64::MIN);
    Metafile {
        length: None,
        hashes: None,
        version,
        _extra: HashMap::new(),
    }
}
