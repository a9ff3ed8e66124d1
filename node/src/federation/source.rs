//! The trust repository as the refresher's source: `pli_trust` fetches, verifies and keeps the copy.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pli_protocol::id::Timestamp;
use pli_protocol::trust::{Directory, Environment};
use pli_trust::{TrustConfig, TrustError, TrustStore, Unread};
use tokio::time::timeout;

use crate::config::Trust;

use super::{RefreshError, Source};

/// Fetches from the configured sources.
#[derive(Clone, Debug)]
pub struct TrustSource(Arc<TrustStore>);

/// A start waits so long for its sources, then goes on with the copy.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

/// A trust repository that loaded.
#[derive(Clone, Debug)]
pub struct Opened {
    /// For the refresher.
    pub source: TrustSource,
    /// The directory in force; it may have expired.
    pub directory: Arc<Directory>,
    /// `metadata/` and `targets/`, verified, for public HTTP.
    pub mirror: PathBuf,
    /// Why the directory is that of the copy and no source was asked with success; `None` after a
    /// refresh.
    pub from_copy: Option<String>,
    /// Each source that gave no directory, and why.
    pub unread: Vec<String>,
}

/// Opens the own copy, or fetches it if there is none, and then asks the sources: what is judged by
/// the directory is judged by the newest one (TRU-5.4). Without an answer the copy is enough.
pub async fn open(
    trust: &Trust,
    environment: Environment,
    now: Timestamp,
) -> Result<Opened, TrustError> {
    let disk = |source| TrustError::Disk {
        path: trust.root.clone(),
        source,
    };
    let config = TrustConfig {
        root: Bytes::from(std::fs::read(&trust.root).map_err(disk)?),
        sources: trust.sources.clone(),
        dir: trust.datastore.clone(),
        environment,
    };
    let store = Arc::new(TrustStore::open(config, now).await?);
    let (from_copy, unread) = match timeout(OPEN_WITHIN, store.refresh(now)).await {
        Ok(Ok(refreshed)) => (None, refreshed.unread),
        Ok(Err(error)) => (Some(error.to_string()), Vec::new()),
        Err(_) => {
            let problem = format!("no answer of the sources within {OPEN_WITHIN:?}");
            (Some(problem), Vec::new())
        }
    };
    let line = |unread: Unread| format!("source {}: {}", unread.source, unread.problem);
    Ok(Opened {
        directory: store.directory(),
        mirror: store.mirror_dir().to_owned(),
        source: TrustSource(store),
        from_copy,
        unread: unread.into_iter().map(line).collect(),
    })
}

impl Source for TrustSource {
    async fn refresh(&mut self, now: Timestamp) -> Result<Arc<Directory>, RefreshError> {
        let refreshed = self.0.refresh(now).await.map_err(RefreshError::from)?;
        Ok(refreshed.directory)
    }
}

impl From<TrustError> for RefreshError {
    fn from(error: TrustError) -> Self {
        let detail = error.to_string();
        // With several sources the last one's reason decides which alarm it is.
        match innermost(&error) {
            TrustError::Rollback { .. } => Self::Rollback(detail),
            TrustError::Equivocation { .. } => Self::Equivocation(detail),
            _ => Self::Failed(detail),
        }
    }
}

fn innermost(error: &TrustError) -> &TrustError {
    match error {
        TrustError::NoSource { last, .. } => innermost(last),
        other => other,
    }
}
