//! What the directory says of witnesses: whose logs there are, by which keys, where they are asked, how many must answer.

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::Directory;

/// The keys that may sign and cosign checkpoints for an authority at a time; none if it is not in the directory.
pub(super) fn log_keys(
    directory: &Directory,
    authority: &AuthorityId,
    at: Timestamp,
) -> Vec<PublicKey> {
    let keys = directory
        .node_of(authority)
        .map(|node| node.log_keys.as_slice());
    let valid = keys
        .unwrap_or_default()
        .iter()
        .filter(|key| key.validity.contains(at));
    valid.map(|valid| valid.key).collect()
}

/// All keys that ever did: a key that was replaced convicts too.
pub(super) fn all_log_keys(directory: &Directory, authority: &AuthorityId) -> Vec<PublicKey> {
    let keys = directory
        .node_of(authority)
        .map(|node| node.log_keys.as_slice());
    keys.unwrap_or_default().iter().map(|key| key.key).collect()
}

/// Under which URLs the node of an authority is asked to cosign, in the order to try.
pub(super) fn bases(directory: &Directory, authority: &AuthorityId) -> Vec<String> {
    let bases = directory
        .node_of(authority)
        .map(|node| node.http.as_slice());
    bases
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// How many others must have cosigned a checkpoint.
pub(super) fn needed(directory: &Directory) -> usize {
    directory.policy().witnesses
}
