//! Why the directory could not be read (TRU-2.2). Whatever happens here, the directory in force stays in force.

use std::path::PathBuf;

use pli_protocol::code::Code;
use pli_protocol::id::Timestamp;
use pli_protocol::trust::TrustRole;
use tough::error::Error as Tuf;

use crate::fetch::FetchError;
use crate::moment::legible;

/// Why no new directory came of it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A mirror is down or blocked: the directory in force goes on until it expires.
    #[error("cannot read {file} from {from}: {problem}")]
    Unreachable {
        from: String,
        file: String,
        problem: String,
    },
    /// Every source failed; the last reason is given in full.
    #[error("none of {tried} sources gave a directory; the last: {last}")]
    NoSource { tried: usize, last: Box<TrustError> },
    /// Case 18: older than what is trusted already.
    #[error("rollback: {detail}; the newer one stays in force")]
    Rollback { detail: String },
    /// Case 19: an expired file is offered as the newest: a freeze, or a federation asleep.
    #[error("{role} expired on {}; the clock reads {}", legible(*.expires), legible(*.now))]
    Expired {
        role: TrustRole,
        expires: Timestamp,
        now: Timestamp,
    },
    /// Case 20: two different files of one version, both rightly signed. Both are kept.
    #[error("two different files claim to be timestamp {version}; the other is kept in {}", .kept.display())]
    Equivocation { version: u64, kept: PathBuf },
    /// Endless data.
    #[error("{file} is larger than {max} bytes")]
    TooLarge { file: String, max: u64 },
    /// Signature, threshold, hash, size or grammar.
    #[error("{detail}")]
    Invalid { detail: String },
    /// The copy on disk began from another root.
    #[error("{} belongs to another trusted root; move it away to start again from this one", .dir.display())]
    AnotherRoot { dir: PathBuf },
    /// Our own disk.
    #[error("{}: {source}", .path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl TrustError {
    /// The code under which a log, a metric or a peer knows it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Disk { .. } => Code::Internal,
            Self::NoSource { last, .. } => last.code(),
            Self::Rollback { .. } => Code::DirectoryRollback,
            Self::Expired { .. } => Code::DirectoryExpired,
            Self::Equivocation { .. }
            | Self::TooLarge { .. }
            | Self::Invalid { .. }
            | Self::AnotherRoot { .. } => Code::DirectoryInvalid,
        }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid {
            detail: detail.into(),
        }
    }

    pub(crate) fn disk(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }
}

impl From<FetchError> for TrustError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::TooLarge { file, max } => Self::TooLarge { file, max },
            FetchError::Missing { from, file } => Self::Unreachable {
                from,
                file,
                problem: "no such file".into(),
            },
            FetchError::Unreachable {
                from,
                file,
                problem,
            } => Self::Unreachable {
                from,
                file,
                problem,
            },
            FetchError::Name { file } => {
                Self::invalid(format!("the repository names a file {file:?}"))
            }
            FetchError::Budget { files, bytes } => Self::invalid(format!(
                "the repository has more than {files} files or {bytes} bytes"
            )),
        }
    }
}

impl From<Tuf> for TrustError {
    fn from(error: Tuf) -> Self {
        let detail = chain(&error);
        match error {
            Tuf::OlderMetadata { .. }
            | Tuf::OlderSnapshotInTimestamp { .. }
            | Tuf::SnapshotRoleRollback { .. }
            | Tuf::SnapshotRoleMissing { .. } => Self::Rollback { detail },
            Tuf::Transport { source, url, .. } => {
                let mut last: &(dyn std::error::Error + 'static) = &source;
                loop {
                    if let Some(fetch) = last.downcast_ref::<FetchError>() {
                        return fetch.clone().into();
                    }
                    let Some(cause) = last.source() else { break };
                    last = cause;
                }
                // What is left is a hash or a length that differs from the signed one.
                let file = url.path().trim_start_matches('/');
                Self::invalid(format!("{file} is not what was signed: {last}"))
            }
            _ => Self::Invalid { detail },
        }
    }
}

/// The whole chain of causes on one line, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(this) = cause {
        let next = this.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = this.source();
    }
    text
}
