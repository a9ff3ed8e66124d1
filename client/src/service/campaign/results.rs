//! The results of a campaign: one JSON object a line, in the order of the file, appended and fsynced
//! before the state says that the lines are settled.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pli_protocol::code::Code;
use pli_protocol::custody::{Disposition, Receipt};
use pli_protocol::id::EnvelopeId;
use serde_json::json;

use super::state::Counts;
use crate::folder::{self, FileError};
use crate::names;
use crate::service::submit::Settled;

/// What became of one line.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It reached the node, which signed what it did with it.
    Sent {
        /// The letter's.
        id: EnvelopeId,
        /// What the node did.
        disposition: Disposition,
        /// The bytes of the signed receipt.
        receipt: bytes::Bytes,
    },
    /// It was never sent.
    Invalid {
        /// The kind of fault, for programs.
        kind: &'static str,
        /// Why.
        reason: String,
    },
    /// An empty line.
    Blank,
}

impl<T> From<Settled<T>> for Outcome {
    fn from(settled: Settled<T>) -> Self {
        let Settled {
            id,
            disposition,
            receipt,
            ..
        } = settled;
        Self::Sent {
            id,
            disposition,
            receipt,
        }
    }
}

impl Outcome {
    pub(super) fn count(&self, counts: &mut Counts) {
        let count = match self {
            Self::Sent {
                disposition: Disposition::Accepted,
                ..
            } => &mut counts.accepted,
            Self::Sent {
                disposition: Disposition::Duplicate { .. },
                ..
            } => &mut counts.duplicate,
            Self::Sent {
                disposition: Disposition::Refused(_),
                ..
            } => &mut counts.refused,
            Self::Invalid { .. } => &mut counts.invalid,
            Self::Blank => return,
        };
        *count += 1;
    }

    /// The line of the results; `None` for an empty line.
    pub fn to_json(&self, line: u64, to: Option<&str>) -> Option<serde_json::Value> {
        let (name, code) = match self {
            Self::Blank => return None,
            Self::Invalid { kind, reason } => {
                return Some(
                    json!({ "line": line, "to": to, "outcome": "invalid", "fault": kind, "reason": reason }),
                );
            }
            Self::Sent { disposition, .. } => names::disposition(*disposition),
        };
        let Self::Sent { id, receipt, .. } = self else {
            unreachable!("matched above")
        };
        let at = Receipt::decode(receipt.clone())
            .ok()
            .map(|(receipt, _)| receipt.at.as_ms());
        Some(json!({
            "line": line,
            "to": to,
            "outcome": name,
            "code": code.map(Code::name),
            "id": id.to_string(),
            "at_ms": at,
            "receipt": BASE64_URL_SAFE_NO_PAD.encode(receipt),
        }))
    }
}

/// The results file.
#[derive(Debug)]
pub(super) struct ResultsFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl ResultsFile {
    /// Opens the results and cuts off what a killed run wrote and did not record in the state.
    pub(super) fn open(path: &Path, length: u64) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(path).map_err(FileError::at(path))?;
        file.set_len(length).map_err(FileError::at(path))?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0)).map_err(FileError::at(path))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        folder::sync_folder(folder.unwrap_or(Path::new(".")))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
        })
    }

    /// Appends; durable when it returns. Gives the length of the file.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<u64, FileError> {
        self.file
            .write_all(lines)
            .map_err(FileError::at(&self.path))?;
        self.file.sync_data().map_err(FileError::at(&self.path))?;
        self.length += lines.len() as u64;
        Ok(self.length)
    }
}
