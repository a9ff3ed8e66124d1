//! Where things are when nobody says otherwise, and where input comes from.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Home;
use super::exit::Failed;

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
            .ok_or_else(|| {
                Failed::new("neither XDG_DATA_HOME nor HOME is set; say where with --home DIR")
            })?;
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
