//! Key options: a key of the role, or a file to sign with.

use std::path::{Path, PathBuf};

use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_trust::keyfile;
use pli_trust::write::KeyRing;

use super::report::Failure;

/// `ed25519:…`, a `.pub` file, or a `.key` file, which is made if it does not exist.
#[derive(Clone, Debug)]
pub struct KeyOption(String);

impl std::str::FromStr for KeyOption {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl KeyOption {
    /// The public key. A missing `.key` file is made, with its public half beside it.
    pub fn public(&self) -> Result<PublicKey, Failure> {
        let path = Path::new(&self.0);
        if self.0.ends_with(".key") && !path.exists() {
            return Ok(*keyfile::create(path)?.public());
        }
        Ok(keyfile::public(&self.0)?)
    }

    pub(crate) fn all(options: &[Self]) -> Result<Vec<PublicKey>, Failure> {
        options.iter().map(Self::public).collect()
    }
}

/// Opens the key files to sign with; a directory stands for every `.key` file in it that a
/// role at hand lists.
pub fn open_keys(paths: &[PathBuf]) -> Result<KeyRing, Failure> {
    let mut ring = KeyRing::default();
    for path in paths {
        if !path.is_dir() {
            ring = ring.with(KeyRing::load(std::slice::from_ref(path))?);
            continue;
        }
        let disk = |source| keyfile::KeyFileError::Disk {
            path: path.clone(),
            source,
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(disk)? {
            let file = entry.map_err(disk)?.path();
            if file.extension().is_some_and(|ending| ending == "key") {
                found.push(file);
            }
        }
        found.sort();
        if found.is_empty() {
            let path = path.display();
            let problem =
                format!("{path} holds no .key file; name the folder that pli made the keys in");
            return Err(Failure::Argument {
                option: "--key",
                problem,
            });
        }
        ring = ring.with(KeyRing::load_found(&found)?);
    }
    Ok(ring)
}

/// New keys `<folder>/<name>-1.key` and so on.
pub(crate) fn make(folder: &Path, name: &str, count: usize) -> Result<Vec<SigningKey>, Failure> {
    let file = |number: usize| match count {
        1 => folder.join(format!("{name}.key")),
        _ => folder.join(format!("{name}-{number}.key")),
    };
    let made: Result<Vec<_>, _> = (1..=count)
        .map(|number| keyfile::create(&file(number)))
        .collect();
    Ok(made?)
}
