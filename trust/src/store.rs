//! The directory in force (TRU-5.2: replaced as a whole), its memory against rollback and its copy on disk.
//!
//! ```text
//! <dir>/mirror/metadata, targets   verified copy: read at start, served to others
//! <dir>/memory/                    what `tough` compares versions with
//! <dir>/evidence/                  files that contradict what is trusted (case 20)
//! <dir>/lock                       one refresh at a time, between processes too
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use pli_protocol::id::{Timestamp, to_hex};
use pli_protocol::trust::{Directory, Environment};
use sha2::{Digest, Sha256};

use crate::error::TrustError;
use crate::fetch::Fetcher;
use crate::mirror::{Mirror, Old, write_whole};
use crate::read::{Expiry, Reader, Verified};
use crate::source::Source;

/// Contradictions kept at most; more of them prove nothing more.
const EVIDENCE_MAX: usize = 16;
const TIMESTAMP: &str = "metadata/timestamp.json";

/// Where everything is.
#[derive(Clone, Debug)]
pub struct TrustConfig {
    /// The root that was trusted once: the bytes of a `N.root.json`.
    pub root: Bytes,
    /// Tried in order until one gives a directory.
    pub sources: Vec<Source>,
    /// A directory of this node's own.
    pub dir: PathBuf,
    /// Whether published example keys are tolerated.
    pub environment: Environment,
}

/// Holds the directory in force. Cheap to ask, from any task.
#[derive(Debug)]
pub struct TrustStore {
    config: TrustConfig,
    mirror: Mirror,
    current: RwLock<Current>,
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Current {
    directory: Arc<Directory>,
    root: Bytes,
    timestamp: Option<Bytes>,
}

/// What a refresh did.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The directory now in force.
    pub directory: Arc<Directory>,
    /// Whether it is another one.
    pub changed: Changed,
}

/// Whether a refresh brought anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changed {
    /// The source has a newer state, which is now in force.
    Yes,
    /// The source has what was in force already.
    No,
}

impl TrustStore {
    /// Starts from the own copy, which may be expired, or from the sources if there is none or it is
    /// damaged. Never waits for the network when the copy is whole.
    pub async fn open(config: TrustConfig, now: Timestamp) -> Result<Self, TrustError> {
        let mirror = Mirror::new(config.dir.join("mirror"));
        for folder in [mirror.dir().to_owned(), config.dir.join("memory")] {
            fs::create_dir_all(&folder).map_err(TrustError::disk(folder))?;
        }
        if mirror.exists() {
            match from_copy(&config, &mirror).await {
                Ok(current) => return Ok(Self::with(config, mirror, current)),
                Err(error @ TrustError::AnotherRoot { .. }) => return Err(error),
                Err(error) => tracing::error!(%error, "the copy of the directory is damaged"),
            }
        }
        let locked = lock(&config.dir).await?;
        let verified = from_sources(&config, &mirror, &config.root, now, None).await?;
        mirror.replace(&verified.files, &verified.root, Old::Removed)?;
        drop(locked);
        let current = Current::from(verified);
        Ok(Self::with(config, mirror, current))
    }

    fn with(config: TrustConfig, mirror: Mirror, current: Current) -> Self {
        let current = RwLock::new(current);
        Self {
            config,
            mirror,
            current,
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    /// The directory in force. It may be expired: ask it.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.now().directory
    }

    /// `metadata/` and `targets/`, verified: what may be served to anyone.
    #[must_use]
    pub fn mirror_dir(&self) -> &Path {
        self.mirror.dir()
    }

    /// The newest root's file. Its SHA-256 goes into invitations.
    #[must_use]
    pub fn root(&self) -> Bytes {
        self.now().root
    }

    /// Asks the sources for a newer state. On any error the directory in force stays.
    pub async fn refresh(&self, now: Timestamp) -> Result<Refreshed, TrustError> {
        let _one = self.refreshing.lock().await;
        let _locked = lock(&self.config.dir).await?;
        let before = self.now();
        let verified =
            from_sources(&self.config, &self.mirror, &before.root, now, Some(&before)).await?;
        if verified.files.get(TIMESTAMP) == before.timestamp.as_ref()
            && verified.root == before.root
        {
            return Ok(Refreshed {
                directory: before.directory,
                changed: Changed::No,
            });
        }
        self.mirror
            .replace(&verified.files, &verified.root, Old::Removed)?;
        let current = Current::from(verified);
        let directory = Arc::clone(&current.directory);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(Refreshed {
            directory,
            changed: Changed::Yes,
        })
    }

    fn now(&self) -> Current {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl From<Verified> for Current {
    fn from(verified: Verified) -> Self {
        let timestamp = verified.files.get(TIMESTAMP).cloned();
        Self {
            directory: Arc::new(verified.directory),
            root: verified.root,
            timestamp,
        }
    }
}

async fn from_copy(config: &TrustConfig, mirror: &Mirror) -> Result<Current, TrustError> {
    if !begins_with(mirror, &config.root) {
        return Err(TrustError::AnotherRoot {
            dir: config.dir.clone(),
        });
    }
    let fetcher = Fetcher::new(Source::Directory(mirror.dir().to_owned()))?;
    let memory = tempfile::tempdir().map_err(TrustError::disk(std::env::temp_dir()))?;
    let reader = Reader {
        fetcher: &fetcher,
        root: &config.root,
        memory: memory.path(),
        environment: config.environment,
        expiry: Expiry::Reported,
        kept: None,
    };
    Ok(reader.read().await?.into())
}

/// Whether the copy holds exactly this root among its own.
fn begins_with(mirror: &Mirror, root: &[u8]) -> bool {
    let Ok(parsed) = serde_json::from_slice::<tough::schema::Signed<tough::schema::Root>>(root)
    else {
        return false;
    };
    let file = format!("metadata/{}.root.json", parsed.signed.version);
    mirror.read(&file).is_some_and(|bytes| bytes == root)
}

async fn from_sources(
    config: &TrustConfig,
    mirror: &Mirror,
    root: &Bytes,
    now: Timestamp,
    before: Option<&Current>,
) -> Result<Verified, TrustError> {
    let mut last = None;
    for source in &config.sources {
        match from_source(config, mirror, root, now, before, source).await {
            Ok(verified) => return Ok(verified),
            Err(error @ TrustError::Disk { .. }) => return Err(error),
            Err(error) => {
                tracing::warn!(%source, code = %error.code(), %error, "no directory from this source");
                last = Some(error);
            }
        }
    }
    let none = || TrustError::invalid("no source is configured");
    let tried = config.sources.len();
    match last {
        Some(error) if tried == 1 => Err(error),
        last => Err(TrustError::NoSource {
            tried,
            last: Box::new(last.unwrap_or_else(none)),
        }),
    }
}

async fn from_source(
    config: &TrustConfig,
    mirror: &Mirror,
    root: &Bytes,
    now: Timestamp,
    before: Option<&Current>,
    source: &Source,
) -> Result<Verified, TrustError> {
    let fetcher = Fetcher::new(source.clone())?;
    let reader = Reader {
        fetcher: &fetcher,
        root,
        memory: &config.dir.join("memory"),
        environment: config.environment,
        expiry: Expiry::Refused { now },
        kept: Some(mirror),
    };
    let mut verified = reader.read().await?;
    // The trusted root itself is part of the copy, whichever root the source began with.
    if let Ok(parsed) = serde_json::from_slice::<tough::schema::Signed<tough::schema::Root>>(root) {
        let file = format!("metadata/{}.root.json", parsed.signed.version);
        verified.files.entry(file).or_insert_with(|| root.clone());
    }
    if let Some(before) = before {
        no_step_back(config, before, &verified)?;
    }
    Ok(verified)
}

/// TRU-2.3. A second belt over `tough`'s memory, which a torn write can empty: under one root no version may
/// fall, and one version of the timestamp is one file.
fn no_step_back(
    config: &TrustConfig,
    before: &Current,
    after: &Verified,
) -> Result<(), TrustError> {
    let (old, new) = (before.directory.versions(), after.directory.versions());
    if new.root != old.root {
        // TRU-2.5: only k holders of the root can do this; it is how a fast-forward is recovered from (case 22).
        return Ok(());
    }
    if new.timestamp < old.timestamp || new.snapshot < old.snapshot || new.targets < old.targets {
        return Err(TrustError::Rollback {
            detail: format!("offered {new:?}, in force {old:?}"),
        });
    }
    let offered = after.files.get(TIMESTAMP);
    if new.timestamp == old.timestamp && offered != before.timestamp.as_ref() {
        let kept = keep_evidence(&config.dir, &after.files)?;
        return Err(TrustError::Equivocation {
            version: new.timestamp,
            kept,
        });
    }
    Ok(())
}

fn keep_evidence(dir: &Path, files: &BTreeMap<String, Bytes>) -> Result<PathBuf, TrustError> {
    let folder = dir.join("evidence");
    let bytes = files.get(TIMESTAMP).cloned().unwrap_or_default();
    let name = format!("timestamp-{}.json", &to_hex(&Sha256::digest(&bytes))[..16]);
    let path = folder.join(name);
    let held = fs::read_dir(&folder).map_or(0, Iterator::count);
    if held < EVIDENCE_MAX || path.exists() {
        write_whole(&path, &bytes).map_err(TrustError::disk(path.clone()))?;
    }
    Ok(folder)
}

/// Held until dropped.
async fn lock(dir: &Path) -> Result<fs::File, TrustError> {
    let path = dir.join("lock");
    let wait = tokio::task::spawn_blocking(move || {
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        file.and_then(|file| file.lock().map(|()| file))
            .map_err(TrustError::disk(path))
    });
    wait.await
        .unwrap_or_else(|_| Err(TrustError::invalid("waiting for the lock was interrupted")))
}
