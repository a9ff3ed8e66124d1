//! `device.toml` and the folder it is in.
//!
//! ```text
//! <home>/device.toml        this file; written when the home has enrolled the device
//! <home>/device.key         secret device key, mode 0600
//! <home>/account.secrets    what the account's devices share, mode 0600 (MBX-3.5)
//! <home>/root.json          the federation's root, pinned by the invitation
//! <home>/directory/         the verified copy
//! <home>/grants/            one signed grant for each authority
//! <home>/inbox/             pages of the home, as they came
//! <home>/evidence/          the directory of the days on which letters came
//! <home>/acknowledged.json  what was handed over
//! ```

use std::path::{Path, PathBuf};

use pli_protocol::account::{AccountSecrets, SecretsError};
use pli_protocol::id::{AccountId, AuthorityId, IdError};
use pli_protocol::trust::Environment;
use serde::{Deserialize, Serialize};

use crate::directory::DirectoryPlace;
use crate::folder::{self, FileError, Secrecy};
use crate::service::config::{
    ConfigError, DIRECTORY_FOLDER, DirectoryConfig, environment, read_toml, root_file,
    write_new_toml,
};

/// The name of the file in its folder.
pub const FILE: &str = "device.toml";
const SECRETS_MAX: u64 = 256 * 1024;

/// A device's configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// The authority whose node keeps the account.
    pub home: String,
    /// The account there; never leaves the home and this device.
    pub account: String,
    /// Accepts published test keys.
    #[serde(default)]
    pub dev: bool,
    /// The federation's directory.
    pub directory: DirectoryConfig,
}

impl DeviceConfig {
    /// For a device that was just enrolled.
    pub fn new(home: &AuthorityId, account: AccountId, source: &str, dev: bool) -> Self {
        let directory = DirectoryConfig {
            root: root_file(),
            sources: vec![source.to_owned()],
        };
        Self {
            home: home.to_string(),
            account: account.to_string(),
            dev,
            directory,
        }
    }

    /// Reads `<home>/device.toml`.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        read_toml(&folder.join(FILE))
    }

    /// Writes `<home>/device.toml`, which must not be there yet.
    pub fn write_new(&self, folder: &Path) -> Result<(), ConfigError> {
        write_new_toml(&folder.join(FILE), self)
    }

    /// The home.
    pub fn home(&self, folder: &Path) -> Result<AuthorityId, ConfigError> {
        self.home
            .parse()
            .map_err(|error: IdError| ConfigError::Form {
                path: folder.join(FILE),
                problem: error.to_string(),
            })
    }

    /// Where the directory is.
    pub fn directory_place(&self, folder: &Path) -> Result<DirectoryPlace, ConfigError> {
        self.directory.place(&folder.join(FILE), self.environment())
    }

    /// Whether published keys are tolerated.
    pub fn environment(&self) -> Environment {
        environment(self.dev)
    }
}

/// The paths in a device's folder.
#[derive(Clone, Debug)]
pub struct Paths(PathBuf);

impl Paths {
    /// Of this folder.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// `device.key`
    pub fn key(&self) -> PathBuf {
        self.0.join("device.key")
    }

    /// `root.json`
    pub fn root(&self) -> PathBuf {
        self.0.join(root_file())
    }

    /// `grants/`
    pub fn grants(&self) -> PathBuf {
        self.0.join("grants")
    }

    /// `inbox/`
    pub fn inbox(&self) -> PathBuf {
        self.0.join("inbox")
    }

    /// `evidence/`
    pub fn evidence(&self) -> PathBuf {
        self.0.join("evidence")
    }

    /// `acknowledged.json`
    pub fn acknowledged(&self) -> PathBuf {
        self.0.join("acknowledged.json")
    }

    /// `account.secrets`
    pub(super) fn secrets(&self) -> PathBuf {
        self.0.join("account.secrets")
    }

    /// `directory/`
    pub(super) fn directory(&self) -> PathBuf {
        self.0.join(DIRECTORY_FOLDER)
    }
}

/// Why the account's secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsFileError {
    /// The file; case 75.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its text.
    #[error("{}: {source}", .path.display())]
    Form { path: PathBuf, source: SecretsError },
    /// The system.
    #[error("no random bytes: {0}")]
    Random(String),
}

/// Reads the account's secrets; refuses a file that others may read (case 75).
pub fn read_secrets(paths: &Paths) -> Result<AccountSecrets, SecretsFileError> {
    let path = paths.secrets();
    let text = folder::read_secret(&path, SECRETS_MAX)?;
    AccountSecrets::from_secret_text(&text)
        .map_err(|source| SecretsFileError::Form { path, source })
}

/// Reads the account's secrets, or makes them where there are none.
pub fn read_or_make_secrets(paths: &Paths) -> Result<AccountSecrets, SecretsFileError> {
    match read_secrets(paths) {
        Err(SecretsFileError::File(error)) if error.is_missing() => {}
        other => return other,
    }
    let random = |into: &mut [u8; 32]| {
        getrandom::fill(into).map_err(|error| SecretsFileError::Random(error.to_string()))
    };
    let (mut root, mut sealing) = ([0; 32], [0; 32]);
    random(&mut root)?;
    random(&mut sealing)?;
    let secrets = AccountSecrets::new(root, sealing);
    folder::write_new(
        &paths.secrets(),
        secrets.to_secret_text().as_bytes(),
        Secrecy::Owner,
    )?;
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_75_world_readable_account_secrets_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths::new(folder.path());
        let made = read_or_make_secrets(&paths).expect("made");
        let again = read_or_make_secrets(&paths).expect("read");
        assert_eq!(*made.to_secret_text(), *again.to_secret_text());
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(paths.secrets(), open).expect("own file");
        let refused = read_or_make_secrets(&paths).expect_err("others may read it");
        assert!(matches!(
            refused,
            SecretsFileError::File(FileError::Readable { mode: 0o644, .. })
        ));
    }
}
