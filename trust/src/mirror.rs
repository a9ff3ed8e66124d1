//! The verified copy on disk: what a start reads and what devices and other nodes are served.
//!
//! All files but `timestamp.json` and `root.json` carry their version or hash in their name. So new
//! files are added first, `timestamp.json` is replaced last in one step, and only then is what nobody
//! names any more removed: a reader, and a start after a crash at any moment, sees one whole state.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::TrustError;

const NEWEST: &str = "metadata/timestamp.json";

/// What becomes of files that the new state does not name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Old {
    /// A node's copy holds one state.
    Removed,
    /// A federation keeps what it ever published: evidence of a day needs that day's metadata, and a
    /// client in the middle of a refresh needs the state it began with.
    Kept,
}

#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    dir: PathBuf,
}

impl Mirror {
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a whole state was ever written.
    pub(crate) fn exists(&self) -> bool {
        self.dir.join(NEWEST).is_file()
    }

    /// A file of the copy, if it can be read. Not believed: the caller checks its hash.
    pub(crate) fn read(&self, file: &str) -> Option<Bytes> {
        fs::read(self.dir.join(file)).ok().map(Bytes::from)
    }

    /// Replaces the copy by `files`, whose newest root is `root`. Roots of before stay: whoever
    /// trusts an older one needs each step up to the newest.
    pub(crate) fn replace(
        &self,
        files: &BTreeMap<String, Bytes>,
        root: &Bytes,
        old: Old,
    ) -> Result<(), TrustError> {
        let before = if old == Old::Removed {
            self.listed()?
        } else {
            Vec::new()
        };
        for (file, bytes) in files {
            if file != NEWEST && self.read(file).as_ref() != Some(bytes) {
                self.write(file, bytes)?;
            }
        }
        // For whoever knows only a hash of the newest root; see `pin`.
        self.write("metadata/root.json", root)?;
        if let Some(bytes) = files.get(NEWEST) {
            self.write(NEWEST, bytes)?;
        }
        for file in before {
            let root = file.ends_with(".root.json") || file == "metadata/root.json";
            if !root && !files.contains_key(&file) {
                let path = self.dir.join(&file);
                fs::remove_file(&path).map_err(TrustError::disk(path))?;
            }
        }
        Ok(())
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), TrustError> {
        let path = self.dir.join(file);
        write_whole(&path, bytes).map_err(TrustError::disk(path))
    }

    /// Every file now on disk, relative, with `/`.
    fn listed(&self) -> Result<Vec<String>, TrustError> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let here = self.dir.join(&folder);
            let entries = match fs::read_dir(&here) {
                Ok(entries) => entries,
                Err(problem) if problem.kind() == io::ErrorKind::NotFound => continue,
                Err(problem) => return Err(TrustError::disk(here)(problem)),
            };
            for entry in entries {
                let entry = entry.map_err(TrustError::disk(here.clone()))?;
                let path = folder.join(entry.file_name());
                let kind = entry.file_type().map_err(TrustError::disk(here.clone()))?;
                if kind.is_dir() {
                    folders.push(path);
                } else if let Some(text) = path.to_str() {
                    found.push(text.to_owned());
                }
            }
        }
        Ok(found)
    }
}

/// Writes a file in one step: after a crash it is the old one or the new one, never a part.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    // What is served must be readable by the server's own user; temporary files are not.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[(&str, &'static str)]) -> BTreeMap<String, Bytes> {
        names
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Bytes::from_static(text.as_bytes())))
            .collect()
    }

    #[test]
    fn old_files_go_and_old_roots_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirror::new(folder.path());
        assert!(!mirror.exists());
        let root = Bytes::from_static(b"r");
        let first = files(&[
            ("metadata/1.root.json", "r"),
            ("metadata/timestamp.json", "t1"),
            ("targets/a.fr/x.node.json", "n"),
        ]);
        mirror.replace(&first, &root, Old::Removed).unwrap();
        assert!(mirror.exists());
        let second = files(&[
            ("metadata/2.root.json", "r2"),
            ("metadata/timestamp.json", "t2"),
        ]);
        mirror.replace(&second, &root, Old::Removed).unwrap();
        let mut left = mirror.listed().unwrap();
        left.sort();
        assert_eq!(
            left,
            [
                "metadata/1.root.json",
                "metadata/2.root.json",
                "metadata/root.json",
                "metadata/timestamp.json"
            ]
        );
        assert_eq!(mirror.read("metadata/timestamp.json").unwrap(), "t2");
    }
}
