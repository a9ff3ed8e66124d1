//! Where a campaign stands, on disk: enough to go on after a SIGKILL with the same letters.
//!
//! The file is secret (0600): whoever has its secret and a letter's content could tell from an
//! envelope that it holds this content.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use pli_protocol::id::{Timestamp, from_hex, to_hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::failed;
use super::faults::Faults;
use crate::folder::{self, FileError, FolderLock, Secrecy};

const VERSION: u32 = 1;
/// Faults are by code, so there is an end to them.
const FILE_MAX: u64 = 64 * 1024;

/// Where a campaign stands.
#[derive(Clone, Debug)]
pub struct State {
    /// Who sends it.
    pub service: String,
    /// When it began.
    pub created: Timestamp,
    /// How long its letters are kept.
    pub lifetime_ms: u64,
    /// What its sealings are derived from.
    pub secret: Zeroizing<[u8; 32]>,
    /// Lines settled; the next one is the first to send.
    pub lines: u64,
    /// Bytes of the file that those lines take.
    pub bytes: u64,
    /// Bytes of the results that belong to those lines.
    pub results_bytes: u64,
    /// What became of them.
    pub counts: Counts,
    /// Why lines failed.
    pub faults: Faults,
    /// Lines up to here that failed were written out already, to be corrected.
    pub failed_through: u64,
}

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// On the node's disk.
    pub accepted: u64,
    /// On the node's disk since an earlier run.
    pub duplicate: u64,
    /// The node said no.
    pub refused: u64,
    /// Never sent: the line was at fault.
    pub invalid: u64,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.accepted + self.duplicate + self.refused + self.invalid
    }
}

/// Why a campaign cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its form.
    #[error("{}: {problem}; move it away to begin the campaign anew", .path.display())]
    Form { path: PathBuf, problem: String },
    /// Another service began it.
    #[error("{} is of a campaign of {began}; this is {ours}", .path.display())]
    OtherService {
        path: PathBuf,
        began: String,
        ours: String,
    },
    /// What was sent already is not in this file any more.
    #[error(
        "{} has changed in the part that was settled already (its first {bytes} bytes): restore it, lines may only be added at its end. \
         To correct lines that failed, correct them in {} and send that file. \
         To begin anew, and send every letter a second time, move {} away",
        .file.display(), .failed.display(), .state.display()
    )]
    FileChanged {
        file: PathBuf,
        state: PathBuf,
        /// Where the lines that failed are, once a run has come to the end.
        failed: PathBuf,
        bytes: u64,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OnDisk {
    version: u32,
    service: String,
    created_ms: u64,
    lifetime_ms: u64,
    secret: String,
    lines: u64,
    bytes: u64,
    sent_sha256: String,
    results_bytes: u64,
    counts: Counts,
    #[serde(default)]
    faults: Faults,
    #[serde(default)]
    failed_through: u64,
}

/// The state file of one campaign. Locked: two processes that send one file would each send all of it.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// Of the bytes that are settled.
    sent: Sha256,
    _lock: FolderLock,
}

impl StateFile {
    /// Goes on with the state at `path`, or begins it with `begin`. The part of `file` that was sent
    /// must be as it was.
    pub(super) fn open(
        path: PathBuf,
        file: &Path,
        begin: State,
    ) -> Result<(Self, State), StateError> {
        let form = |problem: String| StateError::Form {
            path: path.clone(),
            problem,
        };
        let lock = FolderLock::take_file(&path.with_added_extension("lock"))?;
        let text = match folder::read_secret(&path, FILE_MAX) {
            Ok(text) => text,
            Err(error) if error.is_missing() => {
                let mut state = Self {
                    path,
                    sent: Sha256::new(),
                    _lock: lock,
                };
                state.write(&begin)?;
                return Ok((state, begin));
            }
            Err(error) => return Err(error.into()),
        };
        let read: OnDisk = serde_json::from_str(&text).map_err(|error| form(error.to_string()))?;
        if read.version != VERSION {
            return Err(form(format!(
                "version {}, expected {VERSION}",
                read.version
            )));
        }
        if read.service != begin.service {
            let (began, ours) = (read.service, begin.service);
            return Err(StateError::OtherService { path, began, ours });
        }
        let secret = from_hex(&read.secret).map_err(|_| form("not a secret".to_owned()))?;
        let mut sent = Sha256::new();
        hash(file, read.bytes, &mut sent).map_err(FileError::at(file))?;
        if to_hex(&sent.clone().finalize()) != read.sent_sha256 {
            let (failed, bytes) = (failed::path(file, 0), read.bytes);
            return Err(StateError::FileChanged {
                file: file.to_owned(),
                state: path,
                failed,
                bytes,
            });
        }
        let state = State {
            service: read.service,
            created: Timestamp::from_ms(read.created_ms),
            lifetime_ms: read.lifetime_ms,
            secret: Zeroizing::new(secret),
            lines: read.lines,
            bytes: read.bytes,
            results_bytes: read.results_bytes,
            counts: read.counts,
            faults: read.faults,
            failed_through: read.failed_through,
        };
        Ok((
            Self {
                path,
                sent,
                _lock: lock,
            },
            state,
        ))
    }

    /// Records a new state; durable when it returns.
    pub(super) fn write(&mut self, state: &State) -> Result<(), StateError> {
        let on_disk = OnDisk {
            version: VERSION,
            service: state.service.clone(),
            created_ms: state.created.as_ms(),
            lifetime_ms: state.lifetime_ms,
            secret: to_hex(state.secret.as_slice()),
            lines: state.lines,
            bytes: state.bytes,
            sent_sha256: to_hex(&self.sent.clone().finalize()),
            results_bytes: state.results_bytes,
            counts: state.counts,
            faults: state.faults.clone(),
            failed_through: state.failed_through,
        };
        let json = serde_json::to_vec_pretty(&on_disk).expect("strings and numbers are JSON");
        Ok(folder::write(
            &self.path,
            &Zeroizing::new(json),
            Secrecy::Owner,
        )?)
    }

    /// Takes over the hash of the file up to the last settled line, by which a changed file is known.
    pub(super) fn settle(&mut self, sent: Sha256) {
        self.sent = sent;
    }

    /// The hash of what was settled, to go on with.
    pub(super) fn sent(&self) -> Sha256 {
        self.sent.clone()
    }
}

fn hash(file: &Path, bytes: u64, hash: &mut Sha256) -> io::Result<()> {
    let mut file = BufReader::new(File::open(file)?).take(bytes);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => hash.update(&buffer[..count]),
        }
    }
}
