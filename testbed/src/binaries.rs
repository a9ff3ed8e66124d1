//! Finds the programs under test: `PLI_BIN_DIR`, or the target directory of the running program.

use std::env;
use std::path::{Path, PathBuf};

use crate::Error;

/// Where `pli` and `pli-node` are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The command.
    pub pli: PathBuf,
    /// The relay.
    pub node: PathBuf,
}

impl Binaries {
    /// Finds both, or says how to build them.
    pub fn find() -> Result<Self, Error> {
        let folder = match env::var_os("PLI_BIN_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => target_dir(&env::current_exe()?),
        };
        let find = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(Error::NoBinary { path })
            }
        };
        Ok(Self {
            pli: find("pli")?,
            node: find("pli-node")?,
        })
    }
}

/// `target/debug/deps/case_36-0123` and `target/debug/demo` both belong to `target/debug`.
fn target_dir(exe: &Path) -> PathBuf {
    let folder = exe.parent().unwrap_or(Path::new("."));
    let in_deps = folder
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples");
    if in_deps {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_programs_share_a_target_directory() {
        assert_eq!(
            target_dir(Path::new("/t/debug/deps/case_36-0123")),
            Path::new("/t/debug")
        );
        assert_eq!(
            target_dir(Path::new("/t/release/bench")),
            Path::new("/t/release")
        );
    }
}
