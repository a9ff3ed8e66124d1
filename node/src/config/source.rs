//! Two kinds of place: where envelopes are kept, and where the trust repository comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where envelopes are kept: the engine and its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoreUrl {
    /// `fjall:PATH`, the embedded engine.
    Fjall(PathBuf),
}

/// Why a store URL was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreUrlError {
    /// An engine of the design that this binary does not hold.
    #[error(
        "the {engine} engine is not built in; this binary has fjall, as in \"fjall:/var/lib/pli/store\""
    )]
    NotBuiltIn {
        /// The engine that was asked for.
        engine: &'static str,
    },
    /// Anything else.
    #[error("got {got:?}, expected an engine and its place, as in \"fjall:/var/lib/pli/store\"")]
    Unknown {
        /// The text.
        got: String,
    },
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        match text.split_once(':') {
            Some(("fjall", path)) if !path.is_empty() => Ok(Self::Fjall(path.into())),
            Some(("sled", _)) => Err(StoreUrlError::NotBuiltIn { engine: "sled" }),
            Some(("postgres" | "postgresql", _)) => {
                Err(StoreUrlError::NotBuiltIn { engine: "postgres" })
            }
            _ => Err(StoreUrlError::Unknown {
                got: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Fjall(path) = self;
        write!(f, "fjall:{}", path.display())
    }
}

impl StoreUrl {
    /// The directory of the engine's files.
    pub fn path(&self) -> &Path {
        let Self::Fjall(path) = self;
        path
    }

    /// The same, with a relative path taken from `folder`.
    pub(super) fn within(self, folder: &Path) -> Self {
        let Self::Fjall(path) = self;
        Self::Fjall(folder.join(path))
    }
}

/// Where the trust repository (TUF `metadata/` and `targets/`) is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Repository {
    /// A directory that holds `metadata/` and `targets/`.
    Directory(PathBuf),
    /// The address under which `metadata/` and `targets/` are, with no slash at the end. Plain
    /// HTTP is allowed: what comes is believed for its TUF signatures alone.
    Mirror(String),
}

/// Why the place of a repository was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("got {got:?}, expected a directory, or an address that begins with https:// or http://")]
pub struct RepositoryError {
    got: String,
}

impl FromStr for Repository {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let mirror = ["https://", "http://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        match mirror {
            Some(rest) if !rest.starts_with('/') && !rest.is_empty() => {
                Ok(Self::Mirror(text.trim_end_matches('/').to_owned()))
            }
            None if !text.is_empty() && !text.contains("://") => Ok(Self::Directory(text.into())),
            _ => Err(RepositoryError {
                got: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Mirror(address) => f.write_str(address),
        }
    }
}

impl Repository {
    /// The same, with a relative path taken from `folder`.
    pub(super) fn within(self, folder: &Path) -> Self {
        match self {
            Self::Directory(path) => Self::Directory(folder.join(path)),
            mirror @ Self::Mirror(_) => mirror,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_not_built_in_is_named() {
        assert_eq!("fjall:store".parse(), Ok(StoreUrl::Fjall("store".into())));
        for (text, engine) in [
            ("sled:/x", "sled"),
            ("postgres://db/pli", "postgres"),
            ("postgresql://db/pli", "postgres"),
        ] {
            assert_eq!(
                text.parse::<StoreUrl>(),
                Err(StoreUrlError::NotBuiltIn { engine })
            );
        }
        for text in ["", "fjall", "fjall:", "/var/lib/pli"] {
            assert!(
                matches!(text.parse::<StoreUrl>(), Err(StoreUrlError::Unknown { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_repository_is_a_directory_or_a_web_address() {
        assert_eq!("trust".parse(), Ok(Repository::Directory("trust".into())));
        assert_eq!(
            "https://pli.example/trust/".parse(),
            Ok(Repository::Mirror("https://pli.example/trust".into()))
        );
        for text in [
            "",
            "https://",
            "https:///x",
            "ftp://pli.example",
            "file:///x",
        ] {
            assert!(text.parse::<Repository>().is_err(), "{text}");
        }
    }
}
