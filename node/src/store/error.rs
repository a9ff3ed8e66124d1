//! Why the store did not do it.

use std::io;
use std::path::PathBuf;

use pli_protocol::code::Code;
use pli_protocol::id::AuthorityId;

/// Why the store refused to open or to act.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Case 40. Passes by itself when space returns.
    #[error("the disk has {free} bytes free, at least {needed} are needed; reading still works")]
    ReadOnly { free: u64, needed: u64 },
    /// Case 39. The process must end; a second fsync could succeed without the data being there.
    #[error("the disk failed while {doing}: {source}; the store is closed, restart the node")]
    Fatal {
        doing: &'static str,
        source: io::Error,
    },
    /// Something was asked that the store never does, such as a group over its bound.
    #[error("{what}: got {got}, at most {max}")]
    Misuse {
        what: &'static str,
        got: u64,
        max: u64,
    },
    /// Case 42.
    #[error("{path} is in use by another process")]
    InUse { path: PathBuf },
    /// Case 77.
    #[error(
        "the store has format {found}, this program knows up to {supported}: use a newer program"
    )]
    NewerFormat { found: u32, supported: u32 },
    /// Case 74.
    #[error("the store belongs to the node of {expected}, the configuration is of {got}")]
    WrongAuthority {
        expected: AuthorityId,
        got: AuthorityId,
    },
    /// A bad URL.
    #[error("{url:?} names no engine: expected fjall:<directory>")]
    UnknownEngine { url: String },
    /// The files are not a store.
    #[error("{path} is not a store: {reason}")]
    NotAStore { path: PathBuf, reason: String },
    /// Opening failed.
    #[error("cannot open {path}: {source}")]
    Open { path: PathBuf, source: io::Error },
}

impl StoreError {
    /// The wire code for the peer whose envelopes could not be stored.
    pub fn code(&self) -> Code {
        match self {
            Self::ReadOnly { .. } => Code::Overloaded,
            _ => Code::Internal,
        }
    }

    /// The same, for another who asked together with the first.
    pub(super) fn repeat(&self) -> Self {
        match self {
            Self::ReadOnly { free, needed } => Self::ReadOnly {
                free: *free,
                needed: *needed,
            },
            Self::Misuse { what, got, max } => Self::Misuse {
                what,
                got: *got,
                max: *max,
            },
            other => Self::Fatal {
                doing: "settling together",
                source: io::Error::other(other.to_string()),
            },
        }
    }

    /// The node has to stop.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal { .. })
    }
}
