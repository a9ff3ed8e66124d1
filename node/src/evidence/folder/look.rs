//! What is in the folder of the logs, for `--check`. Changes nothing.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use pli_protocol::id::{AuthorityId, Timestamp};
use rustix::fs::{Access, access};

use super::{Identity, KeeperError, LOCK, starts};
use crate::store::Epoch;

/// What a start would find.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Look {
    /// When the newest log began; `None` if the first start makes the first.
    pub began: Option<Timestamp>,
    /// Why a start would not go on with it but begin a new one (EVD-3.4).
    pub anew: Option<String>,
}

/// Looks at the folder of the logs of an authority, beside a store of this epoch; `None` if there is no store, or it is
/// a copy, which gets a new epoch.
pub fn look(
    folder: &Path,
    authority: &AuthorityId,
    epoch: Option<Epoch>,
) -> Result<Look, KeeperError> {
    let disk = |source| KeeperError::Disk {
        path: folder.to_owned(),
        source,
    };
    writable(folder).map_err(disk)?;
    if !folder.exists() {
        return Ok(Look::default());
    }
    if in_use(folder).map_err(disk)? {
        return Err(KeeperError::InUse(folder.to_owned()));
    }
    let mut look = Look::default();
    for start in starts(folder).map_err(disk)? {
        let path = folder.join(start.as_ms().to_string());
        let identity = Identity::read(&path).map_err(disk)?;
        identity.check(&path, authority)?;
        look = Look {
            began: Some(start),
            anew: match epoch {
                Some(epoch) => identity.why_not(epoch),
                None => Some("the store that it belongs to is not there, or a copy".to_owned()),
            },
        };
    }
    Ok(look)
}

/// Whether this process may write there, or make it where it is not yet.
fn writable(folder: &Path) -> io::Result<()> {
    let there = folder.ancestors().find(|path| path.exists());
    // A relative path without a first folder is in the present one.
    let there = there
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !fs::metadata(there)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(there, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn in_use(folder: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().write(true).open(folder.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
