//! The TUF client workflow, then our own rules (TRU-2.1). What the files say is for `records`.
//!
//! In: files from a place that nobody trusts, the newest root that is trusted, what was seen before.
//! Out: a [`Directory`] and the exact bytes it was made from. `tough` checks signatures, thresholds,
//! versions, hashes and rollback; here are checked
//! expiries, against the caller's clock: the four top-level roles stop the refresh, an authority's own
//! role stops only that authority (TRU-4.1). `tough`'s own check would let one authority that forgets to
//! sign stop the whole federation.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use pli_protocol::id::Timestamp;
use pli_protocol::limits;
use pli_protocol::trust::{Directory, DirectoryBuilder, Environment, TrustRole, Versions};
use tough::schema::Role;
use tough::{ExpirationEnforcement, Limits, Repository, RepositoryLoader};

use crate::error::TrustError;
use crate::fetch::{Fetcher, metadata_base, targets_base};
use crate::mirror::Mirror;
use crate::moment::timestamp;
use crate::records::Records;

/// One state of the repository, verified.
pub(crate) struct Verified {
    pub(crate) directory: Directory,
    /// The newest root, to begin from next time.
    pub(crate) root: Bytes,
    /// File name within the repository → bytes; `metadata/timestamp.json` among them.
    pub(crate) files: BTreeMap<String, Bytes>,
}

/// Whether an expired top-level role is an error. Of what comes from a source it is (a freeze);
/// of the own copy at a start it is a state that the directory itself reports.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expiry {
    Refused { now: Timestamp },
    Reported,
}

pub(crate) struct Reader<'a> {
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) root: &'a [u8],
    pub(crate) memory: &'a Path,
    pub(crate) environment: Environment,
    pub(crate) expiry: Expiry,
    /// Where target files that were verified before need not be fetched again.
    pub(crate) kept: Option<&'a Mirror>,
}

impl Reader<'_> {
    pub(crate) async fn read(&self) -> Result<Verified, TrustError> {
        let repository = self.load().await?;
        let root = &repository.root().signed;
        // TRU-1.1
        if !root.consistent_snapshot {
            return Err(TrustError::invalid(
                "the root does not set consistent_snapshot",
            ));
        }
        let top = top_level(&repository);
        if let Expiry::Refused { now } = self.expiry {
            for (role, expires) in &top {
                if *expires <= now {
                    return Err(TrustError::Expired {
                        role: role.clone(),
                        expires: *expires,
                        now,
                    });
                }
            }
        }
        let versions = Versions {
            root: root.version.get(),
            timestamp: repository.timestamp().signed.version.get(),
            snapshot: repository.snapshot().signed.version.get(),
            targets: repository.targets().signed.version.get(),
        };
        let builder = DirectoryBuilder::new(self.environment, versions, top);
        let mut records = Records::new(self, builder);
        records.federation(&repository.targets().signed).await?;
        let (directory, mut files) = records.finish();

        let metadata = self.fetcher.metadata();
        let newest = metadata
            .get(&format!("{}.root.json", versions.root))
            .cloned();
        let newest = newest.unwrap_or_else(|| Bytes::copy_from_slice(self.root));
        files.extend(
            metadata
                .into_iter()
                .map(|(name, bytes)| (format!("metadata/{name}"), bytes)),
        );
        files.insert(
            format!("metadata/{}.root.json", versions.root),
            newest.clone(),
        );
        Ok(Verified {
            directory,
            root: newest,
            files,
        })
    }

    async fn load(&self) -> Result<Repository, TrustError> {
        // `tough` remembers the clock and refuses when it has gone back, for ever after a clock
        // that was once far ahead. The clock is the node's own concern (case 76).
        let clock = self.memory.join("latest_known_time.json");
        match std::fs::remove_file(&clock) {
            Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => {
                return Err(TrustError::disk(clock)(problem));
            }
            _ => {}
        }
        let loaded = RepositoryLoader::new(&self.root, metadata_base(), targets_base())
            .transport(self.fetcher.clone())
            .limits(Limits {
                max_root_size: limits::TRUST_ROOT_MAX,
                max_targets_size: limits::TRUST_TARGETS_MAX,
                max_timestamp_size: limits::TRUST_TIMESTAMP_MAX,
                max_snapshot_size: limits::TRUST_SNAPSHOT_MAX,
                max_root_updates: limits::TRUST_ROOT_UPDATES_MAX,
            })
            .datastore(self.memory)
            .expiration_enforcement(ExpirationEnforcement::Unsafe)
            .load()
            .await;
        // First: a blocked root explains every signature that then does not fit.
        if let Some(failure) = self.fetcher.failure() {
            return Err(failure.into());
        }
        Ok(loaded?)
    }
}

fn top_level(repository: &Repository) -> [(TrustRole, Timestamp); 4] {
    let root = timestamp(repository.root().signed.expires());
    let targets = timestamp(repository.targets().signed.expires());
    let snapshot = timestamp(repository.snapshot().signed.expires());
    let newest = timestamp(repository.timestamp().signed.expires());
    [
        (TrustRole::Root, root),
        (TrustRole::Targets, targets),
        (TrustRole::Snapshot, snapshot),
        (TrustRole::Timestamp, newest),
    ]
}
