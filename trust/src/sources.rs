//! The newest directory among all sources. In: sources that nobody trusts, what is in force. Out: the
//! newest state that verifies, and which sources gave none. Spec: TRU-5.3.
//!
//! Every source is asked at once what it claims to have: one that is frozen cannot hide another, and one that is
//! silent holds up a start by [`GRACE`] only. The claims only order the reading; what counts is what then verifies. Each reading has a copy of the
//! memory against rollback, and only the winner's is kept: a state that was not taken must not stand
//! in the way of the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use pli_protocol::id::{Timestamp, to_hex};
use pli_protocol::limits;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::TrustError;
use crate::fetch::{FetchError, Fetcher};
use crate::mirror::{Mirror, write_whole};
use crate::read::{Expiry, Reader, Verified};
use crate::source::Source;
use crate::store::{Current, TIMESTAMP, TrustConfig, lock};

/// Sources that are asked at a time.
const ASKED_AT_ONCE: usize = 16;
/// Who wants to start waits so long for the others once one source has answered. The refreshes wait for all.
pub(crate) const GRACE: Duration = Duration::from_secs(3);
/// Contradictions kept at most; more of them prove nothing more.
const EVIDENCE_MAX: usize = 16;
/// The copy of the memory that one reading uses.
const READING: &str = ".reading-";

/// A source that gave no directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unread {
    /// Which.
    pub source: Source,
    /// Why not.
    pub problem: String,
}

/// What is asked of the sources.
pub(crate) struct Asked<'a> {
    pub(crate) config: &'a TrustConfig,
    pub(crate) mirror: &'a Mirror,
    pub(crate) root: &'a Bytes,
    pub(crate) now: Timestamp,
    pub(crate) before: Option<&'a Current>,
    /// How long to wait for the others once one has answered; `None`: until all have.
    pub(crate) grace: Option<Duration>,
}

/// What came of it.
pub(crate) struct Newest {
    pub(crate) read: Read,
    pub(crate) unread: Vec<Unread>,
}

/// A state that verifies, with the memory against rollback of its reading. Kept only if the state is taken.
pub(crate) struct Read {
    pub(crate) verified: Verified,
    pub(crate) memory: tempfile::TempDir,
}

/// What a source says that it has. Nothing of it is believed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Claim {
    /// A root after the one that is trusted, or something in its place.
    pub(crate) next_root: bool,
    pub(crate) timestamp: u64,
}

#[derive(Deserialize)]
struct Claimed {
    signed: ClaimedVersion,
}

#[derive(Deserialize)]
struct ClaimedVersion {
    version: u64,
}

impl Asked<'_> {
    pub(crate) async fn newest(&self) -> Result<Newest, TrustError> {
        let due = Instant::now() + Duration::from_millis(limits::TRUST_REFRESH_TIMEOUT_MS);
        self.forget_readings()?;
        let mut grace = self.grace;
        loop {
            let mut failed = Failed::default();
            let claims = self.claims(grace, &mut failed).await;
            if let Some(read) = self.best(&claims, due, &mut failed).await? {
                let unread = failed.unread;
                return Ok(Newest { read, unread });
            }
            // Whoever answers first with nothing that verifies must not cut the others off.
            if !failed.cut_off {
                return Err(failed.error(self.config.sources.len()));
            }
            grace = None;
        }
    }

    /// Reads the sources in the order of their claims. Gives the newest state, and the memory of its reading.
    async fn best(
        &self,
        claims: &[(Claim, &Source)],
        due: Instant,
        failed: &mut Failed,
    ) -> Result<Option<Read>, TrustError> {
        let mut best: Option<Read> = None;
        for (index, (claim, source)) in claims.iter().enumerate() {
            if best
                .as_ref()
                .is_some_and(|best| !self.may_beat(*claim, &best.verified))
            {
                continue;
            }
            // One that is slow takes no more than its share of the time that is left.
            let left = due.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(claims.len() - index).unwrap_or(u32::MAX);
            let read = timeout(share, self.read(source)).await;
            match read.unwrap_or_else(|_| Err(too_slow(source))) {
                Ok(read) if newer(&read, best.as_ref()) => best = Some(read),
                Ok(_) => {}
                Err(error @ TrustError::Disk { .. }) => return Err(error),
                Err(error) => failed.note(source, error),
            }
        }
        Ok(best)
    }

    /// The sources that answer, the greatest claim first; of equal ones in the order of the
    /// configuration.
    async fn claims(&self, grace: Option<Duration>, failed: &mut Failed) -> Vec<(Claim, &Source)> {
        let next_root = version_of(self.root).saturating_add(1);
        let sources = &self.config.sources;
        let mut answers: Vec<Option<Result<Claim, TrustError>>> = Vec::new();
        answers.resize_with(sources.len(), || None);
        let mut asking = stream::iter(sources.clone().into_iter().enumerate())
            .map(|(index, source)| async move { (index, claim(source, next_root).await) })
            .buffer_unordered(ASKED_AT_ONCE);
        let mut until = None;
        loop {
            let next = match until {
                Some(until) => timeout_at(until, asking.next()).await,
                None => Ok(asking.next().await),
            };
            let Ok(Some((index, answer))) = next else {
                break;
            };
            if let (Ok(_), None, Some(grace)) = (&answer, until, grace) {
                until = Some(Instant::now() + grace);
            }
            answers[index] = Some(answer);
        }
        let mut claims = Vec::new();
        for (source, answer) in sources.iter().zip(answers) {
            match answer {
                Some(Ok(claim)) => claims.push((claim, source)),
                Some(Err(error)) => failed.note(source, error),
                None => {
                    failed.cut_off = true;
                    failed.note(source, too_slow(source));
                }
            }
        }
        claims.sort_by_key(|(claim, _)| std::cmp::Reverse(*claim));
        claims
    }

    /// A next root is looked at wherever one is offered: under it versions may begin anew (TRU-2.5).
    fn may_beat(&self, claim: Claim, best: &Verified) -> bool {
        let versions = best.directory.versions();
        let same_root = versions.root == version_of(self.root);
        claim.next_root || (same_root && claim.timestamp > versions.timestamp)
    }

    pub(crate) async fn read(&self, source: &Source) -> Result<Read, TrustError> {
        let fetcher = Fetcher::new(source.clone())?;
        let memory = self.memory().await?;
        let reader = Reader {
            fetcher: &fetcher,
            root: self.root,
            memory: memory.path(),
            environment: self.config.environment,
            expiry: Expiry::Refused { now: self.now },
            kept: Some(self.mirror),
        };
        let mut verified = reader.read().await?;
        // The trusted root itself is part of the copy, whichever root the source began with.
        let file = format!("metadata/{}.root.json", version_of(self.root));
        let root = || self.root.clone();
        verified.files.entry(file).or_insert_with(root);
        if let Some(before) = self.before {
            no_step_back(self.config, before, &verified)?;
        }
        Ok(Read { verified, memory })
    }

    /// What a process left that was killed while it read: so old that nobody can still be reading.
    fn forget_readings(&self) -> Result<(), TrustError> {
        let dir = &self.config.dir;
        let reads_at_most = Duration::from_millis(limits::TRUST_REFRESH_TIMEOUT_MS) * 2;
        for entry in fs::read_dir(dir).map_err(TrustError::disk(dir.clone()))? {
            let entry = entry.map_err(TrustError::disk(dir.clone()))?;
            let age = |entry: &fs::DirEntry| entry.metadata().ok()?.modified().ok()?.elapsed().ok();
            if entry.file_name().to_string_lossy().starts_with(READING)
                && age(&entry).is_some_and(|age| age > reads_at_most)
            {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(TrustError::disk(path))?;
            }
        }
        Ok(())
    }

    async fn memory(&self) -> Result<tempfile::TempDir, TrustError> {
        let dir = &self.config.dir;
        let _locked = lock(dir).await?;
        let memory = tempfile::Builder::new()
            .prefix(READING)
            .tempdir_in(dir)
            .map_err(TrustError::disk(dir.clone()))?;
        copy_files(&dir.join("memory"), memory.path())?;
        Ok(memory)
    }
}

#[derive(Default)]
struct Failed {
    unread: Vec<Unread>,
    last: Option<TrustError>,
    /// One that might still have answered was waited for no longer.
    cut_off: bool,
}

impl Failed {
    fn note(&mut self, source: &Source, error: TrustError) {
        tracing::warn!(%source, code = %error.code(), %error, "no directory from this source");
        self.unread.push(Unread {
            source: source.clone(),
            problem: error.to_string(),
        });
        // What was offered and refused says more than what was not reached.
        if !matches!(
            (&self.last, &error),
            (Some(_), TrustError::Unreachable { .. })
        ) {
            self.last = Some(error);
        }
    }

    fn error(self, tried: usize) -> TrustError {
        match self.last {
            Some(error) if tried == 1 => error,
            last => TrustError::NoSource {
                tried,
                last: Box::new(
                    last.unwrap_or_else(|| TrustError::invalid("no source is configured")),
                ),
            },
        }
    }
}

async fn claim(source: Source, next_root: u64) -> Result<Claim, TrustError> {
    let (claim, _) = claim_by(&Fetcher::new(source)?, next_root).await?;
    Ok(claim)
}

/// What a source claims, and the timestamp that claims it.
pub(crate) async fn claim_by(
    fetcher: &Fetcher,
    next_root: u64,
) -> Result<(Claim, Option<Bytes>), TrustError> {
    let next = format!("metadata/{next_root}.root.json");
    let (next, timestamp) = future::join(
        fetcher.fetch(&next, limits::TRUST_ROOT_MAX),
        fetcher.fetch(TIMESTAMP, limits::TRUST_TIMESTAMP_MAX),
    )
    .await;
    // A root that is cut off or blocked is a claim too: the reading says what is wrong with it.
    let next_root = !matches!(next, Err(FetchError::Missing { .. }));
    let silent = matches!(next, Err(FetchError::Unreachable { .. }));
    let timestamp = match timestamp {
        Ok(bytes) => Some(bytes),
        // Nothing is there to be read: once is enough to wait for it.
        Err(error @ FetchError::Unreachable { .. }) if silent => return Err(error.into()),
        Err(_) if next_root => None,
        Err(error) => return Err(error.into()),
    };
    let claim = Claim {
        next_root,
        timestamp: timestamp.as_deref().map_or(0, version_of),
    };
    Ok((claim, timestamp))
}

/// What a metadata file says of itself; 0 if it says nothing.
pub(crate) fn version_of(file: &[u8]) -> u64 {
    serde_json::from_slice::<Claimed>(file).map_or(0, |claimed| claimed.signed.version)
}

fn newer(read: &Read, best: Option<&Read>) -> bool {
    let of = |read: &Read| read.verified.directory.versions().age();
    best.is_none_or(|best| of(read) > of(best))
}

pub(crate) fn too_slow(source: &Source) -> TrustError {
    TrustError::Unreachable {
        from: source.to_string(),
        file: "the directory".into(),
        problem: "it takes too long".into(),
    }
}

/// Makes the files of `to` those of `from`.
pub(crate) fn copy_files(from: &Path, to: &Path) -> Result<(), TrustError> {
    let names = |dir: &Path| -> std::io::Result<Vec<std::ffi::OsString>> {
        let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.file_name()));
        entries.collect()
    };
    let wanted = names(from).map_err(TrustError::disk(from))?;
    for name in names(to).map_err(TrustError::disk(to))? {
        if !wanted.contains(&name) {
            let path = to.join(&name);
            fs::remove_file(&path).map_err(TrustError::disk(path))?;
        }
    }
    for name in wanted {
        let (from, path) = (from.join(&name), to.join(&name));
        let bytes = fs::read(&from).map_err(TrustError::disk(from))?;
        write_whole(&path, &bytes).map_err(TrustError::disk(path))?;
    }
    Ok(())
}

/// TRU-2.3. A second belt over `tough`'s memory, which a torn write can empty: under one root no version may
/// fall, and one version of the timestamp is one file.
pub(crate) fn no_step_back(
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
