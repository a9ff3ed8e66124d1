//! Where envelopes are kept: the engine and its place, as one URL.

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
}
