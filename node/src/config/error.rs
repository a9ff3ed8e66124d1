//! Why a configuration was refused. Every variant is the operator's to mend, and says how.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot read the configuration: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not TOML, an unknown key, or a value of another kind. The source shows the line.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A key without a default.
    #[error("the key `{key}` is missing; `pli-node --print-example-config` explains it")]
    Missing {
        /// Its full name.
        key: &'static str,
    },
    /// A number or period that would stop the node from working.
    #[error("`{key}` is too small, expected at least {minimum}")]
    TooSmall {
        /// Its full name.
        key: &'static str,
        /// The least that makes sense.
        minimum: &'static str,
    },
    /// `listen.ops` would be open to the world.
    #[error(
        "`listen.ops` is {got}, expected a loopback address such as 127.0.0.1:7404: nothing there asks who calls"
    )]
    OpsNotLoopback {
        /// The address.
        got: SocketAddr,
    },
    /// Any of the above, in a named file.
    #[error("{}: {error}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        error: Box<ConfigError>,
    },
}

impl ConfigError {
    pub(super) fn in_file(self, path: &Path) -> Self {
        match self {
            named @ (Self::Unreadable { .. } | Self::InFile { .. }) => named,
            error => Self::InFile {
                path: path.to_owned(),
                error: Box::new(error),
            },
        }
    }
}
