//! The trust directory as a service or a device keeps it: a verified copy in its own folder, asked
//! for news when it works, used as it is when nobody answers. Spec: trust.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pli_protocol::code::Code;
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
    #[error(
        "the federation's root: {0}; pli federation publish writes it, as repository/metadata/root.json"
    )]
    Root(#[from] FileError),
    /// The repository.
    #[error("the directory: {source}{advice}", source = .0, advice = advice(.0))]
    Trust(#[from] TrustError),
}

impl DirectoryError {
    /// The code, where somebody is to blame and a code says for what; a place of one's own that was
    /// mistyped has none.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Trust(error) if lack(error).is_none() => Some(error.code()),
            Self::Root(_) | Self::Trust(_) => None,
        }
    }

    /// Whether nobody answered, which may pass.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Trust(error) if lack(error) == Some(Lack::NoAnswer))
    }
}

/// Why a place gave nothing that could be believed or doubted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lack {
    /// No directory is there.
    NotThere,
    /// Nobody answers there now.
    NoAnswer,
}

/// Whether the places of the directory gave nothing at all.
pub fn lack(error: &TrustError) -> Option<Lack> {
    match error {
        TrustError::NoSource { last, .. } => lack(last),
        TrustError::Unreachable { from, problem, .. } => {
            let remote = from.starts_with("http://") || from.starts_with("https://");
            let nothing = problem == "no such file" || problem.starts_with("HTTP 4");
            Some(if remote && !nothing {
                Lack::NoAnswer
            } else {
                Lack::NotThere
            })
        }
        TrustError::Disk { .. } => Some(Lack::NotThere),
        _ => None,
    }
}

/// What to do where nothing is there, or nobody answers.
fn advice(error: &TrustError) -> &'static str {
    match lack(error) {
        Some(Lack::NotThere) => {
            "; a directory is a folder that holds metadata/ and targets/, such as federation/repository, or an address that hands them out, such as http://127.0.0.1:7405/trust of a node"
        }
        Some(Lack::NoAnswer) => "; is the address right, and does a node or web server run there?",
        None => "",
    }
}

/// Every file of a verified copy, ascending by its name there, such as `metadata/1.root.json`.
pub fn files(copy: &Path) -> Result<Vec<(String, PathBuf)>, FileError> {
    let mut files = Vec::new();
    let mut folders = vec![copy.join("metadata"), copy.join("targets")];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(&here).map_err(FileError::at(&here))? {
            let path = entry.map_err(FileError::at(&here))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(copy).expect("it was found in there");
            let name = name.to_string_lossy().into_owned();
            // Files that are being written begin with a dot until they are whole.
            if !name.contains("/.") {
                files.push((name, path));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
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
