//! The kinds of path, and whose they are.

use std::fmt;
use std::str::FromStr;

use pli_protocol::id::{AuthorityId, ServiceId};

/// A target path. Nothing else may stand in the repository.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TargetPath {
    /// `authorities/<authority>.json`
    Authority(AuthorityId),
    /// `federation/policy.json`
    Policy,
    /// `<authority>/node.json`
    Node(AuthorityId),
    /// `<authority>/services/<name>.json`
    Service(ServiceId),
}

impl TargetPath {
    /// The authority whose own role may sign it; `None` for what only the federation may.
    #[must_use]
    pub fn signer(&self) -> Option<&AuthorityId> {
        match self {
            Self::Authority(_) | Self::Policy => None,
            Self::Node(authority) => Some(authority),
            Self::Service(service) => Some(service.authority()),
        }
    }

    /// Where a consistent snapshot keeps it: the hash stands before the file name, not before
    /// the folder (TUF 1.0.34, section 6.2). `tough` puts it before the folder, python-tuf, go-tuf and tuf-js do not.
    #[must_use]
    pub fn hashed(&self, sha256_hex: &str) -> String {
        let path = self.to_string();
        let (folder, name) = path
            .rsplit_once('/')
            .expect("every kind of path has a folder");
        format!("{folder}/{sha256_hex}.{name}")
    }

    /// The patterns that a delegation to `authority` names. In python-tuf `*` stops at a slash; in
    /// `tough` it does not. With these two both accept the same files, once `signer` is checked.
    #[must_use]
    pub fn delegated(authority: &AuthorityId) -> [String; 2] {
        [
            format!("{authority}/node.json"),
            format!("{authority}/services/*.json"),
        ]
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(authority) => write!(f, "authorities/{authority}.json"),
            Self::Policy => f.write_str(POLICY),
            Self::Node(authority) => write!(f, "{authority}/node.json"),
            Self::Service(service) => {
                write!(
                    f,
                    "{}/services/{}.json",
                    service.authority(),
                    service.name()
                )
            }
        }
    }
}

/// The text is none of them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{got:?} is none of authorities/<authority>.json, federation/policy.json, <authority>/node.json, <authority>/services/<name>.json"
)]
pub struct PathError {
    got: String,
}

impl FromStr for TargetPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        parse(text).ok_or_else(|| PathError {
            got: text.chars().take(80).collect(),
        })
    }
}

const POLICY: &str = "federation/policy.json";

fn parse(text: &str) -> Option<TargetPath> {
    if text == POLICY {
        return Some(TargetPath::Policy);
    }
    let (folder, file) = text.split_once('/')?;
    // No authority has one label, so `authorities` cannot be one.
    if folder == "authorities" {
        return Some(TargetPath::Authority(
            AuthorityId::new(file.strip_suffix(".json")?).ok()?,
        ));
    }
    let authority = AuthorityId::new(folder).ok()?;
    if file == "node.json" {
        return Some(TargetPath::Node(authority));
    }
    let name = file.strip_prefix("services/")?.strip_suffix(".json")?;
    Some(TargetPath::Service(ServiceId::new(name, authority).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_and_names_its_signer() {
        for (path, signer) in [
            ("authorities/interieur.gouv.fr.json", None),
            ("federation/policy.json", None),
            ("interieur.gouv.fr/node.json", Some("interieur.gouv.fr")),
            (
                "interieur.gouv.fr/services/rdv.json",
                Some("interieur.gouv.fr"),
            ),
        ] {
            let parsed: TargetPath = path.parse().unwrap();
            assert_eq!(parsed.to_string(), path);
            assert_eq!(parsed.signer().map(AuthorityId::as_str), signer);
        }
        for bad in [
            "",
            "/",
            "interieur.gouv.fr",
            "authorities/x.json",
            "authorities/a.fr/x.json",
            "a.fr/node.json/",
            "a.fr/services/.json",
            "a.fr/services/x/y.json",
            "a.fr/services/../node.json",
            "a.fr/./node.json",
            "../a.fr/node.json",
            "a.fr//node.json",
            "a.fr/other.json",
            "A.fr/node.json",
        ] {
            assert!(bad.parse::<TargetPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_hash_stands_before_the_file_name() {
        let path: TargetPath = "interieur.gouv.fr/services/rdv.json".parse().unwrap();
        assert_eq!(path.hashed("ab"), "interieur.gouv.fr/services/ab.rdv.json");
    }
}
