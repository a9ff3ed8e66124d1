//! One peer is asked for a newer state (TRU-5.6). Each peer by itself: one that is slow or lies holds up neither the
//! others nor the refresh from the configured sources, since what was read is taken under the lock alone.

use std::time::Duration;

use pli_protocol::id::Timestamp;
use pli_protocol::limits;
use tokio::time::timeout;

use crate::error::TrustError;
use crate::fetch::Fetcher;
use crate::source::Source;
use crate::sources::{claim_by, too_slow, version_of};
use crate::store::{Changed, Refreshed, TrustStore};

impl TrustStore {
    /// Takes the directory of `peer` if it is newer and verifies, within `TRUST_PEER_TIMEOUT_MS`. On any error the
    /// directory in force stays.
    pub async fn follow(&self, peer: &Source, now: Timestamp) -> Result<Refreshed, TrustError> {
        let time = Duration::from_millis(limits::TRUST_PEER_TIMEOUT_MS);
        let followed = timeout(time, self.follow_patiently(peer, now)).await;
        followed.unwrap_or_else(|_| Err(too_slow(peer)))
    }

    async fn follow_patiently(
        &self,
        peer: &Source,
        now: Timestamp,
    ) -> Result<Refreshed, TrustError> {
        let before = self.now();
        let fetcher = Fetcher::new(peer.clone())?;
        let next_root = version_of(&before.root).saturating_add(1);
        let (claim, timestamp) = claim_by(&fetcher, next_root).await?;
        let ours = before.directory.versions().timestamp;
        // Another file of the same version is read: if it verifies, somebody signs twice (case 20).
        let another = claim.timestamp == ours && timestamp != before.timestamp;
        // What is no timestamp is read too: the reading says what is wrong with it.
        let none = claim.timestamp == 0;
        if claim.next_root || claim.timestamp > ours || another || none {
            let read = self.asked(&before, now, None).read(peer).await?;
            return self.take(read).await;
        }
        Ok(Refreshed {
            directory: before.directory,
            changed: Changed::No,
            unread: Vec::new(),
        })
    }
}
