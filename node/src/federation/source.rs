//! The trust repository as the refresher's source: `pli_trust` fetches, verifies and keeps the copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pli_protocol::id::Timestamp;
use pli_protocol::trust::{Directory, Environment};
use pli_trust::{Changed, TrustConfig, TrustError, TrustStore, Unread};
use tokio::time::timeout;

use crate::config::Trust;

use super::root::{self, OpenError};
use super::{Peers, RefreshError, Source};

/// Fetches from the configured sources.
#[derive(Clone, Debug)]
pub struct TrustSource(Arc<TrustStore>);

/// A start waits so long for its sources, then goes on with the copy.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

/// And so long for the nodes that the copy names, so many at the most.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
const CATCH_UP_PEERS: usize = 16;

/// A trust repository that loaded.
#[derive(Clone, Debug)]
pub struct Opened {
    /// For the refresher.
    pub source: TrustSource,
    /// `metadata/` and `targets/`, verified, for public HTTP.
    pub mirror: PathBuf,
    /// What it holds.
    pub found: Found,
}

/// What the trust repository holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// The directory in force; it may have expired.
    pub directory: Arc<Directory>,
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
) -> Result<Opened, OpenError> {
    let (store, found) = ask(trust, &trust.datastore, environment, now).await?;
    Ok(Opened {
        mirror: store.mirror_dir().to_owned(),
        source: TrustSource(Arc::new(store)),
        found,
    })
}

/// Finds the same, and writes nothing but into a folder of its own that goes away again.
pub async fn look(
    trust: &Trust,
    environment: Environment,
    now: Timestamp,
) -> Result<Found, OpenError> {
    let own = |path: PathBuf| move |source| OpenError::Trust(TrustError::Disk { path, source });
    let scratch = tempfile::tempdir().map_err(own(std::env::temp_dir()))?;
    for part in ["mirror", "memory"] {
        let from = trust.datastore.join(part);
        copy(&from, &scratch.path().join(part)).map_err(own(from))?;
    }
    let (_, found) = ask(trust, scratch.path(), environment, now).await?;
    Ok(found)
}

async fn ask(
    trust: &Trust,
    dir: &Path,
    environment: Environment,
    now: Timestamp,
) -> Result<(TrustStore, Found), OpenError> {
    let config = TrustConfig {
        root: root::read(&trust.root)?,
        sources: trust.sources.clone(),
        dir: dir.to_owned(),
        environment,
    };
    let store = TrustStore::open(config, now)
        .await
        .map_err(|error| OpenError::of(error, trust))?;
    let (from_copy, unread) = match store.unread_at_open() {
        // They were asked this moment.
        Some(unread) => (None, unread.to_vec()),
        None => match timeout(OPEN_WITHIN, store.refresh_at_start(now)).await {
            Ok(Ok(refreshed)) => (None, refreshed.unread),
            Ok(Err(error)) => (Some(error.to_string()), Vec::new()),
            Err(_) => {
                let problem = format!("no answer of the sources within {OPEN_WITHIN:?}");
                (Some(problem), Vec::new())
            }
        },
    };
    let line = |unread: Unread| format!("source {}: {}", unread.source, unread.problem);
    let found = Found {
        directory: store.directory(),
        from_copy,
        unread: unread.into_iter().map(line).collect(),
    };
    Ok((store, found))
}

impl Opened {
    /// TRU-5.6: where no configured source answers a start, some of the nodes that the copy names are asked.
    pub async fn catch_up(mut self, peers: &Peers, now: Timestamp) -> Self {
        if self.found.from_copy.is_none() {
            return self;
        }
        let directory = Arc::clone(&self.found.directory);
        let all = peers.all(&directory, now).into_iter();
        let sources = all.filter_map(|peer| peers.source(&directory, &peer, now));
        let asked: Vec<_> = sources.take(CATCH_UP_PEERS).collect();
        let mut asking: FuturesUnordered<_> = asked
            .iter()
            .map(|source| self.source.follow(source, now))
            .collect();
        let first_newer = async {
            while let Some(followed) = asking.next().await {
                if followed.is_ok_and(|followed| followed.changed == Changed::Yes) {
                    return;
                }
            }
        };
        drop(timeout(CATCH_UP_WITHIN, first_newer).await);
        drop(asking);
        self.found.directory = self.source.directory();
        self
    }
}

impl TrustSource {
    /// Takes what a peer has, if it is newer and verifies.
    pub(super) async fn follow(
        &self,
        peer: &pli_trust::Source,
        now: Timestamp,
    ) -> Result<pli_trust::Refreshed, TrustError> {
        self.0.follow(peer, now).await
    }

    /// The directory in force.
    pub(super) fn directory(&self) -> Arc<Directory> {
        self.0.directory()
    }
}

/// Copies a folder with all that is in it; one that is not there is an empty one.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&from, &to)?;
        } else {
            match fs::copy(&from, &to) {
                // A node that runs has replaced it this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => drop(copied?),
            }
        }
    }
    Ok(())
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
        match root::innermost(&error) {
            TrustError::Rollback { .. } => Self::Rollback(detail),
            TrustError::Equivocation { .. } => Self::Equivocation(detail),
            _ => Self::Failed(detail),
        }
    }
}
