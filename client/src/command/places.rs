//! Where things are when nobody says otherwise, and where input comes from.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pli_protocol::trust::Directory;

use super::Home;
use super::device::NO_FOLDER;
use super::exit::Failed;
use crate::clock;
use crate::directory::{DirectoryPlace, OpenDirectory};
use crate::folder::{self, Secrecy};
use crate::screen::plain;
use crate::service::config::ServiceConfig;

impl Home {
    /// The folder: `--home`, else `$XDG_DATA_HOME/pli/<what>`, else `~/.local/share/pli/<what>`.
    pub(super) fn folder(&self, what: &str) -> Result<PathBuf, Failed> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let data = absolute("XDG_DATA_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".local").join("share")))
            .ok_or_else(|| Failed::plain(NO_FOLDER.into()))?;
        Ok(data.join("pli").join(what))
    }
}

/// Reads a file, or standard input for `-`, of at most `max` bytes.
pub(super) fn read(path: &Path, max: u64) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(max + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failed::new(format!("{}: {error}", path.display())))?;
    if bytes.len() as u64 > max {
        return Err(Failed::new(format!(
            "{}: more than {max} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

/// A wrong folder or root is found now rather than when letters wait. An address that nobody answers
/// at may be right all the same: then there is nothing to compare with.
pub(super) async fn check_directory(
    config: &ServiceConfig,
    home: &Path,
    root: &[u8],
) -> Result<Option<Arc<Directory>>, Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::new(error.to_string());
    let scratch = tempfile::tempdir().map_err(|error| failed(&error))?;
    let trusted = scratch.path().join("root.json");
    folder::write(&trusted, root, Secrecy::Public).map_err(|error| failed(&error))?;
    let place = config
        .directory_place(home)
        .map_err(|error| failed(&error))?;
    let place = DirectoryPlace {
        root: trusted,
        copy: scratch.path().join("directory"),
        ..place
    };
    match OpenDirectory::open(&place, clock::now()).await {
        Ok(open) => Ok(Some(open.current())),
        Err(error) if error.may_pass() => {
            eprintln!("pli: warning: {}", plain(&error.to_string()));
            Ok(None)
        }
        Err(error) => Err(failed(&format!("--directory or --root: {error}"))),
    }
}

/// A folder that was named from here must be found from anywhere.
pub(super) fn absolute(source: &str) -> String {
    if source.contains("://") {
        return source.to_owned();
    }
    std::path::absolute(source)
        .map_or_else(|_| source.to_owned(), |path| path.display().to_string())
}
