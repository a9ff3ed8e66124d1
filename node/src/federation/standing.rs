//! Whether this node's own authority takes part in the federation. Spec: TRU-4.2.

use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::Directory;

/// The federation has suspended this node's own authority.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the federation has suspended {authority} since {since}: no letter from its services is taken, here or elsewhere, \
     none is taken for its mailboxes, and other nodes refuse this one. Citizens can still fetch what is here. Ask the \
     federation why; its holders end it with: pli federation suspend {authority} --lift, then pli federation publish"
)]
pub struct Suspended {
    /// Which.
    pub authority: AuthorityId,
    /// Since when.
    pub since: Timestamp,
}

/// Whether the directory lets an authority take part at `now`. One that it does not name has no key in it either,
/// which is asked elsewhere.
pub fn standing(
    directory: &Directory,
    authority: &AuthorityId,
    now: Timestamp,
) -> Result<(), Suspended> {
    let since = match directory.authority(authority) {
        Ok(record) => record.standing.suspended_at(now),
        Err(_) => None,
    };
    match since {
        Some(since) => Err(Suspended {
            authority: authority.clone(),
            since,
        }),
        None => Ok(()),
    }
}
