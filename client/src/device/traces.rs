//! Traces: what an enrolment makes on the disk, taken away again where it comes to nothing. What was
//! there before it stays: the keys of an earlier attempt that the home may know.

use std::fs;
use std::path::{Path, PathBuf};

use super::config::Paths;
use crate::folder::{self, FileError, FolderLock};

/// Removes what was made when it is dropped, unless it is to stay.
#[derive(Debug)]
pub(super) struct Traces {
    made: Vec<PathBuf>,
    /// The innermost first.
    folders: Vec<PathBuf>,
    // Freed last: nobody else makes files here meanwhile.
    lock: Option<FolderLock>,
}

impl Traces {
    /// Makes the folder and takes it for this process.
    pub(super) fn begin(folder: &Path) -> Result<Self, FileError> {
        let mut traces = Self {
            made: Vec::new(),
            folders: missing(folder),
            lock: None,
        };
        let lock = folder.join("lock");
        let new_lock = !lock.exists();
        folder::create_folder(folder)?;
        traces.lock = Some(FolderLock::take(folder)?);
        // Only now: before, another process could have made them.
        let paths = Paths::new(folder);
        let key = paths.key();
        traces.made = [
            paths.root(),
            paths.directory(),
            key.with_added_extension("pub"),
            key,
            paths.secrets(),
        ]
        .into_iter()
        .filter(|path| !path.exists())
        .collect();
        traces.made.extend(new_lock.then_some(lock));
        Ok(traces)
    }

    /// It came to something, or may have.
    pub(super) fn stay(&mut self) {
        self.made.clear();
        self.folders.clear();
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        for path in &self.made {
            // What was never made, or cannot be removed, is nothing that an error would help with.
            let _ = match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
        }
        for folder in &self.folders {
            // A folder that holds something else stays.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// The folder and those around it that are not there.
fn missing(folder: &Path) -> Vec<PathBuf> {
    folder
        .ancestors()
        .filter(|path| !path.as_os_str().is_empty())
        .take_while(|path| !path.exists())
        .map(Path::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_goes_and_what_was_there_stays() {
        let around = tempfile::tempdir().expect("a folder");
        let folder = around.path().join("a/b");
        let traces = Traces::begin(&folder).expect("new");
        let paths = Paths::new(&folder);
        fs::write(paths.key(), "key").expect("own folder");
        fs::create_dir_all(paths.directory().join("metadata")).expect("own folder");
        // Case 42: who comes second takes nothing away from the first.
        assert!(matches!(
            Traces::begin(&folder),
            Err(FileError::InUse { .. })
        ));
        assert!(paths.key().exists() && folder.join("lock").exists());
        drop(traces);
        assert!(!around.path().join("a").exists());

        fs::create_dir_all(&folder).expect("own folder");
        fs::write(paths.key(), "of an earlier attempt").expect("own folder");
        let traces = Traces::begin(&folder).expect("there");
        fs::write(paths.root(), "root").expect("own folder");
        drop(traces);
        let left: Vec<_> = fs::read_dir(&folder).expect("there").collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(paths.key().exists());

        let mut traces = Traces::begin(&folder).expect("there");
        fs::write(paths.root(), "root").expect("own folder");
        traces.stay();
        drop(traces);
        assert!(paths.root().exists());
    }
}
