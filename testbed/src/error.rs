//! What can go wrong around the programs under test, with the words of the program that failed.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why the testbed could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Files, sockets, signals.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The programs are not built.
    #[error("{} is not there; build it with: cargo build --workspace --bins", path.display())]
    NoBinary {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A program does not start.
    #[error("{} does not start: {source}", program.display())]
    Spawn {
        /// Its path.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A command failed.
    #[error("`{line}` ended with {status}:\n{output}")]
    Command {
        /// As typed.
        line: String,
        /// Its end.
        status: ExitStatus,
        /// Everything it wrote.
        output: String,
    },
    /// A program that should run has ended.
    #[error("{name} ended with {status}; its last lines:\n{log}")]
    Ended {
        /// Which.
        name: String,
        /// Its end.
        status: ExitStatus,
        /// Its last lines.
        log: String,
    },
    /// A program that should end runs on.
    #[error("{name} still runs after {within:?}; its last lines:\n{log}")]
    StillRuns {
        /// Which.
        name: String,
        /// How long was waited.
        within: Duration,
        /// Its last lines.
        log: String,
    },
    /// Something expected did not come about.
    #[error("waited {within:?} in vain for {what}")]
    Timeout {
        /// What.
        what: String,
        /// How long.
        within: Duration,
    },
    /// An answer or a file is not what it should be.
    #[error("{what}: {got}")]
    Unexpected {
        /// What was looked at.
        what: String,
        /// What was found.
        got: String,
    },
}

impl Error {
    /// Something is not as it should be; `got` says how.
    pub fn unexpected(what: impl Into<String>, got: impl ToString) -> Self {
        Self::Unexpected {
            what: what.into(),
            got: got.to_string(),
        }
    }
}
