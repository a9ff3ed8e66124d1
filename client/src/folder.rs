//! Files of a service or a device: written whole or not at all, secrets readable by their owner only.
//!
//! A file is written beside its place, fsynced, renamed, and its folder fsynced: after a crash or a
//! power cut it is the old one or the new one, never a part (MBX-5.7 stands on this).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Secrecy {
    /// Mode 0600: keys, secrets, letters.
    Owner,
    /// As the process's umask says: public halves, certificates.
    Public,
}

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Case 75
    #[error("{} has mode {mode:03o}: others may read this secret; run: chmod 600 {}", .path.display(), .path.display())]
    Readable { path: PathBuf, mode: u32 },
    /// Larger than anything that belongs there.
    #[error("{} has more than {max} bytes; it is not what it should be", .path.display())]
    TooLarge { path: PathBuf, max: u64 },
    /// Something is there already that must not be lost.
    #[error("{} exists already and is not overwritten; choose another place, or move it away", .path.display())]
    Exists { path: PathBuf },
    /// Another process works in the same folder.
    #[error("{} is in use by another pli process; wait for it or stop it", .path.display())]
    InUse { path: PathBuf },
    /// The disk.
    #[error("{}: {source}", .path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl FileError {
    /// For `map_err`, with the path it happened at.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }

    /// Whether the file is simply not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Makes a folder that only its owner may enter.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::at(path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(FileError::at(path))?;
    }
    Ok(())
}

/// Writes a file in one step, over an old one.
pub fn write(path: &Path, bytes: &[u8], secrecy: Secrecy) -> Result<(), FileError> {
    // The parent of a bare name is "", which cannot be opened.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    let mut file = builder.tempfile_in(folder).map_err(FileError::at(folder))?;
    file.write_all(bytes).map_err(FileError::at(path))?;
    // A temporary file is of mode 0600 from its first byte.
    #[cfg(unix)]
    if secrecy == Secrecy::Public {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o644);
        file.as_file()
            .set_permissions(mode)
            .map_err(FileError::at(path))?;
    }
    file.as_file().sync_all().map_err(FileError::at(path))?;
    file.persist(path)
        .map_err(|error| FileError::at(path)(error.error))?;
    sync_folder(folder)
}

/// Writes a file that must not be there yet.
pub fn write_new(path: &Path, bytes: &[u8], secrecy: Secrecy) -> Result<(), FileError> {
    if path.try_exists().map_err(FileError::at(path))? {
        return Err(FileError::Exists {
            path: path.to_owned(),
        });
    }
    write(path, bytes, secrecy)
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(FileError::at(folder))
}

/// Free bytes on the disk of a folder, where the system says.
pub fn free_bytes(folder: &Path) -> Result<Option<u64>, FileError> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(folder)
            .map_err(|error| FileError::at(folder)(io::Error::from(error)))?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(None)
    }
}

/// Reads a file of at most `max` bytes.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::at(path))?;
    read_open(path, file, max)
}

/// Reads a secret text; refuses a file that others may read (case 75).
pub fn read_secret(path: &Path, max: u64) -> Result<Zeroizing<String>, FileError> {
    let file = File::open(path).map_err(FileError::at(path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Of the open file, so that it cannot be another one by the time it is read.
        let mode = file
            .metadata()
            .map_err(FileError::at(path))?
            .permissions()
            .mode()
            & 0o777;
        if mode & 0o077 != 0 {
            return Err(FileError::Readable {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let bytes = Zeroizing::new(read_open(path, file, max)?);
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| FileError::at(path)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn read_open(path: &Path, file: File, max: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(FileError::at(path))?;
    if bytes.len() as u64 > max {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            max,
        });
    }
    Ok(bytes)
}

/// Held while one process works in a folder; freed when it ends, however it ends.
#[derive(Debug)]
pub struct FolderLock(#[allow(dead_code, reason = "held, not read")] File);

impl FolderLock {
    /// Takes the lock of a folder, or says that another process has it.
    pub fn take(folder: &Path) -> Result<Self, FileError> {
        match Self::take_file(&folder.join("lock")) {
            Err(FileError::InUse { .. }) => Err(FileError::InUse {
                path: folder.to_owned(),
            }),
            other => other,
        }
    }

    /// Takes a lock of its own file, which stays behind empty.
    pub fn take_file(path: &Path) -> Result<Self, FileError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(FileError::at(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(FileError::InUse {
                path: path.to_owned(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(FileError::Disk {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_75_a_secret_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("account.secrets");
        write_new(&path, b"root 00\n", Secrecy::Owner).expect("new");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(*read_secret(&path, 100).expect("private"), "root 00\n");
        for open in [0o640, 0o604, 0o660, 0o644, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).expect("own file");
            let refused = read_secret(&path, 100).expect_err("others may read it");
            assert!(
                matches!(refused, FileError::Readable { mode, .. } if mode == open),
                "{refused}"
            );
            assert!(
                refused.to_string().contains("chmod 600"),
                "says what to do: {refused}"
            );
        }
        // Over the open one a private one is written.
        write(&path, b"root 01\n", Secrecy::Owner).expect("replaced");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn r15_a_file_over_its_bound_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        write(&path, &[7; 11], Secrecy::Public).expect("written");
        assert_eq!(read(&path, 11).expect("at the bound").len(), 11);
        assert!(matches!(
            read(&path, 10),
            Err(FileError::TooLarge { max: 10, .. })
        ));
        assert!(matches!(
            write_new(&path, b"", Secrecy::Public),
            Err(FileError::Exists { .. })
        ));
        assert!(
            read(&folder.path().join("none"), 10)
                .expect_err("missing")
                .is_missing()
        );
    }

    #[test]
    fn case_42_two_processes_do_not_share_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = FolderLock::take(folder.path()).expect("free");
        assert!(matches!(
            FolderLock::take(folder.path()),
            Err(FileError::InUse { .. })
        ));
        drop(first);
        FolderLock::take(folder.path()).expect("free again");
    }
}
