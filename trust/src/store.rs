//! The directory in force (TRU-5.2: replaced as a whole), its memory against rollback and its copy on disk.
//!
//! ```text
//! <dir>/mirror/metadata, targets   verified copy: read at start, served to others
//! <dir>/memory/                    what `tough` compares versions with
//! <dir>/evidence/                  files that contradict what is trusted (case 20)
//! <dir>/lock                       one change of these at a time, between processes too
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use pli_protocol::id::Timestamp;
use pli_protocol::trust::{Directory, Environment};

use crate::error::TrustError;
use crate::fetch::Fetcher;
use crate::mirror::{Mirror, Old};
use crate::read::{Expiry, Reader, Verified};
use crate::source::Source;
use crate::sources::{Asked, GRACE, Newest, Read, Unread, copy_files, no_step_back, version_of};

pub(crate) const TIMESTAMP: &str = "metadata/timestamp.json";

/// Where everything is.
#[derive(Clone, Debug)]
pub struct TrustConfig {
    /// The root that was trusted once: the bytes of a `N.root.json`.
    pub root: Bytes,
    /// All are asked, and the newest directory that is valid is taken.
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
    /// Who gave no directory when it was opened from the sources; `None` if it was opened from the copy.
    unread: Option<Vec<Unread>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) directory: Arc<Directory>,
    pub(crate) root: Bytes,
    pub(crate) timestamp: Option<Bytes>,
}

/// What a refresh did.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The directory now in force.
    pub directory: Arc<Directory>,
    /// Whether it is another one.
    pub changed: Changed,
    /// The sources that gave no directory, although another one did.
    pub unread: Vec<Unread>,
}

/// Whether a refresh brought anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changed {
    /// A source has a newer state, which is now in force.
    Yes,
    /// No source has more than what was in force already.
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
                Ok(current) => return Ok(Self::with(config, mirror, current, None)),
                Err(error @ TrustError::AnotherRoot { .. }) => return Err(error),
                Err(error) => tracing::error!(%error, "the copy of the directory is damaged"),
            }
        }
        let asked = Asked {
            config: &config,
            mirror: &mirror,
            root: &config.root,
            now,
            before: None,
            grace: Some(GRACE),
        };
        let Newest { read, unread } = asked.newest().await?;
        let locked = lock(&config.dir).await?;
        let verified = write_down(&config, &mirror, read, None)?;
        drop(locked);
        let current = Current::from(verified);
        Ok(Self::with(config, mirror, current, Some(unread)))
    }

    fn with(
        config: TrustConfig,
        mirror: Mirror,
        current: Current,
        unread: Option<Vec<Unread>>,
    ) -> Self {
        let current = RwLock::new(current);
        Self {
            config,
            mirror,
            current,
            unread,
        }
    }

    /// The directory in force. It may be expired: ask it.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.now().directory
    }

    /// The sources that gave no directory, if [`Self::open`] has read it from them just then.
    #[must_use]
    pub fn unread_at_open(&self) -> Option<&[Unread]> {
        self.unread.as_deref()
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

    /// Asks all sources for a newer state, at most for `TRUST_REFRESH_TIMEOUT_MS` (TRU-5.3). On any error the directory in force stays.
    pub async fn refresh(&self, now: Timestamp) -> Result<Refreshed, TrustError> {
        self.ask(now, None).await
    }

    /// The same for a start: once one source has answered, the others are waited for some seconds only.
    pub async fn refresh_at_start(&self, now: Timestamp) -> Result<Refreshed, TrustError> {
        self.ask(now, Some(GRACE)).await
    }

    async fn ask(&self, now: Timestamp, grace: Option<Duration>) -> Result<Refreshed, TrustError> {
        let before = self.now();
        let Newest { read, unread } = self.asked(&before, now, grace).newest().await?;
        let refreshed = self.take(read).await?;
        Ok(Refreshed {
            unread,
            ..refreshed
        })
    }

    pub(crate) fn asked<'a>(
        &'a self,
        before: &'a Current,
        now: Timestamp,
        grace: Option<Duration>,
    ) -> Asked<'a> {
        Asked {
            config: &self.config,
            mirror: &self.mirror,
            root: &before.root,
            now,
            before: Some(before),
            grace,
        }
    }

    /// Puts in force what was read, unless something newer came meanwhile: whoever is slow holds up nobody.
    pub(crate) async fn take(&self, read: Read) -> Result<Refreshed, TrustError> {
        let _locked = lock(&self.config.dir).await?;
        let before = self.now();
        let versions = |directory: &Directory| directory.versions().age();
        let verified = &read.verified;
        let same = verified.files.get(TIMESTAMP) == before.timestamp.as_ref()
            && verified.root == before.root;
        if same || versions(&verified.directory) < versions(&before.directory) {
            return Ok(Refreshed {
                directory: before.directory,
                changed: Changed::No,
                unread: Vec::new(),
            });
        }
        no_step_back(&self.config, &before, verified)?;
        let verified = write_down(&self.config, &self.mirror, read, before.timestamp.as_ref())?;
        let current = Current::from(verified);
        let directory = Arc::clone(&current.directory);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(Refreshed {
            directory,
            changed: Changed::Yes,
            unread: Vec::new(),
        })
    }

    pub(crate) fn now(&self) -> Current {
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
    if !begins_with(&config.root, |file| mirror.read(file)) {
        return Err(TrustError::AnotherRoot {
            dir: config.dir.clone(),
        });
    }
    let copy = Source::Directory(mirror.dir().to_owned());
    let verified = read_again(copy, &config.root, config.environment).await?;
    Ok(verified.into())
}

/// Verifies a whole state that is at hand, in memory, from the root that the reader trusts: what a bundle of evidence
/// carries (EVD-6.1). `files`: by their names, such as `metadata/1.root.json`. The directory may have expired: ask it.
pub async fn read_held(
    root: &Bytes,
    files: BTreeMap<String, Bytes>,
    environment: Environment,
) -> Result<Directory, TrustError> {
    if !begins_with(root, |file| files.get(file).cloned()) {
        return Err(TrustError::invalid(
            "it does not begin with the root that is trusted here: one of the two is of another federation",
        ));
    }
    let verified = read_again(Source::Held(Arc::new(files)), root, environment).await?;
    Ok(verified.directory)
}

/// Reads what was in force once, which may have expired since.
async fn read_again(
    from: Source,
    root: &Bytes,
    environment: Environment,
) -> Result<Verified, TrustError> {
    let fetcher = Fetcher::new(from)?;
    let memory = tempfile::tempdir().map_err(TrustError::disk(std::env::temp_dir()))?;
    let reader = Reader {
        fetcher: &fetcher,
        root,
        memory: memory.path(),
        environment,
        expiry: Expiry::Reported,
        kept: None,
    };
    reader.read().await
}

/// Whether exactly this root is among the files.
fn begins_with(root: &Bytes, read: impl Fn(&str) -> Option<Bytes>) -> bool {
    let Ok(parsed) = serde_json::from_slice::<tough::schema::Signed<tough::schema::Root>>(root)
    else {
        return false;
    };
    let file = format!("metadata/{}.root.json", parsed.signed.version);
    read(&file).is_some_and(|bytes| bytes == root)
}

/// Makes it the copy and the memory. The caller holds the lock; `before` is the timestamp that this process had in
/// force.
fn write_down(
    config: &TrustConfig,
    mirror: &Mirror,
    read: Read,
    before: Option<&Bytes>,
) -> Result<Verified, TrustError> {
    let Read { verified, memory } = read;
    let versions = verified.directory.versions();
    // Another process may have written since: its newer memory is not to be lost.
    let there = mirror.read(TIMESTAMP);
    if there.as_ref() != before {
        let root = mirror.read("metadata/root.json");
        let version = |file: Option<Bytes>| file.as_deref().map_or(0, version_of);
        let theirs = (version(root), version(there));
        if theirs > versions.age() {
            return Err(TrustError::Rollback {
                detail: format!("read {versions:?}, and another process has taken {theirs:?}"),
            });
        }
    }
    copy_files(memory.path(), &config.dir.join("memory"))?;
    mirror.replace(&verified.files, &verified.root, Old::Removed)?;
    Ok(verified)
}

/// Held until dropped.
pub(crate) async fn lock(dir: &Path) -> Result<fs::File, TrustError> {
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
