//! Why the process ends, and with which exit code. Codes are those of `sysexits.h`, which systemd
//! shows by name. A disk that fails an fsync is one of them (CUS-1.5).

use std::io;
use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::keys::KeyRefusal;

/// Why the node does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The configuration is refused.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The environment is refused.
    #[error(
        "SSLKEYLOGFILE is set: it would write the keys of every session to a file. Unset it, or set `dev = true` on a machine that nobody depends on"
    )]
    KeyLog,
    /// The node's key is refused (cases 74, 75; R9).
    #[error("{0}")]
    Key(#[from] KeyRefusal),
    /// The trust repository is refused, or was never reached.
    #[error("trust: {0}")]
    Trust(String),
    /// The store does not open: another process has it, or it is of a newer version (cases 42, 77).
    #[error("store: {0}")]
    StoreOpen(String),
    /// The evidence log does not open: another process has it, or it is another node's (cases 42, 74).
    #[error("evidence: {0}")]
    EvidenceOpen(String),
    /// An address cannot be listened on.
    #[error("cannot listen on `{key}` = {address}: {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The store failed while running (case 39): what is not on disk was not acknowledged, and an
    /// fsync that failed is never tried again.
    #[error("the store failed: {0}")]
    StoreFailed(String),
    /// An argument is out of its range.
    #[error("{0}")]
    Usage(String),
    /// The log cannot begin.
    #[error("{0}")]
    Log(String),
    /// The system refuses something simple.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Anything else of ours.
    #[error("{0}")]
    Internal(String),
}

/// Exit codes with their meaning, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  stopped in order, after SIGTERM or SIGINT; or --check found nothing wrong
    2  wrong arguments
   65  the trust repository is refused or was never reached
   69  an address cannot be listened on
   70  a fault of the program
   73  the store or the evidence cannot be opened: in use by another process, or of a newer version
   74  the store failed while running (no room, or the disk refused to sync)
   77  the key is refused: readable by others, not the one in the directory, published
   78  the configuration is refused
  130, 143  stopped at once by a second SIGINT or SIGTERM";

impl Fatal {
    /// The exit code. Spelled out in [`EXIT_CODES`].
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Trust(_) => 65,
            Self::Listen { .. } => 69,
            Self::Internal(_) | Self::System(_) => 70,
            Self::Usage(_) => 2,
            Self::StoreOpen(_) | Self::EvidenceOpen(_) => 73,
            Self::StoreFailed(_) => 74,
            Self::Key(_) => 77,
            Self::Config(_) | Self::KeyLog | Self::Log(_) => 78,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_explained() {
        for fatal in [
            Fatal::Trust(String::new()),
            Fatal::Internal(String::new()),
            Fatal::StoreOpen(String::new()),
            Fatal::StoreFailed(String::new()),
            Fatal::KeyLog,
            Fatal::Usage(String::new()),
            Fatal::Log(String::new()),
        ] {
            let code = fatal.exit_code().to_string();
            assert!(
                EXIT_CODES
                    .lines()
                    .any(|line| line.trim().starts_with(&code)),
                "{code}"
            );
        }
    }
}
