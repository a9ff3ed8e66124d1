//! The trust directory as a service or a device keeps it: a verified copy in its own folder, asked
//! for news when it works, used as it is when nobody answers. Spec: trust.md.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pli_protocol::id::Timestamp;
use pli_protocol::limits;
use pli_protocol::trust::{Directory, Environment};
use pli_trust::{Changed, Source, TrustConfig, TrustError, TrustStore};

use crate::folder::{self, FileError};

/// Where the directory comes from and where it is kept.
#[derive(Clone, Debug)]
pub struct DirectoryPlace {
    /// The file of the root that was trusted once.
    pub root: PathBuf,
    /// Where to ask for news, in order.
    pub sources: Vec<Source>,
    /// Where the verified copy is kept.
    pub copy: PathBuf,
    /// Whether published example keys are tolerated.
    pub environment: Environment,
}

/// Why there is no directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The trusted root.
    #[error("the federation's root: {0}")]
    Root(#[from] FileError),
    /// The repository.
    #[error("the directory: {0}")]
    Trust(#[from] TrustError),
}

/// The directory, open. Everything in it was verified.
#[derive(Debug)]
pub struct OpenDirectory {
    store: TrustStore,
}

impl OpenDirectory {
    /// Opens the copy; the first time, fetches one.
    pub async fn open(place: &DirectoryPlace, now: Timestamp) -> Result<Self, DirectoryError> {
        let root = Bytes::from(folder::read(&place.root, limits::TRUST_ROOT_MAX)?);
        let config = TrustConfig {
            root,
            sources: place.sources.clone(),
            dir: place.copy.clone(),
            environment: place.environment,
        };
        Ok(Self {
            store: TrustStore::open(config, now).await?,
        })
    }

    /// Asks for news. When nobody answers, the copy goes on until it expires: that is the
    /// directory's to say, so a failure here is only logged.
    pub async fn refresh(&self, now: Timestamp) -> Option<Changed> {
        match self.store.refresh(now).await {
            Ok(refreshed) => Some(refreshed.changed),
            Err(error) => {
                tracing::warn!(code = %error.code(), %error, "the directory was not refreshed");
                None
            }
        }
    }

    /// The directory in force.
    pub fn current(&self) -> Arc<Directory> {
        self.store.directory()
    }

    /// The folder that holds the verified copy: `metadata/` and `targets/`.
    pub fn copy(&self) -> &Path {
        self.store.mirror_dir()
    }
}
