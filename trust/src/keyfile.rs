//! Secret keys in files of mode 0600: one line, `pli-secret-ed25519:` and base64url (SIG-4.4). Case 75.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use pli_protocol::crypto::sign::{KEY_LEN, KeyError, PublicKey, SigningKey};
use zeroize::Zeroizing;

/// Longer than any key line.
const FILE_MAX: u64 = 256;

/// Why a key file is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Case 75: others of this machine could read the key.
    #[error("{} has mode {mode:03o}: others may read this secret key; run: chmod 600 {}", .path.display(), .path.display())]
    Readable { path: PathBuf, mode: u32 },
    /// The public half is no secret, and signs nothing.
    #[error("{} is a public key; expected the secret key file, such as {}", .path.display(), .path.with_extension("").display())]
    Public { path: PathBuf },
    /// Not a key.
    #[error("{}: {source}", .path.display())]
    NotAKey { path: PathBuf, source: KeyError },
    /// Never overwritten: it may be the only copy.
    #[error("{} exists already and is not overwritten", .path.display())]
    Exists { path: PathBuf },
    /// The disk.
    #[error("{}: {source}", .path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
}

/// Reads a secret key; refuses a file that others may read.
pub fn load(path: &Path) -> Result<SigningKey, KeyFileError> {
    use std::io::Read;
    let disk = |source| KeyFileError::Disk {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(disk)?;
    let mut text = Zeroizing::new(String::new());
    let read = (&file).take(FILE_MAX).read_to_string(&mut text);
    if text.trim_end().parse::<PublicKey>().is_ok() {
        // Before its mode is looked at: a public half is for everyone to read.
        return Err(KeyFileError::Public {
            path: path.to_owned(),
        });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(disk)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Readable {
                path: path.to_owned(),
                mode,
            });
        }
    }
    read.map_err(disk)?;
    SigningKey::from_secret_text(&text).map_err(|source| KeyFileError::NotAKey {
        path: path.to_owned(),
        source,
    })
}

/// Makes a new key and its file, with the public half beside it as `<path>.pub`.
pub fn create(path: &Path) -> Result<SigningKey, KeyFileError> {
    let key = generate()?;
    store(path, &key)?;
    Ok(key)
}

/// A new key, in memory only.
pub fn generate() -> Result<SigningKey, KeyFileError> {
    let mut seed = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(seed.as_mut()).map_err(|error| KeyFileError::Random(error.to_string()))?;
    Ok(SigningKey::from_seed(&seed))
}

/// Writes a key to a new file of mode 0600, and its public half beside it as `<path>.pub`.
pub fn store(path: &Path, key: &SigningKey) -> Result<(), KeyFileError> {
    let disk = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => KeyFileError::Exists {
            path: path.to_owned(),
        },
        _ => KeyFileError::Disk {
            path: path.to_owned(),
            source,
        },
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(disk)?;
    }
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(disk)?;
    let line = Zeroizing::new(format!("{}\n", *key.to_secret_text()));
    file.write_all(line.as_bytes()).map_err(disk)?;
    file.sync_all().map_err(disk)?;
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    fs::write(&public, format!("{}\n", key.public())).map_err(disk)
}

/// A public key: `ed25519:…` itself, a file that holds it, or a secret key file.
pub fn public(text: &str) -> Result<PublicKey, KeyFileError> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let path = Path::new(text);
    match fs::read_to_string(path) {
        Ok(line) if !line.starts_with("pli-secret-") => {
            line.trim_end()
                .parse()
                .map_err(|source| KeyFileError::NotAKey {
                    path: path.to_owned(),
                    source,
                })
        }
        Ok(line) => {
            drop(Zeroizing::new(line));
            load(path).map(|key| *key.public())
        }
        Err(source) => Err(KeyFileError::Disk {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/node.key");
        let key = create(&path).unwrap();
        assert_eq!(load(&path).unwrap().public(), key.public());
        assert!(matches!(create(&path), Err(KeyFileError::Exists { .. })));
        for text in [
            path.to_str().unwrap(),
            &format!("{}.pub", path.display()),
            &key.public().to_string(),
        ] {
            assert_eq!(public(text).unwrap(), *key.public(), "{text}");
        }
    }

    #[test]
    fn the_public_half_is_named_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("role.key");
        create(&path).unwrap();
        let error = load(&folder.path().join("role.key.pub")).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("is a public key") && said.ends_with(&path.display().to_string()),
            "{said}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn case_75_a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        create(&path).unwrap();
        for mode in [0o640, 0o604, 0o644, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(load(&path), Err(KeyFileError::Readable { .. })),
                "{mode:o}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(load(&path).is_ok());
    }
}
