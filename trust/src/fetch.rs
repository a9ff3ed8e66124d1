//! One file of a repository, whole and bounded, from a directory or a mirror.
//!
//! In: a name such as `metadata/3.snapshot.json`. Out: its bytes, or why not. Nothing here believes
//! the bytes; what is bounded is what they may cost. TRU-1.4, R18 (endless data), R15.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use pli_protocol::limits;
use tokio::time::timeout;
use tough::{Transport, TransportError, TransportErrorKind, TransportStream, async_trait};
use url::Url;

use crate::source::Source;

/// Of one file, whole.
const TIMEOUT: Duration = Duration::from_millis(limits::TRUST_FETCH_TIMEOUT_MS);

/// Why one file did not come.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// It is not there. Of a next root this is the good news.
    #[error("{from} has no {file}")]
    Missing { from: String, file: String },
    /// The place does not answer, or answers something else.
    #[error("cannot read {file} from {from}: {problem}")]
    Unreachable {
        from: String,
        file: String,
        problem: String,
    },
    /// Cut off at the bound; the rest was never read.
    #[error("{file} is larger than {max} bytes")]
    TooLarge { file: String, max: u64 },
    /// A role name that is no file name here.
    #[error("{file:?} is not the name of a metadata file")]
    Name { file: String },
    /// All files together.
    #[error("more than {files} files or {bytes} bytes in one refresh")]
    Budget { files: usize, bytes: u64 },
}

/// Reads one repository once. Keeps what it has read, so that the bytes that were verified are
/// the bytes that are stored: nothing is fetched a second time.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    /// Only for a mirror.
    http: Option<reqwest::Client>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<String, Bytes>,
    bytes: u64,
    count: usize,
    /// The first failure that was not simply an absent file.
    failed: Option<FetchError>,
}

/// The base that `tough` joins names to; it is never dialled.
pub(crate) fn metadata_base() -> Url {
    Url::parse("http://repository.invalid/metadata/").expect("a constant URL")
}

/// Required by `tough`, never used: targets are fetched by their signed hash in `read`.
pub(crate) fn targets_base() -> Url {
    Url::parse("http://repository.invalid/targets/").expect("a constant URL")
}

impl Fetcher {
    pub(crate) fn new(source: Source) -> Result<Self, FetchError> {
        let http = match &source {
            Source::Mirror(_) => Some(Self::http(&source)?),
            Source::Directory(_) | Source::Peer(_) | Source::Held(_) => None,
        };
        Ok(Self(Arc::new(Inner {
            source,
            http,
            kept: Mutex::default(),
        })))
    }

    fn http(source: &Source) -> Result<reqwest::Client, FetchError> {
        reqwest::Client::builder()
            // TRU-2.6, R5: an answer must not send this machine to another address.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Slow retrieval: the whole file, not each piece of it, has this long.
            .timeout(TIMEOUT)
            .build()
            .map_err(|problem| FetchError::Unreachable {
                from: source.to_string(),
                file: String::new(),
                problem: problem.to_string(),
            })
    }

    /// The metadata that was read, by file name without `metadata/`.
    pub(crate) fn metadata(&self) -> BTreeMap<String, Bytes> {
        self.0
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .files
            .clone()
    }

    /// `tough` takes any failure to read the next root for "there is none". A root that is cut off
    /// or blocked must stop the refresh instead: it may be the one that revokes a stolen key.
    pub(crate) fn failure(&self) -> Option<FetchError> {
        self.0
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failed
            .clone()
    }

    /// Reads `file` (with `/`, relative to the repository), at most `max` bytes.
    pub(crate) async fn fetch(&self, file: &str, max: u64) -> Result<Bytes, FetchError> {
        {
            let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.count += 1;
            if kept.count > limits::TRUST_FILES_MAX || kept.bytes > limits::TRUST_REFRESH_MAX {
                return Err(FetchError::Budget {
                    files: limits::TRUST_FILES_MAX,
                    bytes: limits::TRUST_REFRESH_MAX,
                });
            }
        }
        let bytes = match &self.0.source {
            Source::Directory(directory) => {
                let path = directory.join(file);
                let (from, name) = (self.0.source.to_string(), file.to_owned());
                let read = tokio::task::spawn_blocking(move || read_file(&path, max, from, name));
                read.await
                    .unwrap_or_else(|_| Err(self.unreachable(file, "reading was interrupted")))?
            }
            Source::Mirror(base) => self.get(base, file, max).await?,
            Source::Peer(peer) => {
                let fetched = timeout(TIMEOUT, peer.files.fetch(file, max)).await;
                fetched.unwrap_or_else(|_| Err(self.unreachable(file, "it takes too long")))?
            }
            Source::Held(files) => {
                let held = files.get(file).cloned();
                held.ok_or_else(|| FetchError::Missing {
                    from: self.0.source.to_string(),
                    file: file.into(),
                })?
            }
        };
        if bytes.len() as u64 > max {
            let file = file.into();
            return Err(FetchError::TooLarge { file, max });
        }
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes = kept.bytes.saturating_add(bytes.len() as u64);
        Ok(bytes)
    }

    async fn get(&self, base: &Url, file: &str, max: u64) -> Result<Bytes, FetchError> {
        let failed = |problem: reqwest::Error| self.unreachable(file, problem.without_url());
        let url = base
            .join(file)
            .map_err(|problem| self.unreachable(file, problem))?;
        let http = self.0.http.as_ref().expect("a mirror has a client");
        let mut answer = http.get(url).send().await.map_err(failed)?;
        let status = answer.status();
        if matches!(status.as_u16(), 403 | 404) {
            return Err(FetchError::Missing {
                from: base.to_string(),
                file: file.into(),
            });
        }
        if !status.is_success() {
            return Err(self.unreachable(file, format!("HTTP {status}")));
        }
        let too_large = || FetchError::TooLarge {
            file: file.into(),
            max,
        };
        if answer.content_length().is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if bytes.len() as u64 + piece.len() as u64 > max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    fn unreachable(&self, file: &str, problem: impl std::fmt::Display) -> FetchError {
        FetchError::Unreachable {
            from: self.0.source.to_string(),
            file: file.into(),
            problem: problem.to_string(),
        }
    }
}

fn read_file(
    path: &std::path::Path,
    max: u64,
    from: String,
    file: String,
) -> Result<Bytes, FetchError> {
    let open = match std::fs::File::open(path) {
        Ok(open) => open,
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {
            return Err(FetchError::Missing { from, file });
        }
        Err(problem) => {
            return Err(FetchError::Unreachable {
                from,
                file,
                problem: problem.to_string(),
            });
        }
    };
    let mut bytes = Vec::new();
    match open.take(max + 1).read_to_end(&mut bytes) {
        Ok(length) if length as u64 > max => Err(FetchError::TooLarge { file, max }),
        Ok(_) => Ok(bytes.into()),
        Err(problem) => Err(FetchError::Unreachable {
            from,
            file,
            problem: problem.to_string(),
        }),
    }
}

/// The bound of a file that a repository may hold, by its whole path; none if no repository holds such a file
/// (TRU-5.6). What is bounded here has no way out of the repository's folder.
#[must_use]
pub fn file_bound(path: &str) -> Option<u64> {
    if path == "metadata/root.json" {
        return Some(limits::TRUST_ROOT_MAX);
    }
    if let Some(name) = path.strip_prefix("metadata/") {
        return bound(name);
    }
    let parts: Vec<&str> = path.strip_prefix("targets/")?.split('/').collect();
    let plain = |part: &&str| {
        !part.starts_with('.')
            && !part.is_empty()
            && part
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
    };
    let good = path.len() <= PATH_MAX
        && parts.len() <= TARGET_DEPTH_MAX
        && parts.iter().all(plain)
        && path.ends_with(".json");
    good.then_some(limits::TRUST_FILE_MAX)
}

/// The longest name is that of a service's file, with its hash.
const PATH_MAX: usize = 512;
/// `<authority>/services/<file>`.
const TARGET_DEPTH_MAX: usize = 3;

/// The bound of a metadata file, by its name. The lengths in signed metadata are checked too, but
/// whoever holds an online key could sign any length.
fn bound(name: &str) -> Option<u64> {
    let plain = name
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
    if !plain || name.contains("..") || !name.ends_with(".json") {
        return None;
    }
    if name == "timestamp.json" {
        return Some(limits::TRUST_TIMESTAMP_MAX);
    }
    let (version, role) = name.split_once('.')?;
    version.parse::<u64>().ok()?;
    Some(match role {
        "root.json" => limits::TRUST_ROOT_MAX,
        "snapshot.json" => limits::TRUST_SNAPSHOT_MAX,
        _ => limits::TRUST_TARGETS_MAX,
    })
}

#[async_trait]
impl Transport for Fetcher {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let name = url
            .path()
            .strip_prefix(metadata_base().path())
            .unwrap_or_default();
        let fetched = match bound(name) {
            Some(max) => Self::fetch(self, &format!("metadata/{name}"), max).await,
            None => Err(FetchError::Name { file: name.into() }),
        };
        match fetched {
            Ok(bytes) => {
                let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.files.insert(name.to_owned(), bytes.clone());
                Ok(Box::pin(stream::once(std::future::ready(Ok(bytes)))))
            }
            Err(error) => {
                let kind = if matches!(error, FetchError::Missing { .. }) {
                    TransportErrorKind::FileNotFound
                } else {
                    let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.failed.get_or_insert_with(|| error.clone());
                    TransportErrorKind::Other
                };
                Err(TransportError::new_with_cause(kind, url, error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metadata_file_has_its_bound_and_other_names_have_none() {
        assert_eq!(bound("timestamp.json"), Some(limits::TRUST_TIMESTAMP_MAX));
        assert_eq!(bound("7.root.json"), Some(limits::TRUST_ROOT_MAX));
        assert_eq!(
            bound("18446744073709551615.snapshot.json"),
            Some(limits::TRUST_SNAPSHOT_MAX)
        );
        assert_eq!(
            bound("2.interieur.gouv.fr.json"),
            Some(limits::TRUST_TARGETS_MAX)
        );
        for bad in [
            "",
            "root.json",
            "x.root.json",
            "1.a%2Fb.json",
            "../1.root.json",
            "1.root.txt",
            "1...json",
        ] {
            assert_eq!(bound(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn tru_5_6_only_files_of_a_repository_have_a_bound_by_their_path() {
        for good in [
            "metadata/root.json",
            "metadata/timestamp.json",
            "metadata/3.root.json",
            "targets/0a.federation.json",
            "targets/authorities/0a.interieur.gouv.fr.json",
            "targets/interieur.gouv.fr/services/0a.rdv.json",
        ] {
            assert!(file_bound(good).is_some(), "{good:?}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "metadata/",
            "metadata/../lock",
            "memory/timestamp.json",
            "targets/../memory/root.json",
            "targets/a/../../b.json",
            "targets//a.json",
            "targets/.new-1.json",
            "targets/a/b/c/d.json",
            "targets/a.txt",
            "targets/a\\b.json",
            "targets/A.json",
        ] {
            assert_eq!(file_bound(bad), None, "{bad:?}");
        }
        let long = format!("targets/{}.json", "a".repeat(PATH_MAX));
        assert_eq!(file_bound(&long), None);
    }
}
