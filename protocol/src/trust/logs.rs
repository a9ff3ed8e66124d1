//! What a directory says of the nodes' logs: by which keys, and where they are read and asked.

use crate::crypto::sign::PublicKey;
use crate::id::{AuthorityId, Timestamp};

use super::directory::Directory;
use super::record::ValidKey;

impl Directory {
    /// EVD-3.1: the keys that may sign and cosign checkpoints for the node of `authority` at a time; none without a node.
    #[must_use]
    pub fn log_keys(&self, authority: &AuthorityId, at: Timestamp) -> Vec<PublicKey> {
        let listed = self.listed_log_keys(authority).iter();
        let valid = listed.filter(|key| key.validity.contains(at));
        valid.map(|key| key.key).collect()
    }

    /// All keys that ever might: one that was replaced convicts its log too (EVD-10).
    #[must_use]
    pub fn log_keys_ever(&self, authority: &AuthorityId) -> Vec<PublicKey> {
        let listed = self.listed_log_keys(authority).iter();
        listed.map(|key| key.key).collect()
    }

    fn listed_log_keys(&self, authority: &AuthorityId) -> &[ValidKey] {
        self.node_of(authority)
            .map_or(&[], |node| node.log_keys.as_slice())
    }

    /// Where the public HTTP of the node of `authority` is, in the order to try; nowhere without a node.
    #[must_use]
    pub fn http_of(&self, authority: &AuthorityId) -> Vec<String> {
        let bases = self
            .node_of(authority)
            .map_or(&[][..], |node| node.http.as_slice());
        bases.iter().map(ToString::to_string).collect()
    }
}
