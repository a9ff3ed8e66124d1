//! A device that is open: its folder read and checked, its directory at hand.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pli_protocol::account::{AccountSecrets, SignedGrant};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::{Class, Sender};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::session::Principal;
use pli_protocol::trust::{Directory, TrustRefusal, Versions};
use pli_transport::{Credential, DialledConnection, Dialler};
use pli_trust::keyfile::{self, KeyFileError};

use super::budget::Spent;
use super::config::{self, DeviceConfig, Paths, SecretsFileError};
use super::cursor::{Body, PageFault};
use super::evidence::{self, EvidenceError};
use super::grants::{Grants, GrantsError};
use super::inbox::{Entry, Inbox, InboxError};
use super::verify::{LetterRefusal, Roots, VerifiedLetter, Verifier, verify};
use crate::call::CallError;
use crate::clock;
use crate::directory::{DirectoryError, DirectoryPlace, OpenDirectory};
use crate::folder::{FileError, FolderLock};
use crate::reach::{self, ReachError};
use crate::service::config::ConfigError;

/// Why a device cannot be opened, or something it was asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no device.
    #[error("{folder} is no device yet; run: pli device enrol INVITATION")]
    NotEnrolled { folder: String },
    /// `device.toml`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The account's secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsFileError),
    /// The grants.
    #[error(transparent)]
    Grants(#[from] GrantsError),
    /// The inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The directory of an earlier day.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory does not know an authority.
    #[error(transparent)]
    Authority(#[from] TrustRefusal),
    /// The home was not reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The home said no, or broke off.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The home withholds, repeats, reorders or swaps letters (cases 57, 58).
    #[error("{0}. Nothing of it was taken. Tell the operator of the home, or move to another one")]
    Page(#[from] PageFault),
    /// MBX-5.8: the home has more, or sends without end.
    #[error(
        "{0}. To go on, run the same again; if it never ends, or most of it is refused or absent, the home is at fault: tell its operator"
    )]
    Spent(#[from] Spent),
    /// MBX-5.8
    #[error(
        "{}: {free} bytes are free and {min} must stay free; make room and run the same again. What came before is kept",
        .folder.display()
    )]
    DiskFull {
        folder: PathBuf,
        free: u64,
        min: u64,
    },
}

impl DeviceError {
    /// The code, where there is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Authority(refusal) => Some(refusal.code()),
            Self::Directory(error) => error.code(),
            Self::Reach(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Page(fault) => Some(fault.code()),
            _ => None,
        }
    }

    /// Whether the same may succeed a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Reach(error) => error.may_pass(),
            Self::Call(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// An open device.
#[derive(Debug)]
pub struct Device {
    paths: Paths,
    home: AuthorityId,
    key: Arc<SigningKey>,
    secrets: AccountSecrets,
    grants: Grants,
    inbox: Inbox,
    place: DirectoryPlace,
    directory: OpenDirectory,
    dialler: Dialler,
    roots: Roots,
    _lock: Option<FolderLock>,
}

/// How a device is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// To fetch, grant or hand over: one process at a time.
    Working,
    /// Only to look at what is there, beside another process that works.
    Looking,
}

impl Device {
    /// Opens the device in `folder`.
    pub async fn open(folder: &Path, standing: Standing) -> Result<Self, DeviceError> {
        let config = match DeviceConfig::read(folder) {
            Err(ConfigError::File(error)) if error.is_missing() => {
                return Err(DeviceError::NotEnrolled {
                    folder: folder.display().to_string(),
                });
            }
            other => other?,
        };
        let lock = match standing {
            Standing::Working => Some(FolderLock::take(folder)?),
            Standing::Looking => None,
        };
        let paths = Paths::new(folder);
        let key = Arc::new(keyfile::load(&paths.key())?);
        let secrets = config::read_secrets(&paths)?;
        let grants = Grants::read(&paths.grants())?;
        let inbox = Inbox::open(&paths.inbox())?;
        let place = config.directory_place(folder)?;
        let directory = OpenDirectory::open(&place, clock::now()).await?;
        let credential = Credential {
            principal: Principal::Device,
            key: Arc::clone(&key),
        };
        Ok(Self {
            home: config.home(folder)?,
            paths,
            key,
            secrets,
            grants,
            inbox,
            place,
            directory,
            dialler: Dialler::new(credential),
            roots: Roots::default(),
            _lock: lock,
        })
    }

    /// Where the account is.
    pub fn home(&self) -> &AuthorityId {
        &self.home
    }

    /// The grants given.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// What the home gave.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The directory.
    pub fn directory(&self) -> &OpenDirectory {
        &self.directory
    }

    pub(super) fn inbox_mut(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Dials the home, with the directory's latest news if there are any.
    pub(super) async fn connect(&self) -> Result<DialledConnection, DeviceError> {
        let now = clock::now();
        self.directory.refresh(now).await;
        let directory = self.directory.current();
        Ok(reach::connect(&self.dialler, &directory, &self.home, now).await?)
    }

    /// Waits until the home could hear that the connection is closed; before a process ends.
    pub async fn hang_up(&self) {
        self.dialler.wait_idle().await;
    }

    /// Lets `authority` write, and tells the home. A grant that exists is given again as it is,
    /// unless a new one is asked for or something else is to be accepted.
    pub async fn grant(
        &mut self,
        authority: &AuthorityId,
        accepts: BTreeSet<Class>,
        renew: bool,
    ) -> Result<SignedGrant, DeviceError> {
        let now = clock::now();
        self.directory.refresh(now).await;
        self.directory.current().active(authority, now)?;
        let fits = |grant: &&SignedGrant| {
            let said = grant.grant();
            !renew
                && said.accepts == accepts
                && said.mailbox.home == self.home
                && said.sealing.epoch == self.secrets.latest_epoch()
        };
        let grant = match self.grants.to(authority).filter(fits) {
            Some(grant) => grant.clone(),
            None => {
                let (folder, home) = (self.paths.grants(), self.home.clone());
                let made =
                    self.grants
                        .make(&folder, &self.secrets, authority, &home, accepts, now)?;
                made.clone()
            }
        };
        self.publish_grant(grant.encoded().clone()).await?;
        Ok(grant)
    }

    /// Verifies and opens what is behind some numbers, again from the exact bytes.
    pub async fn look(&self, entries: Vec<Entry>) -> Vec<Shown> {
        let directory = self.directory.current();
        // One day's at a time: letters of a day stand together, and a home that gives thousands of
        // letters by nobody must not make this device read a directory for each.
        let mut day: Option<(Versions, Option<Arc<Directory>>)> = None;
        let mut looked = Vec::with_capacity(entries.len());
        for entry in entries {
            let Body::Envelope { encoded, stored } = &entry.numbered.body else {
                looked.push(Shown {
                    entry,
                    letter: None,
                    key_ended: None,
                    repeats: None,
                    superseded_by: None,
                });
                continue;
            };
            let with = Verifier {
                directory: &directory,
                grants: &self.grants,
                secrets: &self.secrets,
                now: clock::now(),
                roots: &self.roots,
            };
            let mut letter = verify(encoded.clone(), *stored, with);
            if letter.as_ref().is_err_and(LetterRefusal::is_of_directory) {
                // The sender may have left the directory since: the day's own is the judge.
                let then = entry.arrival.directory;
                if day.as_ref().is_none_or(|(versions, _)| *versions != then) {
                    day = Some((then, self.directory_of(then).await));
                }
                if let Some((_, Some(then))) = &day {
                    let with = Verifier {
                        directory: then,
                        ..with
                    };
                    letter = verify(encoded.clone(), *stored, with);
                }
            }
            let key_ended = letter
                .as_ref()
                .ok()
                .and_then(|letter| ended_before(&directory, letter, entry.arrival.received));
            looked.push(Shown {
                entry,
                letter: Some(letter),
                key_ended,
                repeats: None,
                superseded_by: None,
            });
        }
        looked
    }

    async fn directory_of(&self, day: Versions) -> Option<Arc<Directory>> {
        if day == self.directory.current().versions() {
            return None;
        }
        let opened = evidence::open(&self.paths.evidence(), &self.place, day, clock::now()).await;
        opened
            .inspect_err(|error| tracing::warn!(%error, "no directory of the day it came"))
            .ok()
    }

    /// The whole inbox, in the order of the numbers. A letter that the home gives twice under two
    /// numbers is one letter, and a letter that was replaced says by which.
    pub async fn look_at_all(&self) -> (Vec<Shown>, Vec<InboxError>) {
        let (mut entries, mut errors) = (Vec::new(), Vec::new());
        for entry in self.inbox.entries() {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => errors.push(error),
            }
        }
        let mut shown = self.look(entries).await;
        relate(&mut shown);
        (shown, errors)
    }
}

/// A number of the account as the citizen may see it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The number and how it came.
    pub entry: Entry,
    /// The letter, or why it is not shown; `None` where the home says that there is none any more.
    pub letter: Option<Result<VerifiedLetter, LetterRefusal>>,
    /// MBX-5.9: when the key ended that signed it, where that was before this device received it. Then
    /// only the signer's and the home's word say that it was written in time.
    pub key_ended: Option<Timestamp>,
    /// The number that holds the same letter already: a home that repeats it does not make it two.
    pub repeats: Option<u64>,
    /// The number of a later letter of the same sender that replaces this one.
    pub superseded_by: Option<u64>,
}

impl Shown {
    /// The letter, if it is shown.
    pub fn verified(&self) -> Option<&VerifiedLetter> {
        self.letter.as_ref()?.as_ref().ok()
    }
}

/// Of what the directory says today: who revokes a key may date its end back.
fn ended_before(
    directory: &Directory,
    letter: &VerifiedLetter,
    received: Timestamp,
) -> Option<Timestamp> {
    match directory.service_key_at(letter.sender(), &letter.signer(), received) {
        Err(TrustRefusal::KeyNotValid { not_after, .. }) => {
            not_after.filter(|ended| *ended <= received)
        }
        _ => None,
    }
}

fn relate(shown: &mut [Shown]) {
    let mut first: HashMap<EnvelopeId, u64> = HashMap::new();
    let mut replaced: HashMap<(Sender, [u8; 16], [u8; 16]), usize> = HashMap::new();
    for index in 0..shown.len() {
        let seq = shown[index].entry.numbered.seq;
        let Some(letter) = shown[index].verified() else {
            continue;
        };
        if let Some(earlier) = first.get(&letter.id()) {
            shown[index].repeats = Some(*earlier);
            continue;
        }
        first.insert(letter.id(), seq);
        let header = letter.header();
        if let Some(key) = header.supersedes {
            let key = (
                header.sender.clone(),
                *header.recipient.mailbox.as_bytes(),
                key,
            );
            if let Some(earlier) = replaced.insert(key, index) {
                shown[earlier].superseded_by = Some(seq);
            }
        }
    }
}
