//! `service.toml` and the folder it is in.
//!
//! ```text
//! <home>/service.toml     this file; unknown keys are refused
//! <home>/service.key      secret signing key, mode 0600
//! <home>/root.json        the federation's root, trusted once
//! <home>/directory/       the verified copy
//! <home>/contacts/        grants
//! ```

use std::path::{Path, PathBuf};

use pli_protocol::id::ServiceId;
use pli_protocol::trust::Environment;
use pli_trust::Source;
use serde::{Deserialize, Serialize};

use crate::directory::DirectoryPlace;
use crate::folder::{self, FileError, Secrecy};

/// The name of the file in its folder.
pub const FILE: &str = "service.toml";
const KEY_FILE: &str = "service.key";
const ROOT_FILE: &str = "root.json";
pub(crate) const DIRECTORY_FOLDER: &str = "directory";
const CONTACTS_FOLDER: &str = "contacts";
/// Larger than any such file.
const FILE_MAX: u64 = 64 * 1024;

/// A service's configuration. Paths are relative to the folder of the file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Who: `name@authority`.
    pub service: String,
    /// The secret signing key.
    #[serde(default = "key_file")]
    pub key: PathBuf,
    /// Accepts published test keys. Anyone who has read the documentation can then be anybody.
    #[serde(default)]
    pub dev: bool,
    /// The federation's directory.
    pub directory: DirectoryConfig,
}

/// Where the directory comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    /// The root that was trusted once.
    #[serde(default = "root_file")]
    pub root: PathBuf,
    /// Folders or https addresses that hold `metadata/` and `targets/`; tried in order.
    pub sources: Vec<String>,
}

fn key_file() -> PathBuf {
    KEY_FILE.into()
}

pub(crate) fn root_file() -> PathBuf {
    ROOT_FILE.into()
}

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its form.
    #[error("{}: {problem}", .path.display())]
    Form { path: PathBuf, problem: String },
}

impl ServiceConfig {
    /// Reads `<home>/service.toml`.
    pub fn read(home: &Path) -> Result<Self, ConfigError> {
        read_toml(&home.join(FILE))
    }

    /// Writes `<home>/service.toml`, which must not be there yet.
    pub fn write_new(&self, home: &Path) -> Result<(), ConfigError> {
        write_new_toml(&home.join(FILE), self)
    }

    /// Writes `<home>/service.toml` over the one that is there.
    pub fn correct(&self, home: &Path) -> Result<(), ConfigError> {
        let path = home.join(FILE);
        let text = to_toml(&path, self)?;
        Ok(folder::write(&path, text.as_bytes(), Secrecy::Public)?)
    }

    /// Who.
    pub fn service_id(&self, home: &Path) -> Result<ServiceId, ConfigError> {
        self.service
            .parse()
            .map_err(|error: pli_protocol::id::IdError| ConfigError::Form {
                path: home.join(FILE),
                problem: error.to_string(),
            })
    }

    /// Where the secret key is.
    pub fn key_path(&self, home: &Path) -> PathBuf {
        home.join(&self.key)
    }

    /// Whether published keys are tolerated.
    pub fn environment(&self) -> Environment {
        environment(self.dev)
    }

    /// Where the directory is.
    pub fn directory_place(&self, home: &Path) -> Result<DirectoryPlace, ConfigError> {
        self.directory.place(&home.join(FILE), self.environment())
    }
}

impl DirectoryConfig {
    /// Checked, for the configuration file at `file`.
    pub(crate) fn place(
        &self,
        file: &Path,
        environment: Environment,
    ) -> Result<DirectoryPlace, ConfigError> {
        let home = file.parent().unwrap_or(Path::new("."));
        let sources = self.sources.iter().map(|text| source(text, home, file));
        Ok(DirectoryPlace {
            root: home.join(&self.root),
            sources: sources.collect::<Result<_, _>>()?,
            copy: home.join(DIRECTORY_FOLDER),
            environment,
        })
    }
}

fn source(text: &str, home: &Path, file: &Path) -> Result<Source, ConfigError> {
    match text.parse() {
        Ok(Source::Directory(path)) => Ok(Source::Directory(home.join(path))),
        Ok(mirror) => Ok(mirror),
        Err(error) => {
            let problem = format!("directory.sources: {error}");
            Err(ConfigError::Form {
                path: file.to_owned(),
                problem,
            })
        }
    }
}

pub(crate) fn environment(dev: bool) -> Environment {
    if dev {
        Environment::Development
    } else {
        Environment::Production
    }
}

/// Where the sealed letters of the service in `home` are kept, if they are.
pub fn letters_folder(home: &Path) -> PathBuf {
    home.join("letters")
}

/// Where contacts are kept.
pub fn contacts_folder(home: &Path) -> PathBuf {
    home.join(CONTACTS_FOLDER)
}

pub(crate) fn read_toml<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ConfigError> {
    let form = |problem: String| ConfigError::Form {
        path: path.to_owned(),
        problem,
    };
    let bytes = folder::read(path, FILE_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| form(error.to_string()))?;
    toml::from_str(&text).map_err(|error| form(error.to_string()))
}

pub(crate) fn write_new_toml<T: Serialize>(path: &Path, config: &T) -> Result<(), ConfigError> {
    let text = to_toml(path, config)?;
    Ok(folder::write_new(path, text.as_bytes(), Secrecy::Public)?)
}

fn to_toml<T: Serialize>(path: &Path, config: &T) -> Result<String, ConfigError> {
    toml::to_string(config).map_err(|error| ConfigError::Form {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

/// Where the verified copy of the directory is kept.
pub fn directory_folder(home: &Path) -> PathBuf {
    home.join(DIRECTORY_FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_reads_back_and_unknown_keys_are_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let config = ServiceConfig {
            service: "rdv@interieur.gouv.fr".into(),
            key: key_file(),
            dev: false,
            directory: DirectoryConfig {
                root: root_file(),
                sources: vec!["https://federation.example/trust".into(), "../trust".into()],
            },
        };
        config.write_new(home.path()).expect("new");
        assert!(config.write_new(home.path()).is_err(), "never overwritten");
        let read = ServiceConfig::read(home.path()).expect("written above");
        assert_eq!(
            read.service_id(home.path()).expect("a name").to_string(),
            config.service
        );
        let place = read.directory_place(home.path()).expect("two sources");
        assert_eq!(place.sources.len(), 2);
        assert_eq!(place.environment, Environment::Production);

        let path = home.path().join(FILE);
        let text = std::fs::read_to_string(&path).expect("written above");
        std::fs::write(&path, format!("surprise = 1\n{text}")).expect("own file");
        let error = ServiceConfig::read(home.path())
            .expect_err("unknown key")
            .to_string();
        assert!(error.contains("surprise"), "{error}");
    }
}
