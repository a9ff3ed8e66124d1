//! A federation's files: what is staged comes before what is published.

use std::path::PathBuf;

use tough::schema::{Root, Signed, Targets};

use super::error::WriteError;
use super::federation::Federation;
use super::state::{read_json, write_json};

pub(super) const STATE: &str = "federation.json";

impl Federation {
    pub(super) fn staged(&self, file: &str) -> PathBuf {
        self.dir.join("staged").join(file)
    }

    pub(super) fn metadata(&self, file: &str) -> PathBuf {
        self.repository_dir().join("metadata").join(file)
    }

    pub(super) fn published_root(&self) -> Result<Signed<Root>, WriteError> {
        read_json(&self.metadata(&format!("{}.root.json", self.state.root)))
    }

    pub(super) fn root(&self) -> Result<Signed<Root>, WriteError> {
        let staged = self.staged("root.json");
        if staged.exists() {
            read_json(&staged)
        } else {
            self.published_root()
        }
    }

    pub(super) fn targets(&self) -> Result<Signed<Targets>, WriteError> {
        let staged = self.staged("targets.json");
        if staged.exists() {
            return read_json(&staged);
        }
        self.published_targets()
    }

    pub(super) fn published_targets(&self) -> Result<Signed<Targets>, WriteError> {
        read_json(&self.metadata(&format!("{}.targets.json", self.state.role("targets"))))
    }

    /// A file by its hashed path, staged or published.
    pub(super) fn target_file(&self, hashed: &str) -> Result<Vec<u8>, WriteError> {
        let staged = self.staged("targets").join(hashed);
        let path = if staged.exists() {
            staged
        } else {
            self.repository_dir().join("targets").join(hashed)
        };
        std::fs::read(&path).map_err(WriteError::file(path))
    }

    pub(super) fn save(&self) -> Result<(), WriteError> {
        write_json(&self.dir.join(STATE), &self.state)
    }
}
