//! The federation's first root, which everything else is believed because of. In: the file of `trust.root`. Out: its
//! bytes, or what is wrong with it and what was expected; also of a root that does not fit the rest. Spec: TRU-2.1.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pli_protocol::limits::TRUST_ROOT_MAX;
use pli_trust::TrustError;
use serde::Deserialize;

use crate::config::Trust;

/// Why there is no directory at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file of the root.
    #[error("`trust.root`: cannot read {}: {source}; {EXPECTED}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is another file.
    #[error("`trust.root`: {} {got}; {EXPECTED}", path.display())]
    NotARoot {
        /// Which.
        path: PathBuf,
        /// What it is.
        got: String,
    },
    /// The copy that is there began from another root.
    #[error(
        "`trust.datastore`: the copy in {} began from another root than `trust.root` ({}): put the former root.json \
         back or, if the federation began anew, move that folder away",
        datastore.display(), root.display()
    )]
    AnotherRoot {
        /// The folder of the copy.
        datastore: PathBuf,
        /// The file of the root.
        root: PathBuf,
    },
    /// The sources answer with what this root does not vouch for.
    #[error(
        "{error}. What `trust.sources` offer is not signed by the federation of `trust.root` ({}): one of the two is \
         another federation's, or somebody forges",
        root.display()
    )]
    NotVouchedFor {
        /// The reason in full.
        error: TrustError,
        /// The file of the root.
        root: PathBuf,
    },
    /// Anything else.
    #[error("{0}")]
    Trust(TrustError),
}

const EXPECTED: &str = "expected the federation's root.json, got by a way you trust (`pli federation publish` writes \
                        it as repository/metadata/root.json)";

#[derive(Deserialize)]
struct Metadata {
    signed: Typed,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "_type")]
    kind: String,
}

/// Reads the file; whether its signatures hold is asked later, with all others.
pub(super) fn read(path: &Path) -> Result<Bytes, OpenError> {
    let unreadable = |source| OpenError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let not_a_root = |got: &str| OpenError::NotARoot {
        path: path.to_owned(),
        got: got.to_owned(),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(TRUST_ROOT_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > TRUST_ROOT_MAX {
        return Err(not_a_root(&format!("has more than {TRUST_ROOT_MAX} bytes")));
    }
    match serde_json::from_slice::<Metadata>(&bytes) {
        Ok(metadata) if metadata.signed.kind == "root" => Ok(bytes.into()),
        Ok(metadata) => {
            let kind: String = metadata.signed.kind.chars().take(32).collect();
            Err(not_a_root(&format!("is the metadata of {kind:?}")))
        }
        Err(_) => Err(not_a_root("is no metadata of a directory")),
    }
}

impl OpenError {
    pub(super) fn of(error: TrustError, trust: &Trust) -> Self {
        let root = trust.root.clone();
        match innermost(&error) {
            TrustError::AnotherRoot { .. } => Self::AnotherRoot {
                datastore: trust.datastore.clone(),
                root,
            },
            TrustError::Invalid { .. } => Self::NotVouchedFor { error, root },
            _ => Self::Trust(error),
        }
    }
}

/// The reason that decides, where several sources were asked.
pub(super) fn innermost(error: &TrustError) -> &TrustError {
    match error {
        TrustError::NoSource { last, .. } => innermost(last),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_than_the_root_is_named_with_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.json");
        let root = "{\"signed\":{\"_type\":\"root\"}}";
        let fits = root.to_owned() + &" ".repeat(TRUST_ROOT_MAX as usize - root.len());
        for (text, expected) in [
            (None, "cannot read"),
            (Some(String::new()), "is no metadata"),
            (Some("authority = \"x\"".to_owned()), "is no metadata"),
            (
                Some("{\"signed\":{\"_type\":\"targets\"}}".to_owned()),
                "of \"targets\"",
            ),
            (Some(format!("{fits} ")), "has more than 1048576 bytes"),
        ] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let said = read(&path).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
            assert!(said.starts_with("`trust.root`: "), "{said}");
            assert!(said.contains(&path.display().to_string()), "{said}");
            assert!(said.contains("repository/metadata/root.json"), "{said}");
        }
        std::fs::write(&path, &fits).unwrap();
        assert_eq!(read(&path).unwrap(), fits);
    }
}
